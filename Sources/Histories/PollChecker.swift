// What a consumer may see between one poll and the next, and within one.
import Values

/// Checks that a consumer's position moves forward, record by record, while it keeps an assignment.
enum PollChecker {
  private struct Reader: Hashable {
    var process: Int
    var generation: Int
    var partition: TopicPartition
  }

  static func check(
    _ history: History, _ ledgers: [PartitionLedger], _ findings: inout Findings
  ) {
    var byPartition: [TopicPartition: PartitionLedger] = [:]
    for ledger in ledgers { byPartition[ledger.partition] = ledger }
    var positions: [Reader: (offset: Offset, operation: Int)] = [:]
    for (index, operation) in history.operations.enumerated() {
      var seenHere: Set<TopicPartition> = []
      for case .received(let partition, let offset, _) in operation.accesses {
        let reader = Reader(
          process: operation.process, generation: operation.generation, partition: partition)
        let isInternal = !seenHere.insert(partition).inserted
        defer { positions[reader] = (offset, index) }
        guard let before = positions[reader] else { continue }
        let pair = [before.operation, index]
        if offset <= before.offset {
          findings.add(
            Anomaly(
              isInternal ? .internalNonmonotonicPoll : .nonmonotonicPoll, "\(partition)",
              "process \(operation.process) received offset \(offset) after \(before.offset)",
              operations: isInternal ? [index] : pair))
        } else if let skipped = byPartition[partition]?
          .visible(after: before.offset, before: offset)
        {
          findings.add(
            Anomaly(
              isInternal ? .internalPollSkip : .pollSkip, "\(partition)",
              "process \(operation.process) went from offset \(before.offset) to \(offset) past "
                + "\(skipped), which is there",
              operations: isInternal ? [index] : pair))
        }
      }
    }
  }
}
