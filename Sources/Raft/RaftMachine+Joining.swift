import KafkaProtocol
import Values

// A controller that makes itself a voter, when it is told to (`joinsAutomatically`): what an
// operator does with `metadata-quorum add-controller`, as soon as its log has caught up. Under the
// id of a voter whose disk is gone, it has that one removed first.

extension RaftMachine {
  /// The request waits for a commit, and that for this replica's fetches: it needs a connection of
  /// its own to the leader. No node has this id.
  static var joiningNode: BrokerID { BrokerID(-1) }

  /// Asks the leader to make this observer a voter, now and then until it is one.
  /// - Returns: when to look again.
  mutating func pollJoining() -> Instant {
    guard configuration.joinsAutomatically, log.kraftVersion > 0,
      hasOwnListener(configuration.endpoints), shutdownDeadline == nil,
      case .follower(var follower) = role, let leader = node(of: follower)
    else { return .distantFuture }
    // Not before it has what the leader had committed when it last said so.
    guard leaderHighWatermark > 0, log.endOffset >= leaderHighWatermark else {
      return .distantFuture
    }
    guard now >= follower.updateDeadline else { return follower.updateDeadline }
    let node = RaftNode(id: Self.joiningNode, host: leader.host, port: leader.port)
    if case .busy(let until) = connections.readiness(node.id, at: now) { return until }
    follower.updateDeadline = deadline(inMs: updateVoterPeriodMs)
    role = .follower(follower)
    if let former = voters[own.id]?.key {
      let request = RemoveVoterRequest(clusterID: configuration.clusterID, voter: former)
      _ = send(to: node, .removeVoter(request))
    } else {
      let request = AddVoterRequest(
        clusterID: configuration.clusterID, timeoutMs: Int32(clamping: options.requestTimeoutMs),
        voter: own, endpoints: configuration.endpoints)
      _ = send(to: node, .addVoter(request))
    }
    return follower.updateDeadline
  }

  /// What the leader says to that.
  mutating func takeChange(_ response: VoterChangeResponse, from inflight: Inflight) -> Bool {
    if response.error != .none {
      note(
        .info,
        "The leader does not change the voters yet: \(response.error), \(response.message ?? "")")
    } else if case .removeVoter = inflight.request, case .follower(var follower) = role {
      // The way is free.
      follower.updateDeadline = now
      role = .follower(follower)
    }
    return true
  }
}
