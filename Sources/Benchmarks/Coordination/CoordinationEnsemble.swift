// Coordination servers under measurement: ours, or ZooKeeper's on a JVM.
import Foundation
import Glibc
import LocalCluster
import Platform
import Values

/// An ensemble whose servers differ from another kind's in nothing but the program that runs.
final class CoordinationEnsemble {
  enum Kind: String, CaseIterable, Codable {
    case jackdaw
    case zookeeper
  }

  /// How a kind is started, and what it is given.
  struct Programs {
    /// The folder of `jackdaw-coordinator`.
    var executables: URL
    /// Java's class path with ZooKeeper's server, and its heap.
    var classPath = "/usr/share/java/*:/etc/zookeeper/conf"
    var javaHeapMiB = 2048
  }

  let kind: Kind
  let folder: URL
  private let programs: Programs
  private let ports: [Int]
  private var children: [ChildProcess?]

  /// - Parameters:
  ///   - firstPort: the first client port; each server takes three from here on.
  init(_ kind: Kind, servers: Int, in folder: URL, firstPort: Int, _ programs: Programs) {
    self.kind = kind
    self.folder = folder.appending(path: "\(kind.rawValue)-\(servers)")
    self.programs = programs
    ports = (0..<servers).map { firstPort + $0 * 3 }
    children = Array(repeating: nil, count: servers)
  }

  var connect: String { ports.map { "127.0.0.1:\($0)" }.joined(separator: ",") }
  var servers: Int { ports.count }

  // MARK: Life

  /// Starts with empty data.
  func start() throws {
    try? FileManager.default.removeItem(at: folder)
    for index in ports.indices { try start(index) }
    try waitUntilServing(limitMs: 60_000)
  }

  private func home(_ index: Int) -> URL { folder.appending(path: "\(index + 1)") }

  func start(_ index: Int) throws {
    let data = home(index).appending(path: "data")
    try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
    var lines = [
      "tickTime=2000", "initLimit=30", "syncLimit=10", "dataDir=\(data.path)",
      "clientPort=\(ports[index])", "clientPortAddress=127.0.0.1", "maxClientCnxns=0",
      "4lw.commands.whitelist=*", "admin.enableServer=false",
    ]
    if ports.count > 1 {
      for (other, port) in ports.enumerated() {
        lines.append("server.\(other + 1)=127.0.0.1:\(port + 1):\(port + 2)")
      }
      try Data("\(index + 1)\n".utf8).write(to: data.appending(path: "myid"))
    }
    let config = home(index).appending(path: "zoo.cfg")
    try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: config)
    let output = home(index).appending(path: "server.log").path
    switch kind {
    case .jackdaw:
      children[index] = try ChildProcess.start(
        programs.executables.appending(path: "jackdaw-coordinator").path, [config.path],
        output: output)
    case .zookeeper:
      children[index] = try ChildProcess.start(
        "java",
        [
          "-Xmx\(programs.javaHeapMiB)m", "-Dzookeeper.admin.enableServer=false", "-cp",
          programs.classPath, "org.apache.zookeeper.server.quorum.QuorumPeerMain", config.path,
        ], output: output)
    }
  }

  func waitUntilServing(limitMs: Int64) throws {
    let deadline = Clock.now().advanced(milliseconds: limitMs)
    while !ports.allSatisfy({ LocalCluster.coordinatorMode(port: $0) != nil }) {
      guard Clock.now() < deadline else {
        throw BenchmarkFailure("\(kind.rawValue) does not serve in time; see \(folder.path)")
      }
      if let index = children.firstIndex(where: { $0?.poll() != nil }) {
        throw BenchmarkFailure("\(kind.rawValue) has ended; see \(home(index).path)/server.log")
      }
      usleep(2_000)
    }
  }

  func kill(_ index: Int) {
    children[index]?.signal(SIGKILL)
    _ = children[index]?.wait(upToMs: 10_000)
    children[index] = nil
  }

  func stop() {
    for child in children { child?.signal(SIGTERM) }
    for index in children.indices {
      _ = children[index]?.terminate(graceMs: 20_000)
      children[index] = nil
    }
  }

  /// The server that leads; 0 when it is alone.
  func leader() -> Int {
    ports.firstIndex { ["leader", "standalone"].contains(LocalCluster.coordinatorMode(port: $0)) }
      ?? 0
  }

  // MARK: Figures

  var processorSeconds: Double {
    children.compactMap { $0.flatMap { ProcessInformation.processorNanoseconds(of: $0.id) } }
      .reduce(0) { $0 + Double($1) / 1e9 }
  }

  /// Of the largest process.
  var residentMiB: Double {
    children.compactMap { $0.flatMap { ProcessInformation.residentBytes(of: $0.id) } }
      .map { Double($0) / 1_048_576 }.max() ?? 0
  }
}
