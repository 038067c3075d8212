// What a drill needs of a cluster: names, addresses, and hands on its processes.
import FaultProxy
import Foundation

/// What a member of a cluster does.
public enum MemberRole: String, Sendable, CaseIterable, Codable {
  case broker
  case coordinator
  case controller
}

/// One process that a drill may break.
public struct DrillMember: Sendable, Hashable {
  /// As it is called in links, reports and command files: `broker-1`.
  public var name: String
  public var role: MemberRole
  /// `broker.id`, `node.id` or `myid`.
  public var number: Int32

  public init(name: String, role: MemberRole, number: Int32) {
    self.name = name
    self.role = role
    self.number = number
  }
}

/// A running cluster, ours or anybody's.
public protocol ClusterUnderTest: Sendable {
  /// `zookeeper` or `kraft`, for reports and for drills that exist in one mode only.
  var mode: String { get }
  /// What the cluster is, in a few words, for reports.
  var label: String { get }
  /// Which build its processes are of, as far as that is known, so that reports can be compared.
  var build: String { get }
  /// Settings that differ from the cluster's own, by key.
  var settings: [String: String] { get }
  var bootstrap: String { get }
  /// ZooKeeper's connect string; nil in KRaft mode, and when it was not given.
  var coordination: String? { get }
  var members: [DrillMember] { get }
  /// Rules of the links between members; nil when no proxies stand between them.
  var links: LinkTable? { get }

  /// Brings everything up and waits until it serves.
  func up(_ progress: @Sendable (String) -> Void) throws
  /// Stops everything and removes what it kept.
  func wipe()
  func start(_ member: DrillMember) throws
  /// SIGTERM, and waits until it has ended.
  func stop(_ member: DrillMember) throws
  /// SIGKILL.
  func kill(_ member: DrillMember) throws
  /// SIGSTOP and SIGCONT.
  func pause(_ member: DrillMember) throws
  func resume(_ member: DrillMember) throws
  func isRunning(_ member: DrillMember) -> Bool
  /// The member's data on this machine; nil when it is out of reach.
  func dataFolder(of member: DrillMember) -> URL?
  /// Makes the member's time of day jump; false where that cannot be done.
  func setClock(of member: DrillMember, offsetMs: Int64) -> Bool
  /// Lets the member write no file beyond so many bytes; false where that cannot be done.
  func limitFileSize(of member: DrillMember, bytes: UInt64?) -> Bool
  /// What the member has logged since the cluster was made; nil when it is out of reach.
  func logText(of member: DrillMember) -> String?
  /// The port that the member itself listens on for clients, past any proxy; nil when not known.
  func directPort(of member: DrillMember) -> Int?
}

extension ClusterUnderTest {
  public func members(_ role: MemberRole) -> [DrillMember] { members.filter { $0.role == role } }

  public func member(_ role: MemberRole, _ number: Int32) -> DrillMember? {
    members.first { $0.role == role && $0.number == number }
  }
}

/// Why a drill could not be carried out: nothing is said about the cluster's correctness.
public struct DrillProblem: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
