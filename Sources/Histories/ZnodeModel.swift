// One znode as a sequential object.
import Values

/// A znode's data and version, under reads and conditional writes.
///
/// Reads are to follow a `sync` of their session: ZooKeeper's plain reads may be stale.
public enum ZnodeModel: SequentialModel {
  public struct State: Hashable, Sendable {
    /// Nil: the node does not exist.
    public var value: Int64?
    public var version: Int32

    public init(value: Int64?, version: Int32) {
      self.value = value
      self.version = version
    }
  }

  public enum Call: Equatable, Sendable {
    /// Answers data and version; nil value: NoNode.
    case get(value: Int64?, version: Int32)
    /// Sets data if the version fits (-1: always); `applied`: whether it was answered with success
    /// or with BadVersion.
    case set(value: Int64, expected: Int32, applied: Bool)
    /// Creates the node; `applied` false: NodeExists.
    case create(value: Int64, applied: Bool)
    /// Deletes the node if the version fits; `applied` false: NoNode or BadVersion.
    case delete(expected: Int32, applied: Bool)
  }

  public static let initial = State(value: nil, version: 0)

  public static func step(_ state: State, _ call: Call, isAnswered: Bool) -> State? {
    switch call {
    case .get(let value, let version):
      let fits = state.value == value && (value == nil || state.version == version)
      return fits || !isAnswered ? state : nil
    case .set(let value, let expected, let applied):
      let can = state.value != nil && (expected == -1 || expected == state.version)
      return outcome(
        can, applied, isAnswered, state, State(value: value, version: state.version &+ 1))
    case .create(let value, let applied):
      return outcome(
        state.value == nil, applied, isAnswered, state, State(value: value, version: 0))
    case .delete(let expected, let applied):
      let can = state.value != nil && (expected == -1 || expected == state.version)
      return outcome(can, applied, isAnswered, state, State(value: nil, version: 0))
    }
  }

  /// A write that can apply does; only the answer may be unknown.
  private static func outcome(
    _ can: Bool, _ applied: Bool, _ isAnswered: Bool, _ before: State, _ after: State
  ) -> State? {
    if isAnswered, applied != can { return nil }
    return can ? after : before
  }
}

/// What one session saw of one node: its state may only move forward.
public struct ZnodeSighting: Sendable {
  public var session: Int
  public var path: String
  /// The zxid of the node's last change, as the Stat says it.
  public var mzxid: Int64
  public var operation: Int

  public init(session: Int, path: String, mzxid: Int64, operation: Int) {
    self.session = session
    self.path = path
    self.mzxid = mzxid
    self.operation = operation
  }
}

/// ZooKeeper's single system image: a session never sees an older state after a newer one,
/// whichever server it talks to.
public enum SessionOrderChecker {
  /// - Parameter sightings: in the order in which each session got its answers.
  public static func check(_ sightings: [ZnodeSighting]) -> Findings {
    struct Key: Hashable {
      var session: Int
      var path: String
    }
    var findings = Findings()
    var newest: [Key: ZnodeSighting] = [:]
    for sighting in sightings {
      let key = Key(session: sighting.session, path: sighting.path)
      guard let before = newest[key], sighting.mzxid < before.mzxid else {
        newest[key] = sighting
        continue
      }
      findings.add(
        Anomaly(
          .sessionOrder, sighting.path,
          "session \(sighting.session) saw zxid \(sighting.mzxid) after \(before.mzxid)",
          operations: [before.operation, sighting.operation]))
    }
    return findings
  }
}
