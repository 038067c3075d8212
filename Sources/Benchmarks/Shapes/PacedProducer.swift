import Bytes
import KafkaClient
import Platform
import Synchronization
import Values

/// One producer that sends at a rate, each record with the time when it should have gone.
final class PacedProducer: Sendable {
  /// Where its records go and what they are.
  struct Plan: Sendable {
    var topics: [String]
    var recordBytes: Int
    /// 0: none.
    var keys: Int
    var acks: String
  }

  let tally: SharedTally
  private let plan: Plan
  private let producer: Producer
  /// Records per second; 0: as fast as it goes. May change while it runs.
  private let rate: Atomic<Int>
  private let isOver = Atomic(false)
  private let isIdle = Atomic(true)
  private let filler: [UInt8]

  init(
    _ plan: Plan, bootstrap: String, rate: Int, tally: Tally
  ) throws(ClientError) {
    self.plan = plan
    self.tally = SharedTally(tally)
    self.rate = Atomic(rate)
    producer = try Producer([
      "bootstrap.servers": bootstrap, "acks": plan.acks, "linger.ms": "1",
      "batch.size": "131072", "enable.idempotence": plan.acks == "all" ? "true" : "false",
    ])
    filler = (0..<plan.recordBytes).map { _ in UInt8.random(in: 65...90) }
  }

  /// Learns of all topics, so that the first records do not wait for it.
  func warm() async throws {
    for topic in plan.topics { _ = try await producer.partitions(of: topic) }
  }

  func setRate(_ perSecond: Int) { rate.store(perSecond, ordering: .relaxed) }
  /// Whether nothing of it is under way.
  var hasFinished: Bool { isIdle.load(ordering: .acquiring) }
  func stop() { isOver.store(true, ordering: .relaxed) }

  /// Sends until it is stopped or `limit` records have been sent; then waits for what is under way.
  func run(limit: Int? = nil) async throws {
    isIdle.store(false, ordering: .relaxed)
    defer { isIdle.store(true, ordering: .releasing) }
    var sent = 0
    var paceStart = Clock.now().nanoseconds
    var sentAtPace = 0
    var pace = rate.load(ordering: .relaxed)
    while !isOver.load(ordering: .relaxed), sent < limit ?? .max {
      let wanted = rate.load(ordering: .relaxed)
      let now = Clock.now().nanoseconds
      if wanted != pace {
        (pace, paceStart, sentAtPace) = (wanted, now, 0)
      }
      guard pace > 0 else {
        // As fast as it goes: a record is due when there is room for it.
        for _ in 0..<min(1000, (limit ?? .max) - sent) {
          try await send(sent, intended: Clock.now().nanoseconds)
          sent += 1
        }
        await Task.yield()
        continue
      }
      let interval = 1_000_000_000 / Double(pace)
      let due = min(Int(Double(now - paceStart) / interval) - sentAtPace, (limit ?? .max) - sent)
      for _ in 0..<max(0, due) {
        try await send(sent, intended: paceStart + Int64(Double(sentAtPace) * interval))
        sent += 1
        sentAtPace += 1
      }
      try await Task.sleep(for: .milliseconds(1))
    }
    await producer.flush()
  }

  func close() async { await producer.close(timeoutMs: 5000) }

  private func send(_ number: Int, intended: Int64) async throws {
    var value = filler
    RecordStamp.write(intended, into: &value)
    let key = plan.keys > 0 ? Array("key-\(number % plan.keys)".utf8) : nil
    let record = ProducerRecord(
      topic: plan.topics[number % plan.topics.count], key: key, value: value)
    let (size, tally) = (plan.recordBytes, tally)
    try await producer.enqueueWhenThereIsRoom(record) { outcome in
      switch outcome {
      case .success:
        tally.record(intended: intended, now: Clock.now().nanoseconds, bytes: size)
      case .failure(let error): tally.fail("\(error)")
      }
    }
  }
}

/// The first eight bytes of a record's value: when it should have been sent, in nanoseconds of the
/// load generator's monotonic clock. Only the process that wrote it can make sense of it.
enum RecordStamp {
  static func write(_ nanoseconds: Int64, into value: inout [UInt8]) {
    withUnsafeBytes(of: nanoseconds.bigEndian) { stamp in
      for (index, byte) in stamp.enumerated() where index < value.count { value[index] = byte }
    }
  }

  /// Nil for a value that is too short to have one.
  static func read(_ value: [UInt8]?) -> Int64? {
    guard let value, value.count >= 8 else { return nil }
    return value.withUnsafeBytes { Int64(bigEndian: $0.loadUnaligned(as: Int64.self)) }
  }
}
