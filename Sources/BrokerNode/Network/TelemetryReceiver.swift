/// Takes what clients push (KIP-714): shows the last values beside the broker's own metrics, and
/// writes each push to a file where a directory is configured.
import Bytes
import ClientTelemetry
import Compression
import KafkaMessages
import KafkaProtocol
import Metadata
import Platform
import Synchronization
import Telemetry
import Values

final class TelemetryReceiver: Sendable {
  private struct Series: Hashable {
    var name: String
    var attributes: [ClientMetric.Attribute]
  }

  /// What one client has told.
  private struct Told {
    var client: TelemetryClient
    var values: [Series: Double] = [:]
  }

  private struct State {
    var manager: TelemetryManager
    var told: [Uuid: Told] = [:]
    var seriesCount = 0
  }

  private let state: Mutex<State>
  private let file: TelemetryFile?
  private let dropped: Counter
  private let pushes: Counter
  private let failures: Counter
  let maxBytes: Int
  /// Those of the offered ones that this machine can unpack, best first.
  let compressionTypes: [Int8]
  /// Clients choose what they tell; the broker's memory is not theirs.
  private static let maxSeries = 100_000
  private static let log = Log("ClientMetricsManager")

  /// - Parameter directory: `jackdaw.client.telemetry.directory`
  init(maxBytes: Int, directory: String?, metrics: Metrics) throws(SystemError) {
    self.maxBytes = maxBytes
    state = Mutex(State(manager: TelemetryManager(maxBytes: maxBytes)))
    if let directory { file = try TelemetryFile(directory) } else { file = nil }
    compressionTypes = TelemetryManager.compressionTypes.filter { code in
      guard let type = CompressionType(rawValue: UInt8(code)) else { return false }
      return (try? Decompressor.checkAvailable(type)) != nil
    }
    let prefix = "kafka_server_client_metrics_"
    pushes = metrics.counter("\(prefix)plugin_export_count_total", help: "Pushes that were taken")
    failures = metrics.counter(
      "\(prefix)plugin_error_count_total", help: "Pushes that could not be read")
    dropped = metrics.counter(
      "\(prefix)dropped_series_total", help: "Values of clients that there was no room for")
    metrics.gauge("\(prefix)instance_count", help: "Clients that are known") { [weak self] in
      Double(self?.state.withLock { $0.manager.instanceCount } ?? 0)
    }
    metrics.collect("jackdaw_client_telemetry", help: "What clients tell of themselves") {
      [weak self] in self?.samples() ?? []
    }
  }

  /// Takes over the subscriptions of an image; called by whoever publishes images.
  func take(_ configs: ConfigsImage) { state.withLock { $0.manager.take(configs) } }

  func ask(
    _ instance: Uuid, _ client: TelemetryClient, at now: Instant
  ) throws(TelemetrySubscription.Refusal) -> TelemetryManager.Answer {
    var random = SystemRandom()
    let fresh = Uuid.random(using: &random)
    return try state.withLock { (state) throws(TelemetrySubscription.Refusal) in
      try state.manager.ask(instance, client, random: fresh, at: now)
    }
  }

  func check(
    _ request: PushTelemetryRequest, _ client: TelemetryClient, at now: Instant
  ) throws(TelemetrySubscription.Refusal) {
    let push = TelemetryManager.Push(
      instance: request.clientInstanceID, subscriptionID: request.subscriptionID,
      isTerminating: request.terminating, compressionType: request.compressionType,
      byteCount: request.metrics.count)
    try state.withLock { (state) throws(TelemetrySubscription.Refusal) in
      try state.manager.push(push, client, at: now)
    }
  }

  /// The client's connection has ended: what it told is not shown any more.
  func forget(_ instance: Uuid) {
    state.withLock { state in
      state.manager.forget(instance)
      Self.drop(instance, &state)
    }
  }

  // MARK: What is pushed

  /// Unpacks, reads and keeps what a client has pushed. Blocks.
  ///
  /// - Returns: NONE, TELEMETRY_TOO_LARGE, UNSUPPORTED_COMPRESSION_TYPE or INVALID_RECORD.
  func receive(_ request: PushTelemetryRequest, from client: TelemetryClient) -> ErrorCode {
    let id = request.clientInstanceID
    do {
      let payload = try MetricsPayload(try unpack(request))
      keep(payload.metrics, id, client)
      write(payload.metrics, request, client)
      pushes.add()
      return .none
    } catch {
      failures.add()
      Self.log.warn("metrics of a client not taken: \(error)", ["client": id])
      let code: ErrorCode =
        switch error as? CompressionError {
        case .tooLarge: .telemetryTooLarge
        case .libraryMissing: .unsupportedCompressionType
        default: .invalidRecord
        }
      state.withLock { $0.manager.failed(id, code) }
      return code
    }
  }

  /// That this machine's disk is full is no fault of the client's, which would push no more.
  private func write(
    _ metrics: [ClientMetric], _ request: PushTelemetryRequest, _ client: TelemetryClient
  ) {
    do throws(SystemError) {
      try file?.append(
        metrics, request.clientInstanceID, client, isTerminating: request.terminating)
    } catch {
      failures.add()
      Self.log.error("metrics of clients not written: \(error)")
    }
  }

  private func unpack(_ request: PushTelemetryRequest) throws(CompressionError) -> [UInt8] {
    guard let type = CompressionType(rawValue: UInt8(bitPattern: request.compressionType)) else {
      return []
    }
    var output = ByteWriter()
    let limit = maxBytes
    let result: Result<Void, CompressionError> = request.metrics.withUnsafeBytes { bytes in
      do throws(CompressionError) {
        try Decompressor.decompress(type, bytes, limit: limit, into: &output)
        return .success(())
      } catch { return .failure(error) }
    }
    try result.get()
    return output.array()
  }

  private func keep(_ metrics: [ClientMetric], _ id: Uuid, _ client: TelemetryClient) {
    let lost = state.withLock { state in
      guard state.manager.knows(id) else { return 0 }
      // Who is not known any more has expired without the end of a connection.
      for gone in state.told.keys where !state.manager.knows(gone) { Self.drop(gone, &state) }
      var told = state.told[id] ?? Told(client: client)
      var lost = 0
      for metric in metrics {
        let series = Series(name: metric.name, attributes: metric.attributes)
        if told.values[series] == nil {
          guard state.seriesCount < Self.maxSeries else {
            lost += 1
            continue
          }
          state.seriesCount += 1
        }
        let before = metric.kind == .delta ? told.values[series] ?? 0 : 0
        told.values[series] = before + metric.value
      }
      state.told[id] = told
      return lost
    }
    if lost > 0 { dropped.add(Int64(lost)) }
  }

  private static func drop(_ instance: Uuid, _ state: inout State) {
    if let told = state.told.removeValue(forKey: instance) {
      state.seriesCount -= told.values.count
    }
  }

  /// What is shown of all clients.
  private func samples() -> [Metrics.Sample] {
    let told = state.withLock { $0.told }
    return told.sorted { $0.key < $1.key }.flatMap { id, told in
      told.values.sorted { ($0.key.name, $0.key.attributes) < ($1.key.name, $1.key.attributes) }
        .map { series, value in
          let labels = [
            ("metric", series.name), ("client_id", told.client.clientID),
            ("client_instance_id", id.description),
            ("client_software_name", told.client.softwareName),
            ("client_software_version", told.client.softwareVersion),
          ]
          let own = series.attributes.map { ("attribute_" + Self.label($0.key), $0.value) }
          return Metrics.Sample(labels + own, value)
        }
    }
  }

  /// A name that labels may have.
  private static func label(_ text: String) -> String {
    String(
      decoding: text.utf8.map { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: byte
        default: UInt8(ascii: "_")
        }
      }, as: UTF8.self)
  }
}

/// Arrays of attributes in the order of their elements.
private func < (
  a: (String, [ClientMetric.Attribute]), b: (String, [ClientMetric.Attribute])
) -> Bool {
  a.0 == b.0 ? a.1.lexicographicallyPrecedes(b.1) : a.0 < b.0
}
