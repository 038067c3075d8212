import Foundation
import MetadataLog
import Values

/// The configuration files of a local cluster's processes.
///
/// They hold what a person would write: the ports, the folders, and the settings in which a small
/// cluster on one machine differs from the defaults, each with its reason.
extension ClusterPlan {
  func configText(of member: ClusterMember, in folder: ClusterFolder) -> String {
    switch member.role {
    case .coordinator: coordinatorConfig(member, folder)
    case .controller: controllerConfig(member, folder)
    case .broker: brokerConfig(member, folder)
    }
  }

  private func coordinatorConfig(_ member: ClusterMember, _ folder: ClusterFolder) -> String {
    var lines: [(String, String)] = tickLines + [
      ("dataDir", folder.folder(of: member).appending(path: "data").path),
      ("clientPort", "\(listenPort(member.port))"),
      ("clientPortAddress", "127.0.0.1"),
      ("4lw.commands.whitelist", "ruok,srvr,stat,mntr,conf,isro,envi"),
      ("admin.enableServer", "false"),
      ("autopurge.snapRetainCount", "3"),
      ("autopurge.purgeInterval", "1"),
    ]
    if coordinators > 1 {
      for number in 1...coordinators {
        // Its own line says where it listens; the others', where it finds them.
        let ports = [quorumPort(number), electionPort(number)].map {
          number == member.number ? listenPort($0) : $0
        }
        lines.append(("server.\(number)", "127.0.0.1:\(ports[0]):\(ports[1])"))
      }
    }
    return Self.text(lines, more: coordinatorSettings)
  }

  private var tickLines: [(String, String)] {
    // ZooKeeper's sample configuration has these.
    if timings == .kafka { return [("tickTime", "2000"), ("initLimit", "10"), ("syncLimit", "5")] }
    return [
      // Short ticks: a dead server is missed within syncLimit × tickTime.
      ("tickTime", "200"),
      ("initLimit", "50"),
      ("syncLimit", "10"),
      ("minSessionTimeout", "400"),
      ("maxSessionTimeout", "60000"),
      // Votes that got lost are repeated soon; by default up to a minute may pass between two.
      ("fastleader.maxNotificationInterval", "1000"),
    ]
  }

  /// How soon a broker, or whoever watches brokers, misses one: six seconds survive a busy laptop.
  private func sessionLines(isController: Bool, isBroker: Bool) -> [(String, String)] {
    if timings == .kafka { return [("jackdaw.failure.detection", "session")] }
    guard quorum != nil else { return [("zookeeper.session.timeout.ms", "6000")] }
    return (isBroker ? [("broker.heartbeat.interval.ms", "1000")] : [])
      + (isController ? [("broker.session.timeout.ms", "6000")] : [])
  }

  private func brokerConfig(_ member: ClusterMember, _ folder: ClusterFolder) -> String {
    let replicas = min(brokers, 3)
    let listener = "PLAINTEXT://127.0.0.1:\(listenPort(member.port))"
    let lines: [(String, String)] = membershipLines(member, listener) + [
      ("advertised.listeners", advertised(member)),
      ("log.dirs", folder.folder(of: member).appending(path: "data").path),
      ("num.partitions", "1"),
      ("default.replication.factor", "\(replicas)"),
      ("min.insync.replicas", "\(min(replicas, 2))"),
      ("offsets.topic.replication.factor", "\(replicas)"),
      ("transaction.state.log.replication.factor", "\(replicas)"),
      ("transaction.state.log.min.isr", "\(min(replicas, 2))"),
      // Nobody waits for other members in a rehearsal.
      ("group.initial.rebalance.delay.ms", "0"),
      ("num.network.threads", "2"),
      ("jackdaw.metrics.port", "\(metricsPort + member.number - 1)"),
    ]
    return Self.text(lines, more: brokerSettings)
  }

  /// How a broker finds its cluster, and how soon it is missed.
  private func membershipLines(
    _ member: ClusterMember, _ listener: String
  ) -> [(String, String)] {
    guard let quorum else {
      return [
        ("broker.id", "\(member.number)"), ("listeners", listener),
        ("zookeeper.connect", connect),
        // All start at once: brokers wait until the ensemble serves.
        ("zookeeper.connection.timeout.ms", "60000"),
      ] + sessionLines(isController: true, isBroker: true)
    }
    var listeners = listener
    if quorum.isCombined {
      listeners += ",CONTROLLER://127.0.0.1:\(listenPort(controllerPort(of: member) ?? 0))"
    }
    let lines = [
      ("process.roles", quorum.isCombined ? "broker,controller" : "broker"),
      ("node.id", "\(member.number)"), ("listeners", listeners),
      ("controller.listener.names", "CONTROLLER"), ("controller.quorum.voters", quorum.voters),
    ]
    return lines + sessionLines(isController: quorum.isCombined, isBroker: true)
  }

  /// Where others reach a broker.
  private func advertised(_ member: ClusterMember) -> String {
    let clients = "PLAINTEXT://127.0.0.1:\(member.port)"
    return controllerPort(of: member).map { "\(clients),CONTROLLER://127.0.0.1:\($0)" } ?? clients
  }

  private func controllerConfig(_ member: ClusterMember, _ folder: ClusterFolder) -> String {
    let replicas = min(brokers, 3)
    let index = member.number - QuorumPlan.firstController
    return Self.text(
      [
        ("process.roles", "controller"),
        ("node.id", "\(member.number)"),
        ("listeners", "CONTROLLER://127.0.0.1:\(listenPort(member.port))"),
        ("advertised.listeners", "CONTROLLER://127.0.0.1:\(member.port)"),
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.voters", quorum?.voters ?? ""),
        ("log.dirs", folder.folder(of: member).appending(path: "data").path),
        ("num.partitions", "1"),
        ("default.replication.factor", "\(replicas)"),
        ("min.insync.replicas", "\(min(replicas, 2))"),
        ("jackdaw.metrics.port", "\(metricsPort + brokers + index)"),
      ] + sessionLines(isController: true, isBroker: false), more: [:])
  }

  private static func text(_ lines: [(String, String)], more: [String: String]) -> String {
    var text = ""
    for (key, value) in lines where more[key] == nil { text += "\(key)=\(value)\n" }
    for key in more.keys.sorted() { text += "\(key)=\(more[key] ?? "")\n" }
    return text
  }

  /// Writes the member's folder, configuration and id; keeps what is there unless it differs.
  public func prepare(_ member: ClusterMember, in folder: ClusterFolder) throws {
    let home = folder.folder(of: member)
    let data = home.appending(path: "data")
    try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
    let config = Data(configText(of: member, in: folder).utf8)
    if (try? Data(contentsOf: folder.config(of: member))) != config {
      try config.write(to: folder.config(of: member), options: .atomic)
    }
    if let clusterID = quorum?.clusterID {
      try format(data, nodeID: Int32(member.number), clusterID: clusterID)
    }
    guard member.role == .coordinator, coordinators > 1 else { return }
    let myid = data.appending(path: "myid")
    if !FileManager.default.fileExists(atPath: myid.path) {
      try Data("\(member.number)\n".utf8).write(to: myid)
    }
  }

  /// What `storage format` does, with a directory that is not formatted yet.
  private func format(_ data: URL, nodeID: Int32, clusterID: String) throws {
    guard try MetaProperties.read(data.path) == nil else { return }
    try StorageFormatter(
      clusterID: clusterID, nodeID: BrokerID(nodeID), directories: [data.path],
      metadataDirectory: data.path
    ).run { _ in }
  }
}
