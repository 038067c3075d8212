// The same load from somebody else's client: librdkafka, by its command-line tool.
import Foundation
import Glibc
import Histories
import Platform
import Values

/// kcat, where it is installed.
enum Librdkafka {
  /// Nil when it is not in PATH.
  static let executable: String? = {
    let folders = (ProcessInformation.environment("PATH") ?? "").split(separator: ":")
    return folders.map { "\($0)/kcat" }.first { access($0, X_OK) == 0 }
  }()

  /// Ends reconnecting within a drill's time, where librdkafka's own pauses reach ten seconds.
  static func arguments(_ bootstrap: String, _ settings: [String: String]) -> [String] {
    var all = [
      "reconnect.backoff.ms": "20", "reconnect.backoff.max.ms": "200",
      "socket.timeout.ms": "5000", "topic.metadata.refresh.interval.ms": "2000",
    ]
    all.merge(settings) { $1 }
    return ["-b", bootstrap] + all.sorted { $0.key < $1.key }.flatMap { ["-X", "\($0)=\($1)"] }
  }

  /// A folder of one load's own.
  static func makeFolder() throws -> URL {
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "jackdaw-drill-\(UInt64.random(in: 0 ... .max))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
  }
}

/// Sends small batches, one process of kcat for each, to one partition after the other. A process
/// that ends well has had every record acknowledged; of any other nothing is known.
struct LibrdkafkaProducerLoad: Workload {
  let bootstrap: String
  let target: LoadTarget
  let recorder: Recorder
  let executable: String
  /// `all` (idempotent), or `1`.
  var acks = "all"
  static let recordsPerBatch = 20
  static let pauseMs: Int64 = 400
  static let deliveryTimeoutMs: Int64 = 30_000

  func run(until stop: StopSignal) async {
    guard let folder = try? Librdkafka.makeFolder() else { return }
    defer { try? FileManager.default.removeItem(at: folder) }
    var process = recorder.newProcess()
    var partition: Int32 = 0
    while !stop.isStopped {
      let at = TopicPartition(target.topic, partition)
      // What was not acknowledged may come to light behind what a later process sends.
      if await send(to: at, process, folder) != .ok { process = recorder.newProcess() }
      partition = (partition + 1) % target.partitions
      try? await Task.sleep(for: .milliseconds(Self.pauseMs))
    }
  }

  private func send(to at: TopicPartition, _ process: Int, _ folder: URL) async -> Outcome {
    let values = (0..<Self.recordsPerBatch).map { _ in recorder.newValue() }
    let input = folder.appending(path: "records")
    let output = folder.appending(path: "answers")
    try? FileManager.default.removeItem(at: output)
    let invoked = Clock.now()
    var outcome = Outcome.failed
    do {
      let text = values.map { "\($0)\n" }.joined()
      try Data(text.utf8).write(to: input)
      let child = try ChildProcess.start(
        executable, arguments(at, input), output: output.path)
      outcome = await Self.wait(for: child) == 0 && !Self.hasFailure(output) ? .ok : .unknown
    } catch {
      // It was never started.
    }
    recorder.add(
      Operation(
        process: process, values.map { .sent(at, value: $0, offset: nil) }, invoked: invoked,
        completed: Clock.now(), outcome: outcome))
    return outcome
  }

  private func arguments(_ at: TopicPartition, _ input: URL) -> [String] {
    let settings = [
      "acks": acks, "enable.idempotence": acks == "all" ? "true" : "false",
      "linger.ms": "2", "message.timeout.ms": "\(Self.deliveryTimeoutMs)",
    ]
    return Librdkafka.arguments(bootstrap, settings) + [
      "-P", "-t", at.topic, "-p", "\(at.partition)", "-k", "kcat\(at.partition)", "-l", input.path,
    ]
  }

  /// The exit status; nil when it did not end in time, and was made to.
  private static func wait(for child: ChildProcess) async -> Int32? {
    let deadline = Clock.now().advanced(milliseconds: deliveryTimeoutMs + 10_000)
    while Clock.now() < deadline {
      if let status = child.poll() { return status }
      try? await Task.sleep(for: .milliseconds(5))
    }
    child.terminate(graceMs: 0)
    return nil
  }

  private static func hasFailure(_ output: URL) -> Bool {
    let text = (try? String(contentsOf: output, encoding: .utf8)) ?? ""
    return text.contains("Delivery failed") || text.contains("Failed to")
  }
}

/// Reads all partitions from their start, in one process of kcat that is started again if it ends.
struct LibrdkafkaConsumerLoad: Workload {
  let target: LoadTarget
  let bootstrap: String
  let recorder: Recorder
  let executable: String

  func run(until stop: StopSignal) async {
    guard let folder = try? Librdkafka.makeFolder() else { return }
    defer { try? FileManager.default.removeItem(at: folder) }
    var number = 0
    while !stop.isStopped {
      number += 1
      let output = folder.appending(path: "read-\(number)")
      await consume(into: output, until: stop)
      try? await Task.sleep(for: .milliseconds(100))
    }
  }

  private func consume(into output: URL, until stop: StopSignal) async {
    let arguments =
      Librdkafka.arguments(bootstrap, [:])
      + ["-C", "-t", target.topic, "-o", "beginning", "-u", "-q", "-f", "%p %o %s\n"]
    guard let child = try? ChildProcess.start(executable, arguments, output: output.path) else {
      return
    }
    let process = recorder.newProcess()
    var rest = ""
    var position: UInt64 = 0
    while !stop.isStopped, child.poll() == nil {
      let invoked = Clock.now()
      try? await Task.sleep(for: .milliseconds(100))
      guard let text = Self.text(of: output, from: &position), !text.isEmpty else { continue }
      let read = Self.records(rest + text, of: target, rest: &rest)
      guard !read.isEmpty else { continue }
      recorder.add(
        Operation(
          process: process, read, invoked: invoked, completed: Clock.now(), outcome: .ok))
    }
    child.terminate(graceMs: 2_000)
  }

  private static func text(of file: URL, from position: inout UInt64) -> String? {
    guard let handle = try? FileHandle(forReadingFrom: file) else { return nil }
    defer { try? handle.close() }
    try? handle.seek(toOffset: position)
    guard let bytes = try? handle.readToEnd() else { return nil }
    position += UInt64(bytes.count)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// `partition offset value` on each line; the last line may not be complete yet.
  static func records(_ text: String, of target: LoadTarget, rest: inout String) -> [Access] {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    rest = lines.popLast().map(String.init) ?? ""
    return lines.compactMap { line in
      let fields = line.split(separator: " ")
      guard fields.count == 3, let partition = Int32(fields[0]), let offset = Int64(fields[1]),
        let value = Int64(fields[2])
      else { return nil }
      return .received(
        TopicPartition(target.topic, partition), offset: Offset(offset), value: value)
    }
  }
}
