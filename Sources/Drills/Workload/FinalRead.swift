// After everything has healed: what is really there?
import Histories
import KafkaClient
import Platform
import Values

/// Reads every partition from its start to the end it has when the reading begins.
struct FinalRead {
  let bootstrap: String
  let target: LoadTarget
  let recorder: Recorder

  /// - Returns: whether everything was read within the time.
  func run(limitMs: Int64) async throws -> Bool {
    let consumer = try Consumer([
      "bootstrap.servers": bootstrap, "auto.offset.reset": "earliest",
      "request.timeout.ms": "10000",
    ], executor: LoadRuntime.executor)
    let isComplete = try await read(consumer, limitMs: limitMs)
    await consumer.close()
    return isComplete
  }

  private func read(_ consumer: Consumer, limitMs: Int64) async throws -> Bool {
    let deadline = Clock.now().advanced(milliseconds: limitMs)
    try await consumer.assign(target.all)
    let ends = try await consumer.endOffsets(target.all)
    try await consumer.seek(target.all, to: .earliest)
    let process = recorder.newProcess()
    while Clock.now() < deadline {
      let invoked = Clock.now()
      let records = try await consumer.poll(timeoutMs: 200)
      if !records.isEmpty {
        recorder.add(
          Operation(
            process: process, records.compactMap(Access.init), invoked: invoked,
            completed: Clock.now(), outcome: .ok))
      }
      var isDone = true
      for partition in target.all {
        let position = try await consumer.position(of: partition)
        if position < ends[partition] ?? 0 { isDone = false }
      }
      if isDone { return true }
    }
    return false
  }
}
