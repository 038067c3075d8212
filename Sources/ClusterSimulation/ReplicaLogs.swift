// What is really in the logs, on every replica's disk.
import Bytes
import Drills
import Foundation
import Histories
import LocalCluster
import Records
import Values

/// Reads the log files of all replicas of a topic beside the brokers, and judges them.
struct ReplicaLogs {
  let target: LoadTarget
  let brokers: [ClusterMember]
  let folder: ClusterFolder
  /// Numbers of the brokers that hold each partition; empty: all of them.
  var replicas: [[Int32]] = []

  private func holders(of partition: TopicPartition) -> [ClusterMember] {
    guard replicas.indices.contains(Int(partition.partition)) else { return brokers }
    let numbers = replicas[Int(partition.partition)]
    return brokers.filter { numbers.contains(Int32($0.number)) }
  }

  /// The logs that differ, one line each; empty when all replicas hold the same bytes.
  var differences: [String] {
    var found: [String] = []
    for partition in target.all {
      let logs = holders(of: partition).map {
        (name: $0.name, bytes: bytes(of: partition, on: $0))
      }
      guard let first = logs.first else { continue }
      for other in logs.dropFirst() where other.bytes != first.bytes {
        let at = zip(first.bytes, other.bytes).enumerated().first { $0.element.0 != $0.element.1 }
        found.append(
          "\(partition): \(first.name) has \(first.bytes.count) bytes, \(other.name) "
            + "\(other.bytes.count), they differ from byte "
            + "\(at?.offset ?? min(first.bytes.count, other.bytes.count))")
      }
    }
    return found
  }

  private func bytes(of partition: TopicPartition, on broker: ClusterMember) -> Data {
    Convergence.logBytes(
      folder.folder(of: broker).appending(path: "data").appending(path: "\(partition)"))
      ?? Data()
  }

  // MARK: Judging

  /// Compares the first replica with the history: everything acknowledged is where the
  /// acknowledgement said, nothing is there that nobody has sent, and nothing twice.
  ///
  /// - Parameter mayLose: what was acknowledged may be missing.
  func violations(of history: History, mayLose: Bool) -> [String] {
    var found: [String] = []
    var attempted: Set<Int64> = []
    var acknowledged: [TopicPartition: [(offset: Offset?, value: Int64)]] = [:]
    for operation in history.operations {
      for case .sent(let at, let value, let offset) in operation.accesses
      where operation.outcome != .failed && target.topic == at.topic {
        attempted.insert(value)
        if operation.outcome == .ok { acknowledged[at, default: []].append((offset, value)) }
      }
    }
    for partition in target.all {
      let content: [Offset: Int64]
      do {
        content = try records(of: partition)
      } catch {
        found.append("\(partition): the log cannot be read: \(error)")
        continue
      }
      let held = Set(content.values)
      if held.count < content.count { found.append("\(partition): a value is there twice") }
      for value in held.subtracting(attempted).sorted() {
        found.append("\(partition): value \(value) is in the log, and nobody has sent it")
      }
      if mayLose { continue }
      for (offset, value) in acknowledged[partition] ?? []
      where offset.map({ content[$0] != value }) ?? !held.contains(value) {
        found.append(
          "\(partition): value \(value) was acknowledged"
            + (offset.map { " at offset \($0)" } ?? "") + ", and the log does not have it there")
      }
    }
    return found
  }

  private struct Unreadable: Error, CustomStringConvertible {
    let description: String
  }

  /// Offset → value, of the first replica.
  private func records(of partition: TopicPartition) throws -> [Offset: Int64] {
    guard let broker = holders(of: partition).first else { return [:] }
    var content: [Offset: Int64] = [:]
    let bytes = bytes(of: partition, on: broker)
    try bytes.withUnsafeBytes { raw in
      var batches = BatchIterator(raw)
      var scratch = ByteWriter(reserving: 64)
      var next: Offset = -1
      while let batch = try batches.next() {
        try batch.validate()
        guard batch.header.baseOffset >= next else {
          throw Unreadable(description: "offset \(batch.header.baseOffset) after \(next - 1)")
        }
        var records = try batch.records(scratch: &scratch)
        while let record = try records.next() {
          guard let value = record.value else { continue }
          content[record.offset] = Int64(String(decoding: value, as: UTF8.self)) ?? -1
        }
        next = batch.header.baseOffset + Int64(batch.header.lastOffsetDelta) + 1
      }
      if batches.remaining > 0 { throw Unreadable(description: "the last batch is cut off") }
    }
    return content
  }
}
