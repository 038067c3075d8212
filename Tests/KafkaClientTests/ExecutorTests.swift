import KafkaProtocol
import Platform
import Synchronization
import Testing
import Values

@testable import KafkaClient

/// A client whose tasks run on a given loop does nothing anywhere else but on its own loop.
@Suite struct ExecutorTests {
  private final class Seen<Value: Sendable>: Sendable {
    private let list = Mutex<[Value]>([])
    func append(_ value: Value) { list.withLock { $0.append(value) } }
    var all: [Value] { list.withLock { $0 } }
  }

  /// Runs `body` in a task on a loop of its own, and waits for its end.
  private func onLoop(
    _ body: @escaping @Sendable (EventLoopExecutor) async throws -> Void
  ) async throws {
    let loop = try EventLoop(name: "tasks")
    let executor = EventLoopExecutor(loop)
    let task = Task(executorPreference: executor) { try await body(executor) }
    try await task.value
    loop.stop()
    loop.join()
  }

  @Test func tasksTakeTurnsOnTheLoop() async throws {
    try await onLoop { executor in
      let order = Seen<Int>()
      #expect(executor.loop.isCurrent)
      let tasks = (0..<3).map { number in
        Task(executorPreference: executor) {
          for _ in 0..<2 {
            #expect(executor.loop.isCurrent)
            order.append(number)
            await Task.yield()
          }
        }
      }
      for task in tasks { await task.value }
      #expect(order.all == [0, 1, 2, 0, 1, 2])
    }
  }

  @Test func aGroupsWorkIsDoneOnTheLoop() async throws {
    let fake = try FakeCluster()
    defer { fake.stop() }
    fake.createTopic("quotes", partitions: 2)
    let properties = settings(
      fake,
      [
        "group.id": "g", "auto.offset.reset": "earliest", "heartbeat.interval.ms": "20",
        "auto.commit.interval.ms": "20",
      ])
    try await onLoop { executor in
      let producer = try Producer(settings(fake), executor: executor)
      for number in 0..<20 {
        try await producer.send(
          ProducerRecord(topic: "quotes", partition: Int32(number % 2), value: [UInt8(number)]))
        #expect(executor.loop.isCurrent)
      }
      await producer.close()
      let assignedOnLoop = Seen<Bool>()
      let consumer = try Consumer(properties, executor: executor)
      // Told by the task that joins the group, which the consumer makes for itself.
      try await consumer.subscribe(
        ["quotes"],
        onAssigned: { _ in assignedOnLoop.append(executor.loop.isCurrent) })
      var count = 0
      for _ in 0..<200 where count < 20 { count += try await consumer.poll(timeoutMs: 50).count }
      #expect(count == 20)
      #expect(executor.loop.isCurrent)
      await consumer.close()
      #expect(assignedOnLoop.all == [true])
    }
  }
}
