// Reads of what never happened, and circles of transactions.
import Values

/// The isolation anomalies that Kafka's read_committed excludes: G1a, G1c; and sends of one
/// operation that others came between.
///
/// Writes of two transactions that interleave in a partition (G0) are normal in Kafka: order within
/// a partition is no dependency here, only reading what another wrote is.
enum TransactionChecker {
  static func check(_ history: History, _ findings: inout Findings) {
    var writers: [Int64: Int] = [:]
    for (index, operation) in history.operations.enumerated() {
      for case .sent(_, let value, _) in operation.accesses { writers[value] = index }
    }
    checkAbortedReads(history, writers, &findings)
    checkCircles(history, writers, &findings)
    checkSendSkips(history, &findings)
  }

  private static func checkAbortedReads(
    _ history: History, _ writers: [Int64: Int], _ findings: inout Findings
  ) {
    for (index, operation) in history.operations.enumerated() {
      for case .received(let partition, let offset, let value) in operation.accesses {
        guard let writer = writers[value], history.operations[writer].outcome == .failed else {
          continue
        }
        findings.add(
          Anomaly(
            .abortedRead, "\(partition)",
            "offset \(offset) was read with value \(value), whose write had failed",
            operations: [writer, index]))
      }
    }
  }

  /// Transactions that read each other's writes, directly or through others (Tarjan's strongly
  /// connected components, without recursion: histories are long).
  private static func checkCircles(
    _ history: History, _ writers: [Int64: Int], _ findings: inout Findings
  ) {
    let count = history.operations.count
    var readers = [[Int]](repeating: [], count: count)
    for (index, operation) in history.operations.enumerated()
    where operation.isTransaction && operation.outcome == .ok {
      for case .received(_, _, let value) in operation.accesses {
        guard let writer = writers[value], writer != index,
          history.operations[writer].isTransaction
        else { continue }
        readers[writer].append(index)
      }
    }
    for circle in Components(edges: readers).circles {
      findings.add(
        Anomaly(
          .circularFlow, "transactions",
          "\(circle.count) transactions read each other's writes in a circle",
          operations: circle))
    }
  }

  /// Records that one operation sent to a partition stand together.
  private static func checkSendSkips(_ history: History, _ findings: inout Findings) {
    var owners: [TopicPartition: [Offset: Int]] = [:]
    for (index, operation) in history.operations.enumerated() {
      for case .sent(let partition, _, let offset?) in operation.accesses {
        owners[partition, default: [:]][offset] = index
      }
    }
    for (index, operation) in history.operations.enumerated()
    where operation.outcome == .ok && !operation.isTransaction {
      var last: [TopicPartition: Offset] = [:]
      for case .sent(let partition, _, let offset?) in operation.accesses {
        defer { last[partition] = offset }
        guard let before = last[partition], before + 1 < offset else { continue }
        let between = (before + 1..<offset).first { (owners[partition]?[$0] ?? index) != index }
        guard let between, let other = owners[partition]?[between] else { continue }
        findings.add(
          Anomaly(
            .internalSendSkip, "\(partition)",
            "offset \(between) of another operation stands between \(before) and \(offset)",
            operations: [index, other]))
      }
    }
  }
}

/// Strongly connected components of more than one node.
struct Components {
  private(set) var circles: [[Int]] = []
  private let edges: [[Int]]
  private var order: [Int]
  private var low: [Int]
  private var isOnStack: [Bool]
  private var stack: [Int] = []
  private var next = 0

  init(edges: [[Int]]) {
    self.edges = edges
    order = Array(repeating: -1, count: edges.count)
    low = order
    isOnStack = Array(repeating: false, count: edges.count)
    for node in edges.indices where order[node] < 0 && !edges[node].isEmpty { visit(node) }
  }

  private mutating func enter(_ node: Int) {
    order[node] = next
    low[node] = next
    next += 1
    stack.append(node)
    isOnStack[node] = true
  }

  private mutating func visit(_ root: Int) {
    var path: [(node: Int, edge: Int)] = [(root, 0)]
    enter(root)
    while let (node, edge) = path.last {
      if edge < edges[node].count {
        path[path.count - 1].edge += 1
        let target = edges[node][edge]
        if order[target] < 0 {
          enter(target)
          path.append((target, 0))
        } else if isOnStack[target] {
          low[node] = min(low[node], order[target])
        }
        continue
      }
      path.removeLast()
      if let parent = path.last?.node { low[parent] = min(low[parent], low[node]) }
      if low[node] == order[node] { close(node) }
    }
  }

  private mutating func close(_ root: Int) {
    var members: [Int] = []
    while let node = stack.popLast() {
      isOnStack[node] = false
      members.append(node)
      if node == root { break }
    }
    if members.count > 1 { circles.append(members.sorted()) }
  }
}
