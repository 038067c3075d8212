import Benchmarks
import KafkaClient
import Platform
import Synchronization
import Values

/// Produces a number of records at a rate, and keeps the latency of each from when it was due.
struct ProduceLoad {
  let topic: String
  let count: Int
  /// Records per second; 0 or less: as fast as possible.
  let throughput: Int

  /// What the deliveries have come to.
  struct Result: Sendable {
    var window = LatencyHistogram()
    var total = LatencyHistogram()
    var failed = 0
    var firstFailure: ClientError?
    var elapsedMs: Int64 = 0
  }

  private final class Shared: Sendable {
    let result = Mutex(Result())
  }

  /// - Parameters:
  ///   - value: the value of the nth record.
  ///   - everyMs: how often `report` is called with what has come since.
  func run(
    _ producer: Producer, value: (Int) -> [UInt8], everyMs: Int64 = 5000,
    report: (LatencyHistogram, Int64) -> Void = { _, _ in }
  ) async throws -> Result {
    let shared = Shared()
    let started = Clock.now()
    var windowStart = started
    for number in 0..<count {
      var due = Clock.now()
      // When it should have been sent: a slow producer must not hide the wait before it.
      if throughput > 0 {
        due = started.advanced(milliseconds: Int64(number) * 1000 / Int64(throughput))
        let ahead = due.milliseconds(since: Clock.now())
        if ahead > 0 { try await Task.sleep(for: .milliseconds(ahead)) }
      }
      try await enqueue(ProducerRecord(topic: topic, value: value(number)), due, producer, shared)
      if number & 1023 == 0, Clock.now().milliseconds(since: windowStart) >= everyMs {
        let window = shared.result.withLock { result in
          defer { result.window = LatencyHistogram() }
          return result.window
        }
        report(window, max(1, Clock.now().milliseconds(since: windowStart)))
        windowStart = Clock.now()
      }
    }
    await producer.flush()
    var result = shared.result.withLock { $0 }
    result.elapsedMs = max(1, Clock.now().milliseconds(since: started))
    return result
  }

  private func enqueue(
    _ record: ProducerRecord, _ due: Instant, _ producer: Producer, _ shared: Shared
  ) async throws {
    try await producer.enqueueWhenThereIsRoom(record) { outcome in
      let microseconds = (Clock.now().nanoseconds - due.nanoseconds) / 1000
      shared.result.withLock { result in
        switch outcome {
        case .success:
          result.window.record(microseconds)
          result.total.record(microseconds)
        case .failure(let error):
          result.failed += 1
          result.firstFailure = result.firstFailure ?? error
        }
      }
    }
  }
}
