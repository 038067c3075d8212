import Foundation

/// Which store holds the metadata of a local cluster.
public enum ClusterMode: String, Codable, Sendable, CaseIterable {
  case zookeeper
  case kraft
}

/// Why a local cluster could not be planned, started or stopped.
public struct ClusterProblem: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

/// What somebody asked for: how many processes, on which ports, in which folder.
///
/// A plan is written into the folder when the cluster first starts, and read back afterwards, so
/// that `status` and `down` need no sizes.
public struct ClusterPlan: Codable, Sendable, Equatable {
  public var mode: ClusterMode
  public var brokers: Int
  public var coordinators: Int
  /// The first broker's port; the others follow upwards.
  public var brokerPort: Int
  /// The first coordinator's client port; the others follow upwards.
  public var coordinationPort: Int
  /// The first broker's Prometheus port; the others follow upwards.
  public var metricsPort: Int
  /// More lines for every broker's properties file.
  public var brokerSettings: [String: String] = [:]
  /// More lines for every coordinator's `zoo.cfg`.
  public var coordinatorSettings: [String: String] = [:]
  /// Set when something of the caller's stands on the ports of this plan and passes on to the
  /// members, which then listen so much further up (fault proxies).
  public var proxyOffset: Int?

  public init(
    mode: ClusterMode = .zookeeper, brokers: Int = 3, coordinators: Int = 3,
    brokerPort: Int = 9092, coordinationPort: Int = 2181, metricsPort: Int = 9404
  ) {
    self.mode = mode
    self.brokers = brokers
    self.coordinators = coordinators
    self.brokerPort = brokerPort
    self.coordinationPort = coordinationPort
    self.metricsPort = metricsPort
  }

  /// Checks the sizes and that no two listeners want one port.
  public func validate() throws(ClusterProblem) {
    guard mode == .zookeeper else {
      throw ClusterProblem("mode kraft is not supported yet; use --mode zookeeper")
    }
    guard (1...100).contains(brokers) else {
      throw ClusterProblem("--brokers \(brokers): from 1 to 100")
    }
    guard [1, 3, 5, 7].contains(coordinators) else {
      throw ClusterProblem(
        "--coordinators \(coordinators): 1, 3, 5 or 7, so that a majority exists")
    }
    var owners: [Int: String] = [:]
    for member in members {
      for port in Set(member.ports + ownPorts(of: member)).sorted() {
        guard (1...65535).contains(port) else {
          throw ClusterProblem("\(member.name): port \(port) does not exist")
        }
        if let other = owners[port] {
          throw ClusterProblem("\(member.name) and \(other) would both listen on port \(port)")
        }
        owners[port] = member.name
      }
    }
  }

  /// All processes, in the order in which they start.
  public var members: [ClusterMember] {
    let first = (1...max(coordinators, 1)).map { number in
      ClusterMember(
        role: .coordinator, number: number, port: coordinationPort + number - 1,
        extraPorts: coordinators > 1 ? [quorumPort(number), electionPort(number)] : [])
    }
    return first
      + (1...max(brokers, 1)).map { number in
        ClusterMember(
          role: .broker, number: number, port: brokerPort + number - 1,
          extraPorts: [metricsPort + number - 1])
      }
  }

  /// Where a member listens that others reach at `port`.
  public func listenPort(_ port: Int) -> Int { port + (proxyOffset ?? 0) }

  /// The ports by which clients and other members reach a member, each with the one it listens on.
  /// Metrics are nobody's business but the operator's and have no proxy.
  public func proxiedPorts(of member: ClusterMember) -> [(port: Int, listening: Int)] {
    guard proxyOffset != nil else { return [] }
    let peers = member.role == .coordinator ? member.extraPorts : []
    return ([member.port] + peers).map { ($0, listenPort($0)) }
  }

  /// The ports that a member itself opens.
  func ownPorts(of member: ClusterMember) -> [Int] {
    let proxied = proxiedPorts(of: member)
    return member.ports.map { port in
      proxied.first { $0.port == port }?.listening ?? port
    }
  }

  // ZooKeeper's 2888 and 3888 beside 2181, and as far away from any other client port.
  public func quorumPort(_ number: Int) -> Int { coordinationPort + 707 + number - 1 }
  public func electionPort(_ number: Int) -> Int { coordinationPort + 1707 + number - 1 }

  /// What clients are given as `bootstrap.servers`.
  public var bootstrap: String {
    members.filter { $0.role == .broker }.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
  }

  /// What brokers are given as `zookeeper.connect`.
  public var connect: String {
    members.filter { $0.role == .coordinator }.map { "127.0.0.1:\($0.port)" }
      .joined(separator: ",")
  }
}

/// One process of a local cluster.
public struct ClusterMember: Sendable {
  public enum Role: String, Sendable {
    case coordinator
    case broker
  }

  public let role: Role
  public let number: Int
  /// The port its clients connect to.
  public let port: Int
  public let extraPorts: [Int]

  public var name: String { "\(role.rawValue)-\(number)" }
  public var ports: [Int] { [port] + extraPorts }
  public var executable: String { "jackdaw-\(role.rawValue)" }
}

/// Where a local cluster keeps its files.
public struct ClusterFolder: Sendable {
  public let url: URL
  public init(_ path: String) { url = URL(filePath: path) }

  public var planFile: URL { url.appending(path: "cluster.json") }
  public func folder(of member: ClusterMember) -> URL { url.appending(path: member.name) }
  public func log(of member: ClusterMember) -> URL {
    folder(of: member).appending(path: "\(member.name).log")
  }
  public func pidFile(of member: ClusterMember) -> URL {
    folder(of: member).appending(path: "\(member.name).pid")
  }
  public func config(of member: ClusterMember) -> URL {
    folder(of: member).appending(
      path: member.role == .coordinator ? "zoo.cfg" : "server.properties")
  }

  public var exists: Bool { FileManager.default.fileExists(atPath: planFile.path) }

  public func readPlan() throws(ClusterProblem) -> ClusterPlan? {
    guard exists else { return nil }
    do {
      return try JSONDecoder().decode(ClusterPlan.self, from: Data(contentsOf: planFile))
    } catch {
      throw ClusterProblem("\(planFile.path) cannot be read as a cluster's plan: \(error)")
    }
  }

  public func write(_ plan: ClusterPlan) throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(plan).write(to: planFile, options: .atomic)
  }
}
