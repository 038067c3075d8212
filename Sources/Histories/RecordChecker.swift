// The anomalies of records: lost, doubled, reordered, passed over.
import Values

/// Judges what producers and consumers did to partitions.
///
/// A finding always names operations that contradict each other: it never rests on what was not
/// observed, except where `History.hasFinalRead` says that everything was looked at.
public enum RecordChecker {
  /// All anomalies of records and transactions in a history.
  public static func check(_ history: History) -> Findings {
    var findings = Findings()
    let ledgers = PartitionLedger.build(from: history)
    for ledger in ledgers {
      checkOffsets(ledger, &findings)
    }
    checkSends(history, ledgers, &findings)
    checkProducerOrder(history, &findings)
    PollChecker.check(history, ledgers, &findings)
    TransactionChecker.check(history, &findings)
    return findings
  }

  /// One value for each offset, one offset for each value.
  private static func checkOffsets(_ ledger: PartitionLedger, _ findings: inout Findings) {
    for offset in ledger.values.keys.sorted() {
      guard let seen = ledger.values[offset], seen.count > 1 else { continue }
      findings.add(
        Anomaly(
          .inconsistentOffsets, "\(ledger.partition)",
          "offset \(offset) holds \(seen.map { "\($0.value)" }.joined(separator: " and "))",
          operations: seen.map(\.by.operation)))
    }
    for value in ledger.offsets.keys.sorted() {
      guard let seen = ledger.offsets[value], seen.count > 1 else { continue }
      findings.add(
        Anomaly(
          .duplicate, "\(ledger.partition)",
          "value \(value) stands at offsets "
            + seen.map { "\($0.offset)" }.joined(separator: " and "),
          operations: seen.map(\.by.operation)))
    }
  }

  /// Every acknowledged record is read, if somebody read past it or everything was read.
  private static func checkSends(
    _ history: History, _ ledgers: [PartitionLedger], _ findings: inout Findings
  ) {
    var byPartition: [TopicPartition: PartitionLedger] = [:]
    for ledger in ledgers { byPartition[ledger.partition] = ledger }
    for (index, operation) in history.operations.enumerated() where operation.outcome == .ok {
      for case .sent(let partition, let value, let offset) in operation.accesses {
        let ledger = byPartition[partition]
        if ledger?.read.contains(value) == true { continue }
        if let offset, let further = ledger?.highestRead, further.offset > offset {
          findings.add(
            Anomaly(
              .lostWrite, "\(partition)",
              "value \(value) was acknowledged at offset \(offset), and nobody read it though "
                + "offset \(further.offset) was read",
              operations: [index, further.operation]))
        } else if history.hasFinalRead {
          findings.add(
            Anomaly(
              .unseen, "\(partition)",
              "value \(value) was acknowledged"
                + (offset.map { " at offset \($0)" } ?? "")
                + ", and the final read did not find it",
              operations: [index]))
        }
      }
    }
  }

  /// Offsets of one producer's sends to a partition rise in the order of invocation. Holds for
  /// producers that are idempotent or have one request in flight.
  private static func checkProducerOrder(_ history: History, _ findings: inout Findings) {
    struct Stream: Hashable {
      var process: Int
      var partition: TopicPartition
    }
    var last: [Stream: (offset: Offset, value: Int64, operation: Int)] = [:]
    for (index, operation) in history.operations.enumerated() where operation.outcome == .ok {
      for case .sent(let partition, let value, let offset?) in operation.accesses {
        let stream = Stream(process: operation.process, partition: partition)
        if let before = last[stream], before.offset >= offset, before.value != value {
          findings.add(
            Anomaly(
              .nonmonotonicSend, "\(partition)",
              "process \(operation.process) sent \(before.value) before \(value), which stand at "
                + "offsets \(before.offset) and \(offset)",
              operations: [before.operation, index]))
        }
        if offset > last[stream]?.offset ?? -1 { last[stream] = (offset, value, index) }
      }
    }
  }
}
