import Foundation
import Glibc
import Platform

// Single members: for drills, which break one and look at the rest.

extension LocalCluster {
  /// The process ids of the members that run, by name.
  public var processIDs: [String: Int32] {
    var ids: [String: Int32] = [:]
    for member in plan.members { ids[member.name] = process(member).runningID }
    return ids
  }

  /// Starts one member; does not wait until it serves. Nothing happens when it runs.
  public func start(_ member: ClusterMember) throws {
    guard process(member).runningID == nil else { return }
    try plan.prepare(member, in: folder)
    try process(member).start(executables: executables)
  }

  /// Ends one member with SIGTERM, and with SIGKILL after the time of grace.
  /// - Returns: whether it ended by itself.
  @discardableResult
  public func stop(_ member: ClusterMember, graceMs: Int64 = 20_000) -> Bool {
    process(member).stop(limitMs: graceMs)
  }

  /// Sends a signal; false when the member does not run.
  public func signal(_ member: ClusterMember, _ number: Int32) -> Bool {
    guard let id = process(member).runningID else { return false }
    guard kill(id, number) == 0 else { return false }
    if number == SIGKILL { process(member).awaitEnd(of: id) }
    return true
  }

  /// What a member has logged so far.
  public func logText(of member: ClusterMember) -> String { process(member).log(since: 0) }
}

extension LocalCluster {
  /// What the coordination server at a port of this machine says that it is: leader, follower,
  /// observer or standalone; nil when it does not serve.
  public static func coordinatorMode(port: Int) -> String? { Probe.coordinatorMode(port: port) }

  /// What the controller at a port of this machine is in its quorum: `leader` or `follower`; nil
  /// when it does not answer.
  public static func quorumRole(port: Int) -> String? { Probe.quorumRole(port: port) }
}
