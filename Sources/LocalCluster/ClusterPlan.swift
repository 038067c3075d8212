import Foundation

/// Which store holds the metadata of a local cluster.
public enum ClusterMode: String, Codable, Sendable, CaseIterable {
  case zookeeper
  case kraft
}

/// How soon the members of a cluster miss each other.
public enum ClusterTimings: String, Codable, Sendable, CaseIterable {
  /// Sessions of 6 s, short ticks, and the fast detection of processes that are gone.
  case fast
  /// What Kafka and ZooKeeper come with: sessions of 18 s (9 s with KRaft), heartbeats every 2 s,
  /// ticks of 2 s; nobody is missed before a session has ended.
  case kafka
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
  /// The controllers of a cluster in KRaft mode; nil in ZooKeeper mode.
  public var quorum: QuorumPlan?
  /// More lines for every broker's properties file.
  public var brokerSettings: [String: String] = [:]
  /// More lines for every coordinator's `zoo.cfg`.
  public var coordinatorSettings: [String: String] = [:]
  /// Set when something of the caller's stands on the ports of this plan and passes on to the
  /// members, which then listen so much further up (fault proxies).
  public var proxyOffset: Int?

  /// How soon members are missed; nil: `fast`.
  public var timings: ClusterTimings?

  /// Whether the members' clocks can be made to jump.
  public var hasMovableClocks: Bool?

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
    guard (mode == .kraft) == (quorum != nil) else {
      throw ClusterProblem(
        "mode \(mode.rawValue): controllers belong to mode kraft, and only there")
    }
    guard (1...100).contains(brokers) else {
      throw ClusterProblem("--brokers \(brokers): from 1 to 100")
    }
    if let quorum, !quorum.isCombined, ![1, 3, 5, 7].contains(quorum.controllers) {
      throw ClusterProblem(
        "--controllers \(quorum.controllers): 1, 3, 5 or 7, so that a majority exists")
    }
    guard quorum != nil || [1, 3, 5, 7].contains(coordinators) else {
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
  public var members: [ClusterMember] { (quorum == nil ? coordination : controllers) + dataBrokers }

  private var coordination: [ClusterMember] {
    (1...max(coordinators, 1)).map { number in
      ClusterMember(
        role: .coordinator, number: number, port: coordinationPort + number - 1,
        extraPorts: coordinators > 1 ? [quorumPort(number), electionPort(number)] : [])
    }
  }

  /// Controllers with processes of their own.
  private var controllers: [ClusterMember] {
    guard let quorum, !quorum.isCombined else { return [] }
    return (1...max(quorum.controllers, 1)).map { number in
      ClusterMember(
        role: .controller, number: QuorumPlan.firstController + number - 1,
        port: quorum.controllerPort + number - 1,
        extraPorts: [metricsPort + brokers + number - 1])
    }
  }

  private var dataBrokers: [ClusterMember] {
    (1...max(brokers, 1)).map { number in
      var ports = [metricsPort + number - 1]
      if let quorum, quorum.isCombined { ports.append(quorum.controllerPort + number - 1) }
      return ClusterMember(
        role: .broker, number: number, port: brokerPort + number - 1, extraPorts: ports)
    }
  }

  /// Where a member listens that others reach at `port`.
  public func listenPort(_ port: Int) -> Int { port + (proxyOffset ?? 0) }

  /// The ports by which clients and other members reach a member, each with the one it listens on.
  /// Metrics are nobody's business but the operator's and have no proxy.
  public func proxiedPorts(of member: ClusterMember) -> [(port: Int, listening: Int)] {
    guard proxyOffset != nil else { return [] }
    let peers =
      member.role == .coordinator
      ? member.extraPorts : controllerPort(of: member).map { [$0] } ?? []
    return ([member.port] + peers).map { ($0, listenPort($0)) }
  }

  /// The controller's port of a broker that is a controller too.
  func controllerPort(of member: ClusterMember) -> Int? {
    guard let quorum, quorum.isCombined, member.role == .broker else { return nil }
    return quorum.controllerPort + member.number - 1
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

/// The controllers of a local cluster in KRaft mode.
public struct QuorumPlan: Codable, Sendable, Equatable {
  /// Node ids of controllers with processes of their own begin here, above those of brokers.
  static let firstController = 101

  /// How many; as many as brokers when they are the same processes.
  public var controllers: Int
  /// The first one's port; the others follow upwards.
  public var controllerPort: Int
  /// Every process is broker and controller.
  public var isCombined: Bool
  /// Made up when the cluster is first formatted.
  public var clusterID: String?

  public init(controllers: Int = 3, controllerPort: Int = 9193, isCombined: Bool = false) {
    self.controllers = controllers
    self.controllerPort = controllerPort
    self.isCombined = isCombined
  }

  /// What every node is given as `controller.quorum.voters`.
  public var voters: String {
    (1...max(controllers, 1)).map { number in
      let id = isCombined ? number : Self.firstController + number - 1
      return "\(id)@127.0.0.1:\(controllerPort + number - 1)"
    }.joined(separator: ",")
  }
}

/// One process of a local cluster.
public struct ClusterMember: Sendable {
  public enum Role: String, Sendable {
    case coordinator
    case controller
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
    let name =
      switch member.role {
      case .coordinator: "zoo.cfg"
      case .controller: "controller.properties"
      case .broker: "server.properties"
      }
    return folder(of: member).appending(path: name)
  }

  /// What a movable clock of the member is off by.
  public func clock(of member: ClusterMember) -> URL {
    folder(of: member).appending(path: "clock-offset")
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
