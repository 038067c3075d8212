import Foundation
import Glibc
import Platform
import Values

/// A whole cluster on this machine: processes on loopback, started, watched and stopped as one.
///
/// One harness for `make up`, the drills and the benchmarks. It keeps no process of its own: what
/// runs is found again by the pid files in the cluster's folder.
public struct LocalCluster: Sendable {
  public let folder: ClusterFolder
  public let plan: ClusterPlan
  /// Where the executables are: beside the one that runs, by default.
  public let executables: URL

  public init(folder: ClusterFolder, plan: ClusterPlan, executables: URL? = nil) {
    self.folder = folder
    self.plan = plan
    self.executables =
      executables
      ?? URL(filePath: ProcessInformation.executablePath ?? "").deletingLastPathComponent()
  }

  /// The cluster that a folder already holds; nil when it holds none.
  public static func existing(
    in folder: ClusterFolder, executables: URL? = nil
  ) throws(ClusterProblem) -> LocalCluster? {
    guard let plan = try folder.readPlan() else { return nil }
    return LocalCluster(folder: folder, plan: plan, executables: executables)
  }

  func process(_ member: ClusterMember) -> MemberProcess {
    MemberProcess(member: member, folder: folder)
  }

  public var isRunning: Bool {
    plan.members.allSatisfy { process($0).runningID != nil }
  }

  // MARK: Starting

  /// Starts what does not run and waits until the whole cluster serves.
  ///
  /// - Parameters:
  ///   - limitMs: how long to wait for all of them.
  ///   - progress: told one line at a time.
  /// - Throws: `ClusterProblem` with the end of the log of the process that failed.
  public func up(limitMs: Int64 = 60_000, progress: (String) -> Void = { _ in }) throws {
    try plan.validate()
    var plan = plan
    if plan.quorum != nil, plan.quorum?.clusterID == nil {
      var random = SystemRandom()
      plan.quorum?.clusterID = Uuid.random(using: &random).description
    }
    try folder.write(plan)
    let deadline = Clock.now().advanced(milliseconds: limitMs)
    var logStarts: [String: UInt64] = [:]
    // All at once: a broker keeps trying until the ensemble answers.
    for member in plan.members where process(member).runningID == nil {
      try refuseTakenPorts(of: member)
      try plan.prepare(member, in: folder)
      logStarts[member.name] = process(member).logSize
      try process(member).start(
      executables: executables, hasMovableClock: plan.hasMovableClocks == true)
    }
    try waitForStore(plan, logStarts, deadline, progress)
    let all = Set((1...plan.brokers).map(Int32.init))
    for member in plan.members where member.role == .broker {
      try wait(for: member, since: logStarts[member.name], until: deadline) {
        guard let known = Probe.brokers(port: member.port) else { return false }
        return all.isSubset(of: known.ids) && known.controller >= 0
      }
    }
    progress("brokers: \(plan.brokers) serving at \(plan.bootstrap)")
  }

  /// Waits for whatever holds the metadata.
  private func waitForStore(
    _ plan: ClusterPlan, _ logStarts: [String: UInt64], _ deadline: Instant,
    _ progress: (String) -> Void
  ) throws {
    for member in plan.members where member.role != .broker {
      try wait(for: member, since: logStarts[member.name], until: deadline) {
        member.role == .coordinator
          ? Probe.coordinatorMode(port: member.port) != nil
          : Probe.quorumRole(port: member.port) != nil
      }
    }
    if let quorum = plan.quorum {
      if !quorum.isCombined { progress("controllers: \(quorum.controllers), \(quorum.voters)") }
    } else {
      progress("coordination: \(plan.coordinators) serving at \(plan.connect)")
    }
  }

  private func refuseTakenPorts(of member: ClusterMember) throws(ClusterProblem) {
    for port in plan.ownPorts(of: member) {
      do {
        _ = try Socket.listening(at: .loopback(port: UInt16(port)))
      } catch {
        throw ClusterProblem(
          "\(member.name) cannot listen on 127.0.0.1:\(port): \(error). Choose other ports with "
            + "--broker-port, --coordination-port, --controller-port and --metrics-port")
      }
    }
  }

  private func wait(
    for member: ClusterMember, since start: UInt64?, until deadline: Instant,
    condition: () -> Bool
  ) throws {
    while !condition() {
      guard process(member).runningID != nil else {
        throw ClusterProblem("\(member.name) has ended. \(ending(of: member, since: start ?? 0))")
      }
      guard Clock.now() < deadline else {
        throw ClusterProblem(
          "\(member.name) does not serve in time. \(ending(of: member, since: start ?? 0))")
      }
      usleep(5_000)
    }
  }

  private func ending(of member: ClusterMember, since start: UInt64) -> String {
    let lines = process(member).log(since: start).split(separator: "\n").suffix(10)
    return (["The end of \(folder.log(of: member).path):"] + lines.map { "  \($0)" })
      .joined(separator: "\n")
  }

  // MARK: Stopping

  /// Stops everything: brokers first and together, so that each hands over its partitions while
  /// there is a controller; then who holds the metadata. Returns the names of those that had to be
  /// killed.
  @discardableResult
  public func down(graceMs: Int64 = 20_000, progress: (String) -> Void = { _ in }) -> [String] {
    var killed: [String] = []
    for role in [ClusterMember.Role.broker, .controller, .coordinator] {
      let running = plan.members.filter { $0.role == role && process($0).runningID != nil }
      // One signal for all, then wait for each: they leave side by side.
      for member in running {
        if let id = process(member).runningID {
          kill(id, SIGCONT)
          kill(id, SIGTERM)
        }
      }
      for member in running where !process(member).stop(limitMs: graceMs) {
        killed.append(member.name)
      }
      if !running.isEmpty { progress("stopped \(running.map(\.name).joined(separator: ", "))") }
    }
    return killed
  }

  /// Stops everything and removes its folder.
  public func wipe() throws {
    down(graceMs: 2_000)
    try FileManager.default.removeItem(at: folder.url)
  }

  // MARK: Looking

  public struct MemberStatus: Codable, Sendable {
    public let name: String
    public let pid: Int32?
    public let port: Int
    /// leader, follower, standalone; controller or broker; "starting" or "stopped".
    public let state: String
    public let residentBytes: Int64?
    public let processorMs: Int64?
  }

  public func status() -> [MemberStatus] {
    plan.members.map { member in
      let id = process(member).runningID
      return MemberStatus(
        name: member.name, pid: id, port: member.port,
        state: id == nil ? "stopped" : state(of: member),
        residentBytes: id.flatMap { ProcessInformation.residentBytes(of: $0) },
        processorMs: id.flatMap { ProcessInformation.processorNanoseconds(of: $0) }
          .map { $0 / 1_000_000 })
    }
  }

  private func state(of member: ClusterMember) -> String {
    switch member.role {
    case .coordinator: return Probe.coordinatorMode(port: member.port) ?? "starting"
    case .controller: return Probe.quorumRole(port: member.port) ?? "starting"
    case .broker:
      guard let known = Probe.brokers(port: member.port),
        known.ids.contains(Int32(member.number))
      else { return "starting" }
      // In KRaft mode brokers name any broker as controller.
      if let quorum = plan.quorum {
        guard quorum.isCombined else { return "serving" }
        return Probe.quorumRole(port: quorum.controllerPort + member.number - 1) ?? "serving"
      }
      return known.controller == Int32(member.number) ? "controller" : "serving"
    }
  }
}
