import Containers
import KafkaProtocol
import Platform
import Records
import Synchronization
import Values

/// Gathers records into batches by partition, from any thread.
///
/// Records of topics whose partitions are not known yet wait in order until metadata comes.
final class Accumulator: Sendable {
  struct Options: Sendable {
    var batchSize: Int
    var bufferMemory: Int
    var maxRequestSize: Int
    var maxBlockMs: Int64
    var ignoresKeys: Bool
    var batch: BatchOptions
  }

  /// A partition's batches, oldest first; the last may still be filled.
  struct Lane {
    var batches = RingQueue<ProducerBatch>()
    /// The last batch takes no more records.
    var isLastSealed = false
  }

  struct Waiting {
    var record: ProducerRecord
    var report: DeliveryReport?
    var deadline: Instant
  }

  struct Topic {
    var partitionCount = 0
    /// Partitions that have a leader.
    var available: [Int32] = []
    var sticky = StickyPartition()
    var waiting: [Waiting] = []
  }

  struct State {
    var topics: [String: Topic] = [:]
    var lanes: [TopicPartition: Lane] = [:]
    var used = 0
    /// Records that are neither delivered nor failed.
    var unfinished = 0
    var isClosed = false
    var random = SystemRandom()
    var spaceWaiters: [CheckedContinuation<Void, Never>] = []
    var flushWaiters: [CheckedContinuation<Void, Never>] = []
  }

  let options: Options
  private let state: Mutex<State>

  init(_ options: Options) {
    self.options = options
    state = Mutex(State())
  }

  func withLock<T>(_ body: (inout sending State) throws -> sending T) rethrows -> sending T {
    try state.withLock(body)
  }

  /// What the caller has to do after an append.
  enum Outcome {
    case appended
    /// A batch is new or full: the sender should look.
    case wake
    /// The topic is not known yet: metadata should be asked for.
    case unknownTopic
  }

  /// Takes a record in; throws when it is too large, when memory is used up, or after closing.
  func append(
    _ record: ProducerRecord, _ report: DeliveryReport?, linger: Bool
  ) throws(ClientError) -> Outcome {
    let size = record.sizeBound
    guard size + BatchHeader.sizeV2 <= options.maxRequestSize else {
      throw .recordTooLarge(bytes: size, limit: options.maxRequestSize)
    }
    let result: Result<Outcome, ClientError> = state.withLock { state in
      if state.isClosed { return .failure(.closed) }
      // One record always fits into an empty buffer.
      if state.used > 0, state.used + size > options.bufferMemory { return .failure(.bufferFull) }
      state.used += size
      state.unfinished += 1
      let now = Clock.now()
      let known = state.topics[record.topic, default: Topic()].partitionCount
      guard known > 0 else {
        let deadline = now.advanced(milliseconds: options.maxBlockMs)
        let waiting = Waiting(record: record, report: report, deadline: deadline)
        state.topics[record.topic, default: Topic()].waiting.append(waiting)
        let isFirst = state.topics[record.topic]?.waiting.count == 1
        return .success(isFirst ? .unknownTopic : .appended)
      }
      let partition = choose(
        record, size: size, &state.topics[record.topic, default: Topic()], &state.random)
      let isNews = place(record, report, on: partition, at: now, &state.lanes)
      return .success(isNews || !linger ? .wake : .appended)
    }
    return try result.get()
  }

  private func choose(
    _ record: ProducerRecord, size: Int, _ topic: inout Topic,
    _ random: inout SystemRandom
  ) -> Int32 {
    if let partition = record.partition { return partition }
    if let key = record.key, !options.ignoresKeys {
      return Partitioner.partition(of: key, count: topic.partitionCount)
    }
    return topic.sticky.next(
      size: size, batchSize: options.batchSize, available: topic.available,
      count: topic.partitionCount, using: &random)
  }

  /// Puts a record into the open batch of a partition, or into a new one; true when the sender
  /// should look: there is a new batch, whose time begins, or a full one.
  private func place(
    _ record: ProducerRecord, _ report: DeliveryReport?, on index: Int32, at now: Instant,
    _ lanes: inout [TopicPartition: Lane]
  ) -> Bool {
    let partition = TopicPartition(record.topic, index)
    let timestamp = record.timestamp ?? Clock.wallNow().milliseconds
    let size = record.sizeBound
    if let batch = lanes[partition]?.batches.last, lanes[partition]?.isLastSealed == false,
      batch.size + size <= options.batchSize
    {
      batch.append(record, timestamp: timestamp, report)
      return batch.size >= options.batchSize
    }
    let batch = ProducerBatch(
      partition, options.batch, capacity: max(size + 64, min(options.batchSize, 16_384)), at: now)
    batch.append(record, timestamp: timestamp, report)
    lanes[partition, default: Lane()].batches.append(batch)
    lanes[partition, default: Lane()].isLastSealed = false
    return true
  }

  // MARK: Metadata

  /// Takes in the partitions of topics; records that waited for them get their place.
  /// Returns what failed, for its reports to be made outside of the lock.
  func update(_ metadata: ClusterMetadata, at now: Instant) -> [(Waiting, ClientError)] {
    state.withLock { state in
      var failed: [(Waiting, ClientError)] = []
      for name in state.topics.keys.sorted() {
        guard var topic = state.topics[name] else { continue }
        let known = metadata.topics[name]
        if let known, !known.partitions.isEmpty {
          topic.partitionCount = known.partitions.count
          topic.available = known.partitions.filter { $0.leader >= 0 }.map(\.index)
          let waiting = topic.waiting
          topic.waiting = []
          for entry in waiting {
            let index = choose(
              entry.record, size: entry.record.sizeBound, &topic, &state.random)
            _ = place(entry.record, entry.report, on: index, at: now, &state.lanes)
          }
        } else if let error = known?.error, error != .none, !error.isRetriable {
          failed += topic.waiting.map { ($0, ClientError(error, name)) }
          topic.waiting = []
        }
        state.topics[name] = topic
      }
      return failed
    }
  }

  /// Records whose topic has not become known in time.
  func expireWaiting(at now: Instant) -> [(Waiting, ClientError)] {
    state.withLock { state in
      var failed: [(Waiting, ClientError)] = []
      for name in state.topics.keys.sorted() where state.topics[name]?.waiting.isEmpty == false {
        let waiting = state.topics[name]?.waiting ?? []
        state.topics[name]?.waiting = waiting.filter { $0.deadline > now }
        for entry in waiting where entry.deadline <= now {
          failed.append((entry, .timedOut("no metadata of topic \(name)")))
        }
      }
      return failed
    }
  }

  /// Whether some records still wait for their topic.
  var hasWaiting: Bool { state.withLock { $0.topics.values.contains { !$0.waiting.isEmpty } } }

  // MARK: Space

  /// Gives back what finished records have held; wakes whoever waited for space or for the end.
  func release(bytes: Int, records: Int) {
    let resumed = state.withLock { state in
      state.used -= bytes
      state.unfinished -= records
      var resumed = state.spaceWaiters
      state.spaceWaiters = []
      if state.unfinished == 0 {
        resumed += state.flushWaiters
        state.flushWaiters = []
      }
      return resumed
    }
    for continuation in resumed { continuation.resume() }
  }

  /// Returns when something was released.
  /// - Parameter waiting: called once the wait has begun, to make the sender look.
  func waitForSpace(_ waiting: @Sendable () -> Void) async {
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        if state.used == 0 || state.isClosed { return true }
        state.spaceWaiters.append(continuation)
        return false
      }
      if isFree { continuation.resume() } else { waiting() }
    }
  }

  /// Returns when every record taken in so far is delivered or has failed.
  func waitUntilFinished() async {
    await withCheckedContinuation { continuation in
      let isDone = state.withLock { state in
        if state.unfinished == 0 { return true }
        state.flushWaiters.append(continuation)
        return false
      }
      if isDone { continuation.resume() }
    }
  }

  /// Lets no more records in.
  func close() { state.withLock { $0.isClosed = true } }

  var unfinishedCount: Int { state.withLock { $0.unfinished } }
}
