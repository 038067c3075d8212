import Foundation
import Glibc
import KafkaProtocol
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
    try process(member).start(
      executables: executables, hasMovableClock: plan.hasMovableClocks == true)
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

extension LocalCluster {
  /// One request to a process at a port of this machine, on a connection of its own; nil when
  /// there is no answer in time. Blocks for as long.
  public static func ask<R: KafkaRequest>(
    _ request: R, version: Int16, port: Int, limitMs: Int = 1_000
  ) -> R.Response? {
    Probe.ask(request, version: version, port: port, limitMs: limitMs)
  }

  /// Makes the time of day of a member jump to so many milliseconds beside the true one; false
  /// when its clock cannot be moved.
  public func setClock(of member: ClusterMember, offsetMs: Int64) -> Bool {
    guard plan.hasMovableClocks == true else { return false }
    do {
      try ClockOffset.set(offsetMs, in: folder.clock(of: member).path)
      return true
    } catch {
      return false
    }
  }

  /// Lets a running member write no file beyond so many bytes: what a full disk looks like to it,
  /// with EFBIG for ENOSPC. Nil: as many as it likes. False when it does not run.
  public func limitFileSize(of member: ClusterMember, bytes: UInt64?) -> Bool {
    guard let id = process(member).runningID else { return false }
    return ProcessInformation.limitFileSize(of: id, bytes: bytes)
  }
}

/// A request that is on its way to a process, which may be standing still.
public final class PostedRequest<R: KafkaRequest>: Sendable {
  private let wire: Int32
  private let version: Int16

  /// Nil when nobody listens at the port. A process that stands still has the request waiting in
  /// its socket.
  public init?(_ request: R, version: Int16, port: Int) {
    guard let wire = Probe.post(request, version: version, port: port, limitMs: 50) else {
      return nil
    }
    self.wire = wire
    self.version = version
  }

  /// The answer; nil when there is none yet. Waits for at most 50 ms.
  public func answer() -> R.Response? { Probe.collect(R.self, version: version, from: wire) }

  deinit { close(wire) }
}
