// After healing: has everything become equal?
import Foundation
import Histories
import LocalCluster
import Platform
import Values
import ZooKeeperClient

/// Compares replicas byte by byte, and the trees of coordination servers node by node.
public enum Convergence {
  /// The replicas of every partition of a topic hold the same bytes.
  static func replicas(of target: LoadTarget, on cluster: any ClusterUnderTest) -> [DrillCheck] {
    var differing: [String] = []
    var compared = 0
    for partition in target.all {
      var logs: [(member: String, bytes: Data)] = []
      for member in cluster.members(.broker) {
        guard let folder = cluster.dataFolder(of: member),
          let bytes = logBytes(folder.appending(path: "\(partition)"))
        else { continue }
        logs.append((member.name, bytes))
      }
      guard let first = logs.first else { continue }
      compared += logs.count
      for other in logs.dropFirst() where other.bytes != first.bytes {
        let at = zip(first.bytes, other.bytes).enumerated().first { $0.element.0 != $0.element.1 }
        differing.append(
          "\(partition): \(first.member) has \(first.bytes.count) bytes, \(other.member) "
            + "\(other.bytes.count), they differ from byte "
            + "\(at?.offset ?? min(first.bytes.count, other.bytes.count))")
      }
    }
    guard compared > 0 else { return [] }
    return [
      DrillCheck(
        name: "replicas are byte-identical", holds: differing.isEmpty,
        detail: differing.isEmpty ? "\(compared) logs" : differing.joined(separator: "; "))
    ]
  }

  /// All segments of a partition, one after the other; nil when the replica is not there.
  public static func logBytes(_ folder: URL) -> Data? {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path) else {
      return nil
    }
    var bytes = Data()
    for name in names.filter({ $0.hasSuffix(".log") }).sorted() {
      bytes += (try? Data(contentsOf: folder.appending(path: name))) ?? Data()
    }
    return bytes
  }

  // MARK: Trees

  /// Every coordination server tells the same tree.
  static func trees(of cluster: any ClusterUnderTest) async -> [DrillCheck] {
    var trees: [(member: String, nodes: [String: String])] = []
    for member in cluster.members(.coordinator) {
      guard let port = cluster.directPort(of: member) else { continue }
      guard let nodes = await tree(port: port) else {
        return [
          DrillCheck(name: "trees are equal", holds: false, detail: "\(member.name) does not serve")
        ]
      }
      trees.append((member.name, nodes))
    }
    guard let first = trees.first else { return [] }
    for other in trees.dropFirst() where other.nodes != first.nodes {
      let paths = Set(first.nodes.keys).union(other.nodes.keys).sorted()
      let path = paths.first { first.nodes[$0] != other.nodes[$0] } ?? ""
      return [
        DrillCheck(
          name: "trees are equal", holds: false,
          detail: "\(path): \(first.member) has \(first.nodes[path] ?? "nothing"), "
            + "\(other.member) has \(other.nodes[path] ?? "nothing")")
      ]
    }
    return [
      DrillCheck(
        name: "trees are equal", holds: true,
        detail: "\(first.nodes.count) znodes on \(trees.count) servers")
    ]
  }

  /// Path → what is there, read from one server after it caught up with its leader.
  private static func tree(port: Int) async -> [String: String]? {
    guard let address = try? ConnectString("127.0.0.1:\(port)"),
      let loop = try? EventLoop(name: "tree")
    else { return nil }
    defer { loop.stop() }
    let session = ZnodeSession(address, on: loop, timeoutMs: 10_000)
    guard await session.connect(limitMs: 10_000, StopSignal()) else { return nil }
    var nodes: [String: String] = [:]
    do {
      try await session.client.sync("/")
      var paths = ["/"]
      while let path = paths.popLast() {
        // Sessions come and go while one looks; the server's own nodes are its own affair.
        if path.hasPrefix("/zookeeper") { continue }
        let children = try await session.client.getChildren(path)
        let data = try await session.client.getData(path)
        nodes[path] =
          "\(data.data?.count ?? 0) bytes, hash \(hash(data.data ?? [])), version "
          + "\(data.stat.version), mzxid \(data.stat.mzxid)"
        paths += children.children.map { path == "/" ? "/\($0)" : "\(path)/\($0)" }
      }
    } catch {
      nodes = [:]
    }
    await session.close()
    return nodes.isEmpty ? nil : nodes
  }

  private static func hash(_ bytes: [UInt8]) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}

/// What a coordination server says of itself.
enum CoordinatorProbe {
  /// leader, follower, observer or standalone; nil when it does not serve.
  static func mode(port: Int) -> String? { LocalCluster.coordinatorMode(port: port) }
}
