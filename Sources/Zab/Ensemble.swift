// Who is in the ensemble, and what counts as a quorum of it.

/// The members of an ensemble and the weight of their votes.
///
/// Without groups a quorum is more than half of the total weight; with groups it is more than half
/// of the weight in each of more than half of the groups. Either way any two quorums share a voter.
/// Servers without an entry in `weights` weigh 1; a server of weight 0 takes part but is never
/// elected, and a group without weight does not count.
public struct Ensemble: Hashable, Sendable {
  /// Participants, ascending.
  public let voters: [ServerID]
  /// Learners without a vote, ascending.
  public let observers: [ServerID]
  private let weights: [ServerID: Int64]
  /// Voters by group, each ascending; one group of all when there is no hierarchy.
  private let groups: [(members: [ServerID], weight: Int64)]

  /// - Parameter groups: Members of each group; empty for none. Voters that are in no group have no
  ///   say when others are.
  public init(
    voters: [ServerID], observers: [ServerID] = [], weights: [ServerID: Int64] = [:],
    groups: [[ServerID]] = []
  ) {
    let sorted = voters.sorted()
    self.voters = sorted
    self.observers = observers.sorted()
    self.weights = weights
    let parts = groups.isEmpty ? [sorted] : groups.map { part in sorted.filter(part.contains) }
    self.groups = parts.map { part in (part, part.reduce(0) { $0 + (weights[$1] ?? 1) }) }
      .filter { $0.weight > 0 }
  }

  public func contains(_ server: ServerID) -> Bool {
    voters.contains(server) || observers.contains(server)
  }

  public func isVoter(_ server: ServerID) -> Bool { voters.contains(server) }

  /// 0 for servers that do not vote.
  public func weight(of server: ServerID) -> Int64 {
    isVoter(server) ? weights[server] ?? 1 : 0
  }

  /// Whether the voters for which `supports` holds are a quorum.
  public func isQuorum(where supports: (ServerID) -> Bool) -> Bool {
    var supporting = 0
    for group in groups {
      var weight: Int64 = 0
      for voter in group.members where supports(voter) { weight += weights[voter] ?? 1 }
      if weight > group.weight / 2 { supporting += 1 }
    }
    return supporting > groups.count / 2
  }

  public func isQuorum(_ servers: Set<ServerID>) -> Bool {
    isQuorum { servers.contains($0) }
  }

  public static func == (a: Self, b: Self) -> Bool {
    a.voters == b.voters && a.observers == b.observers && a.weights == b.weights
      && a.groups.map(\.members) == b.groups.map(\.members)
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(voters)
    hasher.combine(observers)
  }
}

/// Timing of an ensemble, as in `zoo.cfg`.
public struct EnsembleTiming: Hashable, Sendable {
  /// `tickTime`, milliseconds.
  public var tickTimeMs: Int64
  /// `initLimit`: ticks a learner may take to connect and synchronise.
  public var initLimit: Int64
  /// `syncLimit`: ticks a learner may stay silent or behind.
  public var syncLimit: Int64
  /// How long an election stays open for a better vote once a quorum agrees. ZooKeeper has 200: a
  /// vote that comes later costs a server that might have led a truncation, and never a committed
  /// transaction; without the pauses of a JVM it comes sooner, and a failover waits for this.
  public var finalizeWaitMs: Int64 = 100
  /// First pause before unanswered notifications are sent again; doubles with every silence.
  public var minNotificationIntervalMs: Int64 = 200
  /// The longest such pause.
  public var maxNotificationIntervalMs: Int64 = 60_000
  /// `connectToLearnerMasterLimit`: ticks a learner may take to connect; 0 for `initLimit`.
  public var connectLimit: Int64 = 0
  /// `leader.maxTimeToWaitForEpoch`: how long a leader waits for a quorum to connect; nil for
  /// `initLimit`.
  public var epochWaitMs: Int64?
  /// The longest pause before a refused connection to the leader is tried again.
  public var connectRetryMs: Int64 = 100

  public init(tickTimeMs: Int64 = 2000, initLimit: Int64 = 10, syncLimit: Int64 = 5) {
    self.tickTimeMs = tickTimeMs
    self.initLimit = initLimit
    self.syncLimit = syncLimit
  }

  var initTimeoutMs: Int64 { tickTimeMs * initLimit }
  public var connectTimeoutMs: Int64 { tickTimeMs * (connectLimit > 0 ? connectLimit : initLimit) }
  var syncTimeoutMs: Int64 { tickTimeMs * syncLimit }
}
