// Consumers: in a group beside the faults.
import Histories
import KafkaClient
import Platform
import Synchronization
import Values

/// A member of a consumer group that reads all along and commits what it has read. When anything
/// goes wrong it goes on as a new member, as an application that is restarted would.
struct GroupConsumerLoad: Workload {
  let bootstrap: String
  let target: LoadTarget
  let group: String
  let member: String
  let recorder: Recorder

  func run(until stop: StopSignal) async {
    let process = recorder.newProcess()
    let assignments = AssignmentCounter()
    while !stop.isStopped {
      assignments.raise()
      guard let consumer = try? Consumer(settings, executor: LoadRuntime.executor) else { return }
      do {
        try await consume(consumer, process, assignments, stop)
      } catch {
        await LoadRuntime.pause(100)
      }
      await consumer.close()
    }
  }

  private var settings: [String: String] {
    [
      "bootstrap.servers": bootstrap, "group.id": group, "client.id": member,
      "auto.offset.reset": "earliest", "enable.auto.commit": "false",
      "session.timeout.ms": "6000", "heartbeat.interval.ms": "500",
      "request.timeout.ms": "5000", "default.api.timeout.ms": "10000",
      "retry.backoff.ms": "50", "reconnect.backoff.ms": "20",
      "reconnect.backoff.max.ms": "200", "metadata.max.age.ms": "2000",
    ]
  }

  private func consume(
    _ consumer: Consumer, _ process: Int, _ assignments: AssignmentCounter, _ stop: StopSignal
  ) async throws {
    let (recorder, group, member) = (recorder, group, member)
    try await consumer.subscribe(
      [target.topic],
      onAssigned: { [weak consumer] partitions in
        assignments.raise()
        let invoked = Clock.now()
        guard let membership = await consumer?.membership else { return }
        recorder.add(
          group: group,
          .assigned(
            member: "\(member) \(membership.memberID)", generation: membership.generationID,
            partitions),
          invoked: invoked)
      },
      onRevoked: { _ in assignments.raise() })
    while !stop.isStopped {
      let invoked = Clock.now()
      let records = try await consumer.poll(timeoutMs: 200)
      if records.isEmpty { continue }
      recorder.add(
        Operation(
          process: process, records.compactMap(Access.init), invoked: invoked,
          completed: Clock.now(), outcome: .ok, generation: assignments.value))
      await commit(consumer)
    }
  }

  private func commit(_ consumer: Consumer) async {
    let invoked = Clock.now()
    let positions = await consumer.positions
    // Refused when another generation owns the partitions, or the coordinator is away: what comes
    // next is committed with the next records.
    guard !positions.isEmpty, (try? await consumer.commit(positions)) != nil else { return }
    for partition in positions.keys.sorted() {
      guard let position = positions[partition] else { continue }
      recorder.add(group: group, .committed(partition, position.offset), invoked: invoked)
    }
  }
}

/// Asks for a group's offsets all along: they must never go back.
struct GroupOffsetLoad: Workload {
  let bootstrap: String
  let target: LoadTarget
  let group: String
  let recorder: Recorder

  func run(until stop: StopSignal) async {
    guard
      let observer = try? Consumer([
        "bootstrap.servers": bootstrap, "group.id": group, "request.timeout.ms": "5000",
        "default.api.timeout.ms": "5000", "reconnect.backoff.max.ms": "200",
      ], executor: LoadRuntime.executor)
    else { return }
    while !stop.isStopped {
      let invoked = Clock.now()
      if let committed = try? await observer.committed(target.all) {
        for partition in target.all {
          recorder.add(
            group: group, .fetched(partition, committed[partition]?.offset), invoked: invoked)
        }
      }
      await LoadRuntime.pause(100)
    }
    await observer.close()
  }
}

/// Numbers assignments, so that a checker knows when a position may jump.
final class AssignmentCounter: Sendable {
  private let count = Atomic<Int>(0)
  func raise() { count.add(1, ordering: .relaxed) }
  var value: Int { count.load(ordering: .relaxed) }
}

extension Access {
  /// What a record of ours says; nil for a record of somebody else's.
  init?(_ record: ConsumerRecord) {
    guard let value = record.value.flatMap({ Int64(String(decoding: $0, as: UTF8.self)) }) else {
      return nil
    }
    self = .received(record.topicPartition, offset: record.offset, value: value)
  }
}
