// Producers with keys, and what is known of every record they sent.
import Histories
import KafkaClient
import KafkaProtocol
import Platform
import Values

/// Sends values at an even rate through one producer, each key to a partition of its own, so that
/// order can be judged.
struct ProducerLoad: Workload {
  let bootstrap: String
  let target: LoadTarget
  let recorder: Recorder
  /// `all` (idempotent), `1` or `0`.
  var acks = "all"
  var recordsPerSecond = 500
  /// After this a record's fate is unknown.
  var deliveryTimeoutMs: Int64 = 30_000
  private static let recordsInARow: Int64 = 500

  func run(until stop: StopSignal) async {
    guard
      let producer = try? Producer([
        "bootstrap.servers": bootstrap, "acks": acks,
        "enable.idempotence": acks == "all" ? "true" : "false",
        "linger.ms": "2", "delivery.timeout.ms": "\(deliveryTimeoutMs)",
        "request.timeout.ms": "5000", "max.block.ms": "10000", "retry.backoff.ms": "50",
        "reconnect.backoff.ms": "20", "reconnect.backoff.max.ms": "200",
        "max.in.flight.requests.per.connection": acks == "all" ? "5" : "1",
        "metadata.max.age.ms": "2000",
      ], executor: LoadRuntime.executor)
    else { return }
    let process = recorder.newProcess()
    let start = Clock.now()
    var sent: Int64 = 0
    while !stop.isStopped {
      let due = Clock.now().milliseconds(since: start) * Int64(recordsPerSecond) / 1000
      // A machine that cannot keep up is always behind: the thread is given back all the same, for
      // the few there are serve whoever counts the time, too.
      let most = sent + Self.recordsInARow
      while sent < min(due, most), !stop.isStopped {
        sent += 1
        await send(producer, process)
      }
      await LoadRuntime.pause(max(2, 1_000 / Int64(max(1, recordsPerSecond))))
    }
    await producer.close(timeoutMs: deliveryTimeoutMs + 5_000)
  }

  private func send(_ producer: Producer, _ process: Int) async {
    let value = recorder.newValue()
    let at = TopicPartition(target.topic, Int32(value % Int64(target.partitions)))
    let record = ProducerRecord(
      topic: at.topic, partition: at.partition, key: Array("k\(at.partition)".utf8),
      value: Array("\(value)".utf8))
    let invoked = Clock.now()
    let recorder = recorder
    let settle: @Sendable (Offset?, Outcome) -> Void = { offset, outcome in
      recorder.add(
        Operation(
          process: process, [.sent(at, value: value, offset: offset)], invoked: invoked,
          completed: Clock.now(), outcome: outcome))
    }
    do {
      try producer.enqueue(record) { result in
        switch result {
        case .success(let metadata): settle(metadata.offset >= 0 ? metadata.offset : nil, .ok)
        case .failure(let error): settle(nil, Self.outcome(of: error))
        }
      }
    } catch {
      // It never left this process.
      settle(nil, .failed)
      if error == .bufferFull { await producer.waitForSpace() }
    }
  }

  /// Errors of which the protocol says that nothing was appended; of all others nobody knows.
  static func outcome(of error: ClientError) -> Outcome {
    let refusals: [ErrorCode] = [
      .messageTooLarge, .invalidTopicException, .recordListTooLarge, .invalidRequiredAcks,
      .topicAuthorizationFailed, .clusterAuthorizationFailed, .invalidRecord,
    ]
    if let code = error.code, refusals.contains(code) { return .failed }
    return .unknown
  }
}
