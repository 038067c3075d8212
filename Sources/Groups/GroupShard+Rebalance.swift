import KafkaProtocol
import Values

extension GroupShard {
  /// Begins to gather members. Whoever waits for an assignment of the generation that is given up
  /// is told to join again.
  mutating func prepareRebalance(_ group: inout Group, _ reason: String) {
    if group.state == .completingRebalance {
      resetAssignments(&group, .rebalanceInProgress)
    }
    group.pendingSyncMembers.removeAll()
    deadlines.cancel(deadline(group, .sync))
    note("group \(group.id): rebalance after generation \(group.generation): \(reason)")
    if group.state == .empty {
      // Members tend to start together: the first one waits a while for the others.
      let delay = config.initialRebalanceDelayMs
      group.initialDelayRemainingMs = max(group.rebalanceTimeoutMs - delay, 0)
      schedule(group, .join, afterMs: delay)
    } else {
      group.initialDelayRemainingMs = nil
      schedule(group, .join, afterMs: max(group.rebalanceTimeoutMs, 1))
    }
    group.transition(to: .preparingRebalance, at: now.wall)
    completeJoinIfAllJoined(&group)
  }

  /// Ends the gathering early, unless this is a group's first, which takes its time.
  mutating func completeJoinIfAllJoined(_ group: inout Group) {
    guard group.state == .preparingRebalance, group.initialDelayRemainingMs == nil,
      group.haveAllJoined
    else { return }
    completeJoin(&group)
  }

  /// The time for gathering members is over.
  mutating func joinExpired(_ group: inout Group) {
    guard group.state == .preparingRebalance else { return }
    if let remaining = group.initialDelayRemainingMs, group.newMemberAdded, remaining > 0 {
      group.newMemberAdded = false
      let delay = min(config.initialRebalanceDelayMs, remaining)
      group.initialDelayRemainingMs = remaining - delay
      schedule(group, .join, afterMs: delay)
    } else {
      completeJoin(&group)
    }
  }

  /// Starts the next generation with those who have joined. Static members keep their place until
  /// their session ends.
  private mutating func completeJoin(_ group: inout Group) {
    group.initialDelayRemainingMs = nil
    group.newMemberAdded = false
    for member in group.allMembers where member.joinToken == nil && member.instanceID == nil {
      note("group \(group.id): member \(member.id) did not join in time")
      endSession(group, member.id)
      group.remove(member.id)
    }
    if !group.electJoinedLeader(), !group.isEmpty {
      // Only absent static members are left: wait until their sessions end.
      schedule(group, .join, afterMs: max(group.rebalanceTimeoutMs, 1))
      return
    }
    deadlines.cancel(deadline(group, .join))
    group.startNextGeneration(at: now.wall)
    if group.isEmpty {
      group.leaderID = nil
      _ = append([group.record(assignments: [:])], .emptyGroup(groupID: group.id))
      return
    }
    let protocolName = group.protocolName ?? ""
    note(
      "group \(group.id): generation \(group.generation) with \(group.count) members, "
        + "protocol \(protocolName)")
    for memberID in group.memberOrder {
      if let token = group[memberID]?.joinToken {
        reply(token, .join(joinReply(group, memberID)))
      }
      group.update(memberID) {
        $0.joinToken = nil
        $0.isNew = false
      }
      restartSession(group, memberID)
      group.pendingSyncMembers.insert(memberID)
    }
    schedule(group, .sync, afterMs: max(group.rebalanceTimeoutMs, 1))
  }

  /// Not everybody has asked for their assignment in time: those who have not are gone.
  mutating func syncExpired(_ group: inout Group) {
    guard group.state == .completingRebalance || group.state == .stable,
      !group.pendingSyncMembers.isEmpty
    else { return }
    let missing = group.pendingSyncMembers.sorted()
    for memberID in missing {
      endSession(group, memberID)
      removeSilently(&group, memberID)
    }
    prepareRebalance(&group, "no SyncGroup from \(missing.joined(separator: ", "))")
  }

  /// Takes assignments back and answers everybody who waits for one.
  mutating func resetAssignments(_ group: inout Group, _ error: ErrorCode) {
    for memberID in group.memberOrder { group.update(memberID) { $0.assignment = [] } }
    propagateAssignments(&group, error)
  }

  /// Answers everybody who waits for an assignment.
  mutating func propagateAssignments(_ group: inout Group, _ error: ErrorCode) {
    for memberID in group.memberOrder {
      guard let member = group[memberID], let token = member.syncToken else { continue }
      group.update(memberID) { $0.syncToken = nil }
      var answer = SyncReply(error: error)
      if error == .none {
        answer.protocolType = group.protocolType
        answer.protocolName = group.protocolName
        answer.assignment = member.assignment
      }
      reply(token, .sync(answer))
      // Sessions stand still for those who wait for an assignment.
      restartSession(group, memberID)
    }
  }

  /// Takes a member out and answers what it waits for, without a rebalance.
  mutating func removeSilently(_ group: inout Group, _ memberID: String) {
    guard let member = group.remove(memberID) else { return }
    endSession(group, memberID)
    if let token = member.joinToken {
      // Without an id, so that a client that is still there starts over.
      reply(token, .join(JoinReply(memberID: "", error: .unknownMemberID)))
    }
    if let token = member.syncToken { reply(token, .sync(SyncReply(error: .unknownMemberID))) }
  }

  /// Takes a member out; the others share what it had.
  mutating func removeMember(_ group: inout Group, _ memberID: String, _ reason: String) {
    removeSilently(&group, memberID)
    switch group.state {
    case .dead, .empty: break
    case .stable, .completingRebalance: prepareRebalance(&group, reason)
    case .preparingRebalance: completeJoinIfAllJoined(&group)
    }
  }

  mutating func removePendingMember(_ group: inout Group, _ memberID: String) {
    deadlines.cancel(deadline(group, .pendingMember(memberID: memberID)))
    group.pendingMembers.remove(memberID)
    completeJoinIfAllJoined(&group)
  }

  /// A member has not been heard of for its whole session.
  mutating func sessionExpired(_ group: inout Group, _ memberID: String) {
    guard let member = group[memberID] else { return }
    // Whoever waits for the coordinator cannot be blamed for its silence; new members only for so
    // long, as their clients may have given up without a word.
    if !member.isNew, member.joinToken != nil || member.syncToken != nil { return }
    removeMember(&group, memberID, "member \(memberID) has not been heard of")
  }
}
