import Raft
import Values

// What must hold of a metadata quorum at every moment, by name. Each check is called where its
// subject changes; a violation stops the run.

public struct RaftInvariants {
  /// The one history: what any server has applied, in order.
  private(set) var committed: [RaftEntry] = []
  /// The epoch in which each of them was committed, which may be greater than its own.
  private var committedIn: [LeaderEpoch] = []
  /// Up to where replicas have told that their logs are durable. A disk that is lost later does not
  /// take that back: the model allows one at a time, which a majority survives.
  private var promised: [ReplicaKey: Offset] = [:]
  private var leaders: [LeaderEpoch: (key: ReplicaKey, life: Int)] = [:]
  private var votes: [Ballot: ReplicaKey] = [:]
  private var offered: [Int: LeaderEpoch] = [:]
  /// Names and particulars of what was violated.
  public private(set) var violations: [String] = []

  private struct Ballot: Hashable {
    let voter: ReplicaKey
    let epoch: LeaderEpoch
  }

  init() {}

  mutating func violated(_ name: String, _ detail: String) {
    violations.append("\(name): \(detail)")
  }

  mutating func noteOffered(_ value: Int, epoch: LeaderEpoch) { offered[value] = epoch }

  /// Epochs never go back, not even over crashes: from file to file, and into a new life.
  mutating func enters(_ epoch: LeaderEpoch, _ server: inout RaftServer) {
    if epoch < server.greatestEpoch {
      violated(
        "monotonic epoch",
        "\(server.name) was in \(server.greatestEpoch.rawValue) and is in \(epoch.rawValue)")
    }
    server.greatestEpoch = max(server.greatestEpoch, epoch)
  }

  /// One leader per epoch; and it has everything that was committed in epochs before its own. A
  /// vote may arrive late, when a later epoch has a leader already: then the late one commits
  /// nothing any more, and need not have what the other committed.
  mutating func becameLeader(_ server: RaftServer, epoch: LeaderEpoch) {
    if let other = leaders[epoch], other != (server.key, server.life) {
      violated("single leader per epoch", "\(other.key) and \(server.key) lead \(epoch.rawValue)")
    }
    leaders[epoch] = (server.key, server.life)
    let covered = server.disk.snapshots.last?.id.offset ?? 0
    for offset in Int(covered)..<max(Int(covered), committed.count)
    where committedIn[offset] < epoch && server.disk.entry(at: Offset(offset)) != committed[offset]
    {
      return violated(
        "leader completeness",
        "\(server.name) leads \(epoch.rawValue) without the committed record \(offset)")
    }
  }

  /// A replica votes for one candidate of an epoch.
  mutating func voted(_ voter: ReplicaKey, for candidate: ReplicaKey, epoch: LeaderEpoch) {
    let ballot = Ballot(voter: voter, epoch: epoch)
    if let other = votes[ballot], other != candidate {
      violated(
        "one vote per epoch", "\(voter) voted for \(other) and \(candidate) in \(epoch.rawValue)")
    }
    votes[ballot] = candidate
  }

  /// Before a leader says that records are committed, a majority of its voters has them on disk.
  mutating func leaderCommits(
    upTo end: Offset, _ leader: RaftServer, servers: [RaftServer]
  ) {
    guard let voters = leader.machine?.voters, end > 0,
      let entry = leader.disk.entry(at: end - 1)
    else { return }
    let holders = servers.filter {
      voters.isVoter($0.key) && $0.disk.holdsDurably(entry, at: end - 1)
    }
    let lost = voters.keys.filter { key in
      !servers.contains { key.means($0.key) } && promised[key] ?? 0 >= end
    }
    if holders.count + lost.count < voters.majority {
      violated(
        "majority reached high watermark",
        "\(end) is on \(holders.map(\.name)) of \(voters.ids.map(\.rawValue))")
    }
  }

  /// Committed records are the same everywhere and for ever, and were written by their leader.
  mutating func applied(_ entry: RaftEntry, at offset: Offset, by server: RaftServer) {
    if offset < Offset(committed.count) {
      if committed[Int(offset)] != entry {
        violated("committed prefix stable", "\(server.name) has another record at \(offset)")
      }
      return
    }
    if offset > Offset(committed.count) {
      violated("committed prefix stable", "\(server.name) skips to \(offset)")
      return
    }
    if case .value(let value) = entry.record, offered[value] != entry.epoch {
      violated("integrity", "\(server.name) has \(value), which nobody wrote in its epoch")
    }
    if let last = committed.last, last.epoch > entry.epoch {
      violated("monotonic epoch", "record \(offset) is older than the one before it")
    }
    committed.append(entry)
    committedIn.append(server.machine?.epoch ?? entry.epoch)
  }

  /// A snapshot is a beginning of the history.
  mutating func installed(_ snapshot: RaftSnapshot, by server: RaftServer) {
    if !committed.starts(with: snapshot.history) {
      violated("committed prefix stable", "\(server.name) installs another history")
    }
  }

  /// The voters change by one at a time, and not before the last change is committed.
  mutating func changesVoters(
    to voters: VoterSet, from before: VotersEntry?, by server: RaftServer
  ) {
    guard let before else { return }
    let isCommitted = before.offset < Offset(committed.count)
    if !isCommitted || !voters.overlaps(before.voters) {
      violated(
        "one voter change at a time",
        "\(server.name) goes from \(before.voters.keys) at \(before.offset) to \(voters.keys) "
          + "with \(committed.count) committed")
    }
  }

  /// The place a replica fetches from promises that all before it is durable.
  mutating func fetches(from offset: Offset, _ server: RaftServer) {
    // Of this moment, not the greatest ever: a log may be cut.
    promised[server.key] = offset
    if !server.isBroker, offset > server.disk.durableEnd {
      violated(
        "fetches from the durable end",
        "\(server.name) fetches from \(offset), durable is \(server.disk.durableEnd)")
    }
  }

  static func text(_ record: RaftRecord) -> String {
    switch record {
    case .value(let value): "\(value)"
    case .control(.leaderChange(let leader, _, _)): "leader \(leader.rawValue)"
    case .control(.kraftVersion(let level)): "kraft.version \(level)"
    case .control(.voters(let set)):
      "voters " + set.ids.map { "\($0.rawValue)" }.joined(separator: " ")
    }
  }
}
