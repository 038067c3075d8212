import Values
import Zab
import ZooKeeperProtocol

// One simulated server of an ensemble: a `Peer`, what its driver would own, and its disk.

/// What survives a crash of a simulated server.
struct ZabDisk {
  var log = SimulatedLog<Proposal>()
  /// A snapshot stands for everything up to its zxid.
  var snapshot: (zxid: Zxid, tree: [Proposal]) = (.zero, [])
  var epochs = Epochs()
  /// The configuration in force, and one that was proposed after it.
  var config = EnsembleConfig()
  var nextConfig: EnsembleConfig?

  /// Everything that would be in the tree after a restart, if the crash came now.
  func contains(durably zxid: Zxid) -> Bool {
    if zxid <= snapshot.zxid { return snapshot.tree.contains { $0.zxid == zxid } }
    return log.durableEntries.last { $0.zxid <= zxid }?.zxid == zxid
  }

  /// The tree as a restart reads it.
  func recover() -> [Proposal] {
    snapshot.tree + log.entries.filter { $0.zxid > snapshot.zxid }
  }
}

/// A simulated server; `peer` is nil while it is down.
struct ZabServer {
  let id: ServerID
  var peer: Peer?
  var disk = ZabDisk()
  /// What has been applied: the whole history stands for the tree.
  var tree: [Proposal] = []
  /// Logged and not applied, as a driver keeps them.
  var unapplied: [Proposal] = []
  var gate = DurabilityGate(durable: .zero)
  /// Rises with every start and crash, so that events for a former life are recognised.
  var life = 0
  var isFlushing = false
  /// The connection to the leader, if this server has one or is opening one.
  var leaderLink: Int?
  var learnerLinks: [LearnerID: Int] = [:]
  var learnersAccepted = 0
  /// When its timer has been scheduled for, to schedule it once.
  var timerAt: Instant = .distantFuture
  /// Effects that are still carried out before it crashes; nil: no crash is due.
  var crashCountdown: Int?

  init(id: ServerID) { self.id = id }

  var isUp: Bool { peer != nil }
  var isLeading: Bool { peer?.state == .leading }
  var isServing: Bool { peer?.isServing ?? false }
}

/// What travels between simulated servers.
enum ZabMessage {
  /// A vote, and the configuration in force at whoever casts it.
  case notification(Notification, EnsembleConfig)
  case packet(QuorumPacket)
  /// SNAP and the tree behind it.
  case snapshot(Zxid, [Proposal])
}

/// Deliberate mistakes, to show that the invariants would catch them.
public enum ZabSabotage: CaseIterable, Sendable {
  /// Acknowledges proposals when they are logged, not when they are durable.
  case acknowledgesBeforeFlush
  /// Forgets the epochs it has promised and entered.
  case forgetsEpochs
  /// Applies what a new leader sends without cutting off its own tail.
  case ignoresTruncation
  /// While it is brought up to date, takes what it has logged for durable: enters the epoch first
  /// and has the transactions on disk later.
  case entersEpochBeforeFlush
  /// Begins to vote with what it has only ever had in memory.
  case votesWithoutLog
}
