import Foundation
import Histories
import Testing
import Values

@testable import Drills

/// The load of somebody else's client, with a script in the place of kcat.
struct LibrdkafkaLoadTests {
  private let target = LoadTarget(topic: "t", partitions: 2)

  private func script(_ text: String) throws -> String {
    let file = FileManager.default.temporaryDirectory.appending(path: "kcat-\(UUID())")
    try Data("#!/bin/sh\n\(text)\n".utf8).write(to: file)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
    return file.path
  }

  /// Runs a load until it has recorded so many operations.
  private func record(
    _ count: Int, _ load: (Recorder) -> any Workload
  ) async -> [Histories.Operation] {
    let (recorder, stop) = (Recorder(), StopSignal())
    let load = load(recorder)
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await load.run(until: stop) }
      for _ in 0..<1_000 where recorder.history(hasFinalRead: false).operations.count < count {
        try? await Task.sleep(for: .milliseconds(10))
      }
      stop.stop()
      await group.waitForAll()
    }
    return recorder.history(hasFinalRead: false).operations
  }

  @Test(arguments: [
    ("exit 0", Outcome.ok), ("exit 1", .unknown),
    ("echo '% Delivery failed for message: Local: Message timed out'", .unknown),
  ])
  func aBatchIsAcknowledgedWhenItsProcessSaysSo(_ text: String, _ outcome: Outcome) async throws {
    let kcat = try script(text)
    defer { try? FileManager.default.removeItem(atPath: kcat) }
    let operations = await record(2) { recorder in
      LibrdkafkaProducerLoad(
        bootstrap: "127.0.0.1:1", target: target, recorder: recorder, executable: kcat)
    }
    #expect(operations.count >= 2)
    #expect(operations.allSatisfy { $0.outcome == outcome })
    #expect(operations[0].accesses.count == LibrdkafkaProducerLoad.recordsPerBatch)
    // Whatever may still come of a failed batch, the next one is another process's.
    #expect((operations[0].process == operations[1].process) == (outcome == .ok))
  }

  @Test func whatIsReadIsRecorded() async throws {
    let kcat = try script("echo '1 5 42'; echo '0 7 43'; echo 'not ours'; exec sleep 30")
    defer { try? FileManager.default.removeItem(atPath: kcat) }
    let operations = await record(1) { recorder in
      LibrdkafkaConsumerLoad(
        target: target, bootstrap: "127.0.0.1:1", recorder: recorder, executable: kcat)
    }
    #expect(
      operations.flatMap(\.accesses) == [
        .received(TopicPartition("t", 1), offset: 5, value: 42),
        .received(TopicPartition("t", 0), offset: 7, value: 43),
      ])
  }

  @Test func aLineIsTakenWhenItIsComplete() {
    var rest = ""
    let first = LibrdkafkaConsumerLoad.records("0 1 2\n0 2 3", of: target, rest: &rest)
    #expect(first == [.received(TopicPartition("t", 0), offset: 1, value: 2)])
    let second = LibrdkafkaConsumerLoad.records(rest + "4\n", of: target, rest: &rest)
    #expect(second == [.received(TopicPartition("t", 0), offset: 2, value: 34)])
  }
}
