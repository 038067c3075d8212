import KafkaClient
import Platform
import Synchronization
import Values

/// One member of a group that takes the time from each record's intended sending to its arrival.
final class TimingConsumer: Sendable {
  let tally: SharedTally
  private let consumer: Consumer
  private let topics: [String]
  private let isOver = Atomic(false)

  /// - Parameter fromStart: reads what is there already.
  init(
    topics: [String], group: String, bootstrap: String, fromStart: Bool, tally: Tally
  ) throws(ClientError) {
    self.topics = topics
    self.tally = SharedTally(tally)
    consumer = try Consumer([
      "bootstrap.servers": bootstrap, "group.id": group, "max.partition.fetch.bytes": "131072",
      "auto.offset.reset": fromStart ? "earliest" : "latest",
      // A rebalance must not make records vanish: they arrive late, and the figures show it.
      "enable.auto.commit": "true", "auto.commit.interval.ms": "1000",
    ])
  }

  /// How many partitions its group has given it.
  func assignedCount() async -> Int { await consumer.assignment.count }

  /// The generation of its group that it is a member of; -1: of none.
  func generation() async -> Int32 { await consumer.membership?.generationID ?? -1 }

  /// Waits until it knows where to read from: what is sent from here on, it will see.
  func settle() async throws {
    for partition in await consumer.assignment { _ = try await consumer.position(of: partition) }
  }

  func stop() { isOver.store(true, ordering: .relaxed) }

  func run() async throws {
    try await consumer.subscribe(topics)
    while !isOver.load(ordering: .relaxed) {
      let records = try await consumer.poll(timeoutMs: 200)
      let now = Clock.now().nanoseconds
      for record in records {
        guard let intended = RecordStamp.read(record.value) else { continue }
        tally.record(intended: intended, now: now, bytes: record.value?.count ?? 0)
      }
    }
    await consumer.close()
  }
}
