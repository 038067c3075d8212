import KafkaProtocol
import Values

extension GroupShard {
  /// A static member that came back without the id it had, while its group was stable (KIP-345).
  struct StaticReplacement: Sendable {
    var groupID: String
    var generation: Int32
    var instanceID: String
    var oldID: String
    var newID: String
    /// What the old member had offered, to go back to if the new id cannot be stored.
    var old: Member
    /// The leader as it was called before.
    var oldLeaderID: String
    var canSkipAssignment: Bool
    var token: RequestToken
  }

  /// Gives a known instance's place to a new member id; the old one is fenced from now on.
  ///
  /// A stable group whose protocol stays the same goes on without a rebalance: the instance takes
  /// over the old member's assignment.
  mutating func replaceStatic(
    _ group: inout Group, _ instanceID: String, _ oldID: String, by newID: String,
    _ command: JoinCommand, _ token: RequestToken
  ) {
    guard let old = group[oldID] else { return }
    let oldLeaderID = group.leaderID ?? ""
    if let waiting = old.joinToken {
      reply(waiting, .join(JoinReply(memberID: oldID, error: .fencedInstanceID)))
    }
    if let waiting = old.syncToken { reply(waiting, .sync(SyncReply(error: .fencedInstanceID))) }
    endSession(group, oldID)
    group.replaceStaticMember(instanceID, oldID, by: newID)
    group.update(newID) {
      $0.protocols = command.protocols
      $0.rebalanceTimeoutMs = command.rebalanceTimeoutMs
      $0.sessionTimeoutMs = command.sessionTimeoutMs
      $0.clientID = command.clientID
      $0.clientHost = command.clientHost
      $0.joinToken = token
    }
    restartSession(group, newID)
    switch group.state {
    case .stable where group.selectProtocol() == group.protocolName:
      let assignments = Dictionary(
        group.allMembers.map { ($0.id, $0.assignment) }, uniquingKeysWith: { $1 })
      let replacement = StaticReplacement(
        groupID: group.id, generation: group.generation, instanceID: instanceID, oldID: oldID,
        newID: newID, old: old, oldLeaderID: oldLeaderID,
        canSkipAssignment: command.canSkipAssignment, token: token)
      _ = append([group.record(assignments: assignments)], .staticMember(replacement))
    case .stable:
      prepareRebalance(&group, "static member \(instanceID) changes the protocol")
    case .completingRebalance:
      // The leader may be assigning to the old id at this moment.
      prepareRebalance(&group, "static member \(instanceID) comes back")
    case .preparingRebalance, .empty, .dead:
      break
    }
  }

  /// The new id is stored, or could not be.
  mutating func finishReplacement(_ replacement: StaticReplacement, _ error: ErrorCode) {
    guard var group = groups.removeValue(forKey: replacement.groupID) else { return }
    defer { groups[replacement.groupID] = group }
    // Answered already if the member was replaced again, removed, or caught up in a rebalance that
    // has completed since.
    guard group[replacement.newID]?.joinToken == replacement.token else { return }
    guard group.state == .stable, group.generation == replacement.generation else {
      // A rebalance has begun: the JoinGroup counts for that one.
      return
    }
    group.update(replacement.newID) { $0.joinToken = nil }
    if error == .none {
      restartSession(group, replacement.newID)
      reply(replacement.token, .join(replacementReply(group, replacement)))
      return
    }
    group.replaceStaticMember(
      replacement.instanceID, replacement.newID, by: replacement.oldID)
    group.update(replacement.oldID) {
      $0.protocols = replacement.old.protocols
      $0.rebalanceTimeoutMs = replacement.old.rebalanceTimeoutMs
      $0.sessionTimeoutMs = replacement.old.sessionTimeoutMs
      $0.clientID = replacement.old.clientID
      $0.clientHost = replacement.old.clientHost
    }
    endSession(group, replacement.newID)
    restartSession(group, replacement.oldID)
    reply(replacement.token, .join(JoinReply(memberID: "", error: error)))
  }

  /// A leader must not assign partitions to a stable group, which would not hear of it: from v9 on
  /// it is told to skip that, before it is not told that it leads.
  private func replacementReply(
    _ group: Group, _ replacement: StaticReplacement
  ) -> JoinReply {
    var reply = joinReply(group, replacement.newID)
    if replacement.canSkipAssignment {
      reply.skipsAssignment = group.isLeader(replacement.newID)
    } else {
      reply.members = []
      reply.leaderID = replacement.oldLeaderID
    }
    return reply
  }
}
