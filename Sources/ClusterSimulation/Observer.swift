// Looks at the nodes between the turns: who leads, and whether at most one does.
import BrokerNode
import ControllerNode
import CoordinatorNode
import LocalCluster
import Values

/// Used by the driver's thread only, while nothing runs.
final class Observer {
  private let cluster: SimulatedCluster
  /// Epoch of the controller quorum → who led it.
  private var leaders: [Int32: String] = [:]
  /// What must never be.
  private(set) var violations: [String] = []

  init(_ cluster: SimulatedCluster) { self.cluster = cluster }

  /// Called again and again.
  func look() {
    for name in cluster.names {
      guard let node = controller(name) else { continue }
      let status = node.driver.status
      guard status.state == .leader else { continue }
      let epoch = status.leader.epoch
      guard let known = leaders[epoch] else {
        leaders[epoch] = name
        continue
      }
      if known != name {
        violations.append("epoch \(epoch) of the quorum was led by \(known) and by \(name)")
        leaders[epoch] = name
      }
    }
  }

  /// The KRaft controller of a member, if it has one and runs.
  private func controller(_ name: String) -> ControllerNode? {
    switch cluster.node(name) {
    case .controller(let node)?, .both(_, let node)?: node
    default: nil
    }
  }

  /// Names of active controllers.
  var activeControllers: [String] {
    cluster.names.filter { name in
      switch cluster.node(name) {
      case .controller(let node)?, .both(_, let node)?:
        node.driver.status.state == .leader
      case .broker(let broker)?: broker.isController
      default: false
      }
    }
  }

  /// What is wrong with the quorum when all is well elsewhere; nil: nothing.
  var disagreement: String? {
    let active = activeControllers
    guard active.count == 1 else { return "controllers: \(active)" }
    // Digest of the tree and newest transaction of every coordination server.
    let trees = cluster.names(.coordinator).compactMap { name -> (String, Int64, Int64)? in
      guard case .coordinator(let node)? = cluster.node(name) else { return nil }
      let database = node.coordinator.database
      return (name, database.treeDigest, database.lastZxid)
    }
    if let first = trees.first, let other = trees.first(where: { $0.1 != first.1 }) {
      return "trees differ: \(first.0) at \(first.2), \(other.0) at \(other.2)"
    }
    return nil
  }
}
