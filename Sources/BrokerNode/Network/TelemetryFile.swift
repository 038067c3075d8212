/// The file that clients' metrics are written to: a line of JSON for each push.
///
/// `client-metrics.jsonl`; when it has grown large it becomes `client-metrics.jsonl.1`, in place of
/// the one before, so that clients cannot fill the disk. Not forced: metrics come again.
import ClientTelemetry
import KafkaProtocol
import Platform
import Synchronization
import Values

final class TelemetryFile: Sendable {
  private struct Open {
    var file: File
    var size: Int64
  }

  private let path: String
  private let maxBytes: Int64
  private let open: Mutex<Open>

  /// - Parameter maxBytes: of one of the two files.
  /// - Throws: when the directory cannot be made, or not be written to.
  init(_ directory: String, maxBytes: Int64 = 64 << 20) throws(SystemError) {
    path = "\(directory)/client-metrics.jsonl"
    self.maxBytes = maxBytes
    try FileSystem.createDirectory(directory)
    open = Mutex(try Self.open(path))
  }

  private static func open(_ path: String) throws(SystemError) -> Open {
    let file = try File(path, [.write, .create, .append])
    return Open(file: file, size: try file.size())
  }

  /// Writes what a client has pushed. Blocks.
  func append(
    _ metrics: [ClientMetric], _ instance: Uuid, _ client: TelemetryClient, isTerminating: Bool
  ) throws(SystemError) {
    let line = Self.line(metrics, instance, client, isTerminating, at: Clock.wallNow())
    let bytes = Array((line + "\n").utf8)
    try open.withLock { (open) throws(SystemError) in
      if open.size > 0, open.size + Int64(bytes.count) > maxBytes {
        try FileSystem.rename(path, to: path + ".1")
        open = try Self.open(path)
      }
      try open.file.write(bytes)
      open.size += Int64(bytes.count)
    }
  }

  private static func line(
    _ metrics: [ClientMetric], _ instance: Uuid, _ client: TelemetryClient,
    _ isTerminating: Bool, at now: WallTime
  ) -> String {
    typealias Text = JSONText
    return Text.object([
      Text.field("timestamp", Text.value(now.milliseconds)),
      Text.field("clientInstanceId", Text.value(instance)),
      Text.field("clientId", Text.value(client.clientID)),
      Text.field("clientSoftwareName", Text.value(client.softwareName)),
      Text.field("clientSoftwareVersion", Text.value(client.softwareVersion)),
      Text.field("clientSourceAddress", Text.value(client.address)),
      Text.field("clientSourcePort", Text.value(client.port)),
      Text.field("terminating", Text.value(isTerminating)),
      Text.field("metrics", Text.array(metrics.map(text))),
    ])
  }

  private static func text(_ metric: ClientMetric) -> String {
    typealias Text = JSONText
    return Text.object([
      Text.field("name", Text.value(metric.name)),
      Text.field("kind", Text.value(metric.kind.rawValue)),
      // JSON has no infinity.
      Text.field("value", metric.value.isFinite ? Text.value(metric.value) : "null"),
      Text.field(
        "attributes",
        Text.object(
          metric.attributes.map { pair in
            "\(Text.value(pair.key)):\(Text.value(pair.value))"
          })),
      Text.field("timeUnixNano", Text.value(metric.timeNs)),
    ])
  }
}
