// What all operations together say about one partition.
import Values

/// Where an operation said that a value stands.
struct Sighting: Equatable {
  var operation: Int
  var isRead: Bool
}

/// The values and offsets of one partition, as senders and readers saw them.
struct PartitionLedger {
  let partition: TopicPartition
  /// By offset: the values seen there, each with its first sighting.
  private(set) var values: [Offset: [(value: Int64, by: Sighting)]] = [:]
  /// By value: the offsets it was seen at, each with its first sighting.
  private(set) var offsets: [Int64: [(offset: Offset, by: Sighting)]] = [:]
  /// Values that some consumer received.
  private(set) var read: Set<Int64> = []
  /// The highest offset that a consumer received, and who received it first.
  private(set) var highestRead: (offset: Offset, operation: Int)?
  /// Offsets at which a consumer of this history received something, in order: what nobody may
  /// pass over.
  private(set) var visible: [Offset] = []

  init(_ partition: TopicPartition) { self.partition = partition }

  mutating func note(_ value: Int64, at offset: Offset, _ sighting: Sighting) {
    if values[offset]?.contains(where: { $0.value == value }) != true {
      values[offset, default: []].append((value, sighting))
    }
    if offsets[value]?.contains(where: { $0.offset == offset }) != true {
      offsets[value, default: []].append((offset, sighting))
    }
    guard sighting.isRead else { return }
    read.insert(value)
    if offset > highestRead?.offset ?? -1 { highestRead = (offset, sighting.operation) }
  }

  /// To be called once everything is noted.
  mutating func close() {
    visible = values.keys.filter { offset in
      values[offset]?.contains { read.contains($0.value) } == true
    }.sorted()
  }

  /// The first visible offset strictly between two others.
  func visible(after low: Offset, before high: Offset) -> Offset? {
    var from = 0
    var to = visible.count
    while from < to {
      let middle = (from + to) / 2
      if visible[middle] <= low { from = middle + 1 } else { to = middle }
    }
    return from < visible.count && visible[from] < high ? visible[from] : nil
  }

  // MARK: Building

  /// One ledger for each partition, in the order of partitions.
  static func build(from history: History) -> [PartitionLedger] {
    var byPartition: [TopicPartition: PartitionLedger] = [:]
    for (index, operation) in history.operations.enumerated() {
      for access in operation.accesses {
        switch access {
        case .sent(let partition, let value, let offset):
          guard let offset, operation.outcome != .failed else { continue }
          byPartition[partition, default: PartitionLedger(partition)]
            .note(value, at: offset, Sighting(operation: index, isRead: false))
        case .received(let partition, let offset, let value):
          byPartition[partition, default: PartitionLedger(partition)]
            .note(value, at: offset, Sighting(operation: index, isRead: true))
        }
      }
    }
    return byPartition.keys.sorted().compactMap { key in
      var ledger = byPartition[key]
      ledger?.close()
      return ledger
    }
  }
}
