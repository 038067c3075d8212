import KafkaProtocol
import Values

extension GroupShard {
  // MARK: SyncGroup

  mutating func sync(_ command: SyncCommand, _ token: RequestToken) {
    func refuse(_ error: ErrorCode) { reply(token, .sync(SyncReply(error: error))) }
    guard !command.groupID.isEmpty else { return refuse(.invalidGroupID) }
    guard var group = groups.removeValue(forKey: command.groupID) else {
      return refuse(.unknownMemberID)
    }
    defer { groups[command.groupID] = group }
    if let error = validateSync(command, group) { return refuse(error) }
    switch group.state {
    case .empty, .dead: refuse(.unknownMemberID)
    case .preparingRebalance: refuse(.rebalanceInProgress)
    case .completingRebalance:
      // A second SyncGroup of the same member: the first was given up by its client.
      if let abandoned = group[command.memberID]?.syncToken {
        reply(abandoned, .sync(SyncReply(error: .rebalanceInProgress)))
      }
      group.update(command.memberID) { $0.syncToken = token }
      hasSynced(&group, command.memberID)
      if group.isLeader(command.memberID) { store(command.assignments, group) }
    case .stable:
      hasSynced(&group, command.memberID)
      var answer = SyncReply(error: .none)
      answer.protocolType = group.protocolType
      answer.protocolName = group.protocolName
      answer.assignment = group[command.memberID]?.assignment ?? []
      reply(token, .sync(answer))
      restartSession(group, command.memberID)
    }
  }

  private func validateSync(_ command: SyncCommand, _ group: Group) -> ErrorCode? {
    if let error = validate(command.memberID, command.instanceID, in: group) { return error }
    if command.generation != group.generation { return .illegalGeneration }
    if let type = command.protocolType, type != group.protocolType {
      return .inconsistentGroupProtocol
    }
    if let name = command.protocolName, name != group.protocolName {
      return .inconsistentGroupProtocol
    }
    return nil
  }

  private mutating func hasSynced(_ group: inout Group, _ memberID: String) {
    group.pendingSyncMembers.remove(memberID)
    if group.pendingSyncMembers.isEmpty { deadlines.cancel(deadline(group, .sync)) }
  }

  /// Stores what the leader assigned; members it left out get nothing.
  private mutating func store(
    _ assignments: [(memberID: String, assignment: [UInt8])], _ group: Group
  ) {
    var byMember: [String: [UInt8]] = [:]
    for entry in assignments where group.has(entry.memberID) {
      byMember[entry.memberID] = entry.assignment
    }
    _ = append(
      [group.record(assignments: byMember)],
      .assignment(groupID: group.id, generation: group.generation, byMember))
  }

  /// The assignment is committed, or could not be.
  mutating func finishAssignment(
    _ groupID: String, _ generation: Int32, _ assignments: [String: [UInt8]], _ error: ErrorCode
  ) {
    guard var group = groups.removeValue(forKey: groupID) else { return }
    defer { groups[groupID] = group }
    // The group may have moved on to another rebalance, which has answered everybody.
    guard group.state == .completingRebalance, group.generation == generation else { return }
    if error != .none {
      resetAssignments(&group, error)
      prepareRebalance(&group, "the assignment could not be stored: \(error)")
      return
    }
    for memberID in group.memberOrder {
      group.update(memberID) { $0.assignment = assignments[memberID] ?? [] }
    }
    group.transition(to: .stable, at: now.wall)
    propagateAssignments(&group, .none)
  }

  // MARK: Heartbeat

  mutating func heartbeat(_ command: HeartbeatCommand) -> ErrorCode {
    guard !command.groupID.isEmpty else { return .invalidGroupID }
    guard let group = groups[command.groupID] else { return .unknownMemberID }
    if let error = validate(command.memberID, command.instanceID, in: group) { return error }
    if command.generation != group.generation { return .illegalGeneration }
    switch group.state {
    case .empty, .dead: return .unknownMemberID
    case .preparingRebalance:
      restartSession(group, command.memberID)
      return .rebalanceInProgress
    case .completingRebalance, .stable:
      // Consumers may begin with heartbeats before they have asked for their assignment.
      restartSession(group, command.memberID)
      return .none
    }
  }

  // MARK: LeaveGroup

  mutating func leave(_ command: LeaveCommand) -> LeaveReply {
    guard !command.groupID.isEmpty else { return LeaveReply(error: .invalidGroupID) }
    guard var group = groups.removeValue(forKey: command.groupID) else {
      return LeaveReply(
        error: .none, members: command.members.map { ($0, .unknownMemberID) })
    }
    defer { groups[command.groupID] = group }
    var answer = LeaveReply(error: .none)
    for leaver in command.members { answer.members.append((leaver, leave(leaver, &group))) }
    return answer
  }

  private mutating func leave(
    _ leaver: LeaveCommand.Leaver, _ group: inout Group
  ) -> ErrorCode {
    var memberID = leaver.memberID
    if memberID.isEmpty {
      // An administrator names a static member by its instance only.
      guard let current = leaver.instanceID.flatMap({ group.staticMembers[$0] }) else {
        return .unknownMemberID
      }
      memberID = current
    } else if group.pendingMembers.contains(memberID) {
      removePendingMember(&group, memberID)
      return .none
    } else if let error = validate(memberID, leaver.instanceID, in: group) {
      return error
    }
    removeMember(&group, memberID, "member \(memberID) leaves")
    return .none
  }
}
