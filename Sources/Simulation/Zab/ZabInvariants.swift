import Values
import Zab
import ZooKeeperProtocol

// What must hold of an ensemble at every moment, by name. Each check is called where its subject
// changes; a violation stops the run.

public struct ZabInvariants {
  /// The one history: what any serving server has applied, in order.
  private(set) var committed: [Proposal] = []
  private var proposed: [Zxid: [UInt8]] = [:]
  private var leaders: [Int64: (server: ServerID, life: Int)] = [:]
  /// Names and particulars of what was violated.
  public private(set) var violations: [String] = []

  init() {}

  private mutating func violated(_ name: String, _ detail: String) {
    violations.append("\(name): \(detail)")
  }

  mutating func noteProposed(_ proposal: Proposal) { proposed[proposal.zxid] = proposal.data }

  /// One leader per epoch; committed writes never lost: whoever leads has all of them.
  mutating func leaderServes(
    _ server: ZabServer, epoch: Int64, servers: [ZabServer], ensemble: Ensemble
  ) {
    if let other = leaders[epoch] {
      if other != (server.id, server.life) {
        violated(
          "one leader per epoch", "\(other.server) and \(server.id) both lead epoch \(epoch)")
      }
    }
    leaders[epoch] = (server.id, server.life)
    if !server.tree.starts(with: committed) {
      violated(
        "committed writes are never lost",
        "leader \(server.id) of epoch \(epoch) has \(Self.text(server.tree)), "
          + "committed were \(Self.text(committed))")
    }
    // Its epoch makes the rest of its log committed.
    for proposal in server.tree.dropFirst(committed.count) {
      extend(by: proposal, server.id)
      acknowledges(proposal.zxid, servers: servers, ensemble: ensemble)
    }
  }

  /// Agreement, when a learner begins to serve: what it has is the beginning of the history.
  mutating func learnerServes(_ server: ZabServer) {
    if !committed.starts(with: server.tree) {
      violated(
        "agreement",
        "\(server.id) serves \(Self.text(server.tree)), committed are \(Self.text(committed))")
    }
  }

  /// Total order and agreement, for each transaction a serving server has just applied.
  mutating func applied(_ server: ZabServer) {
    guard let newest = server.tree.last else { return }
    let position = server.tree.count - 1
    if position < committed.count {
      if committed[position] != newest {
        violated(
          "total order",
          "\(server.id) has \(newest.zxid) at \(position), others \(committed[position].zxid)")
      }
    } else if position > committed.count {
      violated(
        "total order",
        "\(server.id) has applied \(position + 1), only \(committed.count) were before")
    } else {
      extend(by: newest, server.id)
    }
  }

  /// Acknowledged implies durable on a quorum: before a leader answers a client, or makes what its
  /// predecessors left behind committed.
  mutating func acknowledges(_ zxid: Zxid, servers: [ZabServer], ensemble: Ensemble) {
    let holders = servers.filter { $0.disk.contains(durably: zxid) }.map(\.id)
    if !ensemble.isQuorum(Set(holders)) {
      violated("acknowledged implies durable on a quorum", "\(zxid) is durable on \(holders) only")
    }
  }

  /// Integrity and primary order, for each addition to the history.
  private mutating func extend(by proposal: Proposal, _ server: ServerID) {
    if proposed[proposal.zxid] != proposal.data {
      violated("integrity", "\(server) has applied \(proposal.zxid), which nobody proposed so")
    }
    let last = committed.last?.zxid ?? .zero
    let follows =
      last.epoch == proposal.zxid.epoch
      ? proposal.zxid.counter == last.counter + 1
      : proposal.zxid.epoch > last.epoch && proposal.zxid.counter == 1
    if !follows { violated("primary order", "\(proposal.zxid) after \(last)") }
    committed.append(proposal)
  }

  static func text(_ tree: [Proposal]) -> String {
    let last = tree.suffix(3).map { "\($0.zxid)" }.joined(separator: " ")
    return "\(tree.count) transactions (… \(last))"
  }
}
