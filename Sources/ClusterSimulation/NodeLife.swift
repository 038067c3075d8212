// One life of one member: the node that ships, in a simulated process.
import BrokerNode
import ControllerNode
import CoordinatorNode
import Foundation
import LocalCluster
import Platform
import Settings
import Synchronization

/// What is shared between a member's process and the driver. The driver looks while nothing runs.
final class NodeLife: Sendable {
  enum State: Sendable {
    case starting
    case serving
    /// The process would have ended, for this reason.
    case ended(String)
  }

  /// The node, for looking at it.
  enum Node: Sendable {
    case coordinator(CoordinatorNode)
    case controller(ControllerNode)
    case broker(BrokerProcess)
    /// Both roles in one process.
    case both(BrokerProcess, ControllerNode)
  }

  private let current = Mutex<(state: State, node: Node?)>((.starting, nil))
  private let stopping = Semaphore()

  var state: State { current.withLock { $0.state } }
  var node: Node? { current.withLock { $0.node } }
  var isServing: Bool {
    if case .serving = state { return true }
    return false
  }

  fileprivate func serve(_ node: Node) {
    current.withLock { current in
      current.node = node
      if case .starting = current.state { current.state = .serving }
    }
  }

  fileprivate func end(_ why: String) {
    current.withLock { current in
      if case .ended = current.state { return }
      current.state = .ended(why)
    }
  }

  /// SIGTERM: from the driver.
  func askToStop() { stopping.signal() }

  fileprivate func waitForStop() { stopping.wait() }
}

/// What the first thread of a member's process does.
struct NodeStart: Sendable {
  let member: ClusterMember
  let plan: ClusterPlan
  let folder: ClusterFolder
  /// More settings, for members of each role.
  let settings: [ClusterMember.Role: [String: String]]
  let isSabotaged: Bool

  /// Starts the node, and stops it when it is asked to; returns at its end.
  func run(_ life: NodeLife) {
    do {
      try plan.prepare(member, in: folder)
      switch member.role {
      case .coordinator: try coordinate(life)
      case .controller: try control(life)
      case .broker: try serve(life)
      }
    } catch {
      life.end("\(error)")
    }
  }

  private func sources() throws -> SettingSources {
    let file = folder.config(of: member)
    var sources = SettingSources(
      try Properties(parsing: Array(try Data(contentsOf: file)), file: file.path))
    for (key, value) in (settings[member.role] ?? [:]).sorted(by: { $0.key < $1.key }) {
      sources.set(key, value, .override)
    }
    return sources
  }

  private func coordinate(_ life: NodeLife) throws {
    let file = folder.config(of: member).path
    let node = try CoordinatorNode(try CoordinatorConfig.load(try sources(), file: file).config) {
      life.end("the disk has failed: \($0)")
    }
    life.serve(.coordinator(node))
    life.waitForStop()
    node.stop()
    life.end("stopped")
  }

  private func control(_ life: NodeLife) throws {
    let node = try ControllerNode(try BrokerConfig(try sources())) {
      life.end("the metadata log has failed: \($0)")
    }
    life.serve(.controller(node))
    life.waitForStop()
    node.shutdown()
    life.end("stopped")
  }

  private func serve(_ life: NodeLife) throws {
    let broker = try BrokerProcess()
    var controller: ControllerNode?
    try broker.start(
      try BrokerConfig(try sources()),
      sabotage: isSabotaged ? .acknowledgeBeforeReplication : nil,
      makeController: { config in
        let node = try ControllerNode(config, servesMetrics: false) {
          life.end("the metadata log has failed: \($0)")
        }
        controller = node
        return ControllerPart(driver: node.driver, metrics: node.metrics) { node.shutdown() }
      }
    ) { life.end("the metadata log has failed: \($0)") }
    life.serve(controller.map { .both(broker, $0) } ?? .broker(broker))
    life.waitForStop()
    broker.stop()
    life.end("stopped")
  }
}
