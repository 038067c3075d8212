import Compression
import KafkaProtocol
import Records
import Synchronization
import Values

/// Sends records to a cluster. Safe to use from any thread.
///
/// Records are gathered into batches by partition and sent by one event loop; no task is made for a
/// record. `enqueue` never waits; `send` waits for the delivery.
///
/// Configured by Kafka's own keys (`bootstrap.servers`, `acks`, `linger.ms`, …).
public final class Producer: @unchecked Sendable {  // `sender` is touched on the loop only
  public let cluster: KafkaCluster
  private let accumulator: Accumulator
  let sender: Sender
  let lingers: Bool
  private let isWakePending = Atomic<Bool>(false)

  /// - Parameter executor: as for `KafkaCluster`.
  public convenience init(
    _ properties: [String: String], executor: (any TaskExecutor)? = nil
  ) throws(ClientError) {
    try self.init(ClientConfig(properties, for: .producer), executor: executor)
  }

  public init(
    _ config: ClientConfig, executor: (any TaskExecutor)? = nil
  ) throws(ClientError) {
    let acks: Int16 =
      switch config.text("acks") {
      case "0": 0
      case "1": 1
      default: -1
      }
    let transactionalID = config.optionalText("transactional.id")
    let maxInFlight = Int(config.integer("max.in.flight.requests.per.connection"))
    // As Kafka's producer does: idempotence is dropped when other keys rule it out.
    let isIdempotent =
      transactionalID != nil
      || (config.bool("enable.idempotence") && acks == -1 && maxInFlight <= 5
        && config.integer("retries") > 0)
    if transactionalID != nil, acks != -1 {
      throw .configuration("acks=\(config.text("acks")): a transactional producer needs all")
    }
    lingers = config.integer("linger.ms") > 0
    cluster = try KafkaCluster(config, executor: executor)
    var batch = BatchOptions()
    batch.compressor = Self.compressor(config)
    batch.isTransactional = transactionalID != nil
    accumulator = Accumulator(
      Accumulator.Options(
        batchSize: max(1, Int(config.integer("batch.size"))),
        bufferMemory: Int(config.integer("buffer.memory")),
        maxRequestSize: Int(config.integer("max.request.size")),
        maxBlockMs: config.integer("max.block.ms"),
        ignoresKeys: config.bool("partitioner.ignore.keys"), batch: batch))
    sender = Sender(
      cluster: cluster, accumulator: accumulator,
      options: Sender.Options(
        acks: acks, lingerMs: config.integer("linger.ms"),
        batchSize: max(1, Int(config.integer("batch.size"))), maxInFlight: maxInFlight,
        maxRequestSize: Int(config.integer("max.request.size")),
        requestTimeoutMs: config.integer("request.timeout.ms"),
        deliveryTimeoutMs: config.integer("delivery.timeout.ms"),
        retries: config.integer("retries"), retryBackoffMs: config.integer("retry.backoff.ms"),
        isIdempotent: isIdempotent),
      identity: ProducerIdentity(cluster: cluster, transactionalID: transactionalID))
    start()
  }

  private static func compressor(_ config: ClientConfig) -> Compressor {
    let type = CompressionType(name: config.text("compression.type")) ?? .none
    switch type {
    case .gzip: return Compressor(type, level: Int(config.integer("compression.gzip.level")))
    case .lz4: return Compressor(type, level: Int(config.integer("compression.lz4.level")))
    case .zstd: return Compressor(type, level: Int(config.integer("compression.zstd.level")))
    case .none, .snappy: return Compressor(type)
    }
  }

  private func start() {
    cluster.loop.execute { [self] in
      cluster.metadataListeners.append { [weak self] metadata in
        guard let self else { return }
        sender.report(accumulator.update(metadata, at: cluster.loop.now))
        sender.drain()
      }
    }
  }

  // MARK: Sending

  /// Takes a record in and returns at once.
  ///
  /// - Parameter report: called on the client's loop when the record is delivered or has failed;
  ///   it must not block.
  /// - Throws: `.bufferFull` when `buffer.memory` is used up (wait with `waitForSpace`),
  ///   `.recordTooLarge`, `.closed`.
  public func enqueue(
    _ record: ProducerRecord, _ report: DeliveryReport? = nil
  ) throws(ClientError) {
    switch try accumulator.append(record, report, linger: lingers) {
    case .appended: break
    case .wake: wake()
    case .unknownTopic:
      cluster.loop.execute { [self] in
        cluster.follow([record.topic])
        cluster.requestUpdate()
        sender.drain()
      }
    }
  }

  /// Sends a record and waits until it is delivered.
  @discardableResult
  public func send(_ record: ProducerRecord) async throws(ClientError) -> RecordMetadata {
    while true {
      let result: Result<RecordMetadata, ClientError> = await withCheckedContinuation {
        continuation in
        do throws(ClientError) {
          try enqueue(record) { continuation.resume(returning: $0) }
        } catch {
          continuation.resume(returning: .failure(error))
        }
      }
      if case .failure(.bufferFull) = result {
        await waitForSpace()
        continue
      }
      return try result.get()
    }
  }

  /// Takes a record in, as `enqueue` does; waits while `buffer.memory` is used up.
  public func enqueueWhenThereIsRoom(
    _ record: ProducerRecord, _ report: @escaping DeliveryReport
  ) async throws(ClientError) {
    while true {
      do throws(ClientError) {
        return try enqueue(record, report)
      } catch {
        guard case .bufferFull = error else { throw error }
      }
      await waitForSpace()
    }
  }

  /// Waits until some of `buffer.memory` has been given back.
  public func waitForSpace() async {
    // While somebody waits, batches go without lingering.
    await accumulator.waitForSpace { wake() }
  }

  private func wake() {
    if isWakePending.exchange(true, ordering: .acquiringAndReleasing) { return }
    cluster.loop.execute { [self] in
      isWakePending.store(false, ordering: .releasing)
      sender.drain()
    }
  }

  /// Sends what is gathered and waits until all of it is delivered or has failed.
  public func flush() async {
    cluster.loop.execute { [self] in
      sender.isFlushing = true
      sender.drain()
    }
    await accumulator.waitUntilFinished()
    cluster.loop.execute { [self] in sender.isFlushing = false }
  }

  /// Records that are neither delivered nor failed.
  public var unfinishedCount: Int { accumulator.unfinishedCount }

  /// The partitions of a topic, asked for if they are not known.
  public func partitions(
    of topic: String
  ) async throws(ClientError) -> [ClusterMetadata.Partition] {
    if let known = cluster.metadata.topics[topic] { return known.partitions }
    return try await cluster.metadata(of: [topic], autoCreate: true).topics[topic]?.partitions ?? []
  }

  /// Delivers what is gathered, then closes the connections.
  /// - Parameter timeoutMs: after this what is left fails with `.closed`.
  public func close(timeoutMs: Int64 = 60_000) async {
    accumulator.close()
    let loop = cluster.loop
    let sender = Confined(sender)
    loop.execute {
      loop.schedule(afterMs: timeoutMs) { sender.value.failEverything(.closed) }
    }
    await flush()
    await cluster.close()
  }
}
