// What a member of an ensemble counts of its part in it, under ZooKeeper's names.

import Values
import Zab
import ZooKeeperProtocol

/// Times are in milliseconds. Those of transactions begin with the time that the leader has given
/// them: where clocks differ, some would be negative, and are left out as ZooKeeper leaves them
/// out.
struct QuorumStatistics {
  // The leader.
  /// `ack_latency`: until a server's acknowledgement, of one in `leader.ackLoggingFrequency`.
  var acks: [Int64: Summary] = [:]
  /// `quorum_ack_latency`: until a quorum's.
  var quorumAck = Summary()
  /// `diff_count`, `snap_count`: learners that were brought up, and how.
  var diffs: Int64 = 0
  var snapshots: Int64 = 0
  /// `inflight_snap_count`: at each beginning and end of one, how many are under way.
  var snapshotsUnderWay = Summary()

  // Learners.
  /// `proposal_latency`, `commit_propagation_latency`: until they heard of it.
  var proposal = Summary()
  var commit = Summary()
  var proposalsReceived: Int64 = 0
  var commitsReceived: Int64 = 0
  /// `follower_sync_time`, `observer_sync_time`: from the leader's greeting to service.
  var followerSync = Summary()
  var observerSync = Summary()
  var syncSince: Instant?

  // Everybody.
  /// `proposal_ack_creation_latency`: until it was on this server's disk.
  var ackCreation = Summary()
  /// `unavailable_time`, `leader_unavailable_time`: from the loss of a leader to service.
  var unavailable = Summary()
  var leaderUnavailable = Summary()
  var unavailableSince: Instant?

  /// A leader is looked for.
  mutating func lost(at now: Instant) {
    syncSince = nil
    if unavailableSince == nil { unavailableSince = now }
  }

  /// Clients are served.
  mutating func serves(as state: PeerState, at now: Instant) {
    if let since = unavailableSince {
      unavailable.add(now.milliseconds(since: since))
      if state == .leading { leaderUnavailable.add(now.milliseconds(since: since)) }
    }
    if let since = syncSince {
      let ms = now.milliseconds(since: since)
      if state == .observing { observerSync.add(ms) } else { followerSync.add(ms) }
    }
    (unavailableSince, syncSince) = (nil, nil)
  }
}

extension Summary {
  /// Adds how long ago a transaction was made, if its clock and ours agree that it was.
  mutating func add(since time: Int64, at now: WallTime) {
    if now.milliseconds >= time { add(now.milliseconds - time) }
  }
}

extension EnsembleDriver {
  /// A packet from the leader, before it is acted on.
  func measure(_ packet: QuorumPacket) {
    switch packet.type {
    case .proposal:
      quorum.proposalsReceived += 1
      let proposal = Proposal(zxid: Zxid(rawValue: packet.zxid), data: packet.data ?? [])
      if let time = proposal.time { quorum.proposal.add(since: time, at: loop.wallNow) }
    case .commit, .inform: quorum.commitsReceived += 1
    default: break
    }
  }

  /// A learner's packet, before it is acted on: an acknowledgement may be what a quorum lacked, and
  /// then the transaction waits no longer.
  func measure(_ packet: QuorumPacket, from learner: LearnerID) {
    guard packet.type == .ack, isTimed(packet.zxid), let server = peer.server(of: learner) else {
      return
    }
    measureAck(of: packet.zxid, by: server.rawValue)
  }

  private func isTimed(_ zxid: Int64) -> Bool {
    let frequency = config.peers.ackLoggingFrequency
    return frequency > 0 && zxid % frequency == 0 && Zxid(rawValue: zxid).counter != 0
  }

  private func measureAck(of zxid: Int64, by server: Int64) {
    let waiting = peer.history.pending.elements.first { $0.zxid.rawValue == zxid }
    guard let time = waiting?.time else { return }
    quorum.acks[server, default: Summary()].add(since: time, at: loop.wallNow)
  }

  /// Everything up to here is on our disk; before the machine hears of it.
  func measureFlush(through zxid: Int64) {
    let now = loop.wallNow
    while let first = unflushed.first, first.zxid <= zxid {
      quorum.ackCreation.add(since: first.time, at: now)
      if peer.state == .leading, isTimed(first.zxid) {
        measureAck(of: first.zxid, by: config.serverID)
      }
      _ = unflushed.popFirst()
    }
  }

  /// A transaction is agreed on, as the leader counts or as a learner hears.
  func measureCommit(_ proposal: Proposal) {
    guard coordinator.isServing, let time = proposal.time else { return }
    if peer.state == .leading {
      quorum.quorumAck.add(since: time, at: loop.wallNow)
    } else {
      quorum.commit.add(since: time, at: loop.wallNow)
    }
  }

  /// What the leader sends to bring a learner up.
  func measureSync(_ type: PacketType) {
    switch type {
    case .diff, .trunc: quorum.diffs += 1
    case .snap: quorum.snapshots += 1
    default: break
    }
  }
}
