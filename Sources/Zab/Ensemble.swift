// Who is in the ensemble, and what counts as a quorum of it.

/// The members of an ensemble and the weight of their votes.
///
/// A quorum is more than half of the total weight, so any two quorums share a voter. Servers
/// without an entry in `weights` weigh 1; a server of weight 0 takes part but is never elected.
public struct Ensemble: Hashable, Sendable {
  /// Participants, ascending.
  public let voters: [ServerID]
  /// Learners without a vote, ascending.
  public let observers: [ServerID]
  private let weights: [ServerID: Int64]
  private let totalWeight: Int64

  public init(
    voters: [ServerID], observers: [ServerID] = [], weights: [ServerID: Int64] = [:]
  ) {
    self.voters = voters.sorted()
    self.observers = observers.sorted()
    self.weights = weights
    totalWeight = voters.reduce(0) { $0 + (weights[$1] ?? 1) }
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
    var weight: Int64 = 0
    for voter in voters where supports(voter) { weight += weights[voter] ?? 1 }
    return weight > totalWeight / 2
  }

  public func isQuorum(_ servers: Set<ServerID>) -> Bool {
    isQuorum { servers.contains($0) }
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
  /// How long an election stays open for a better vote once a quorum agrees.
  public var finalizeWaitMs: Int64 = 200
  /// First pause before unanswered notifications are sent again; doubles with every silence.
  public var minNotificationIntervalMs: Int64 = 200
  /// The longest such pause.
  public var maxNotificationIntervalMs: Int64 = 60_000
  /// Pause before a refused connection to the leader is tried again.
  public var connectRetryMs: Int64 = 100

  public init(tickTimeMs: Int64 = 2000, initLimit: Int64 = 10, syncLimit: Int64 = 5) {
    self.tickTimeMs = tickTimeMs
    self.initLimit = initLimit
    self.syncLimit = syncLimit
  }

  var initTimeoutMs: Int64 { tickTimeMs * initLimit }
  var syncTimeoutMs: Int64 { tickTimeMs * syncLimit }
}
