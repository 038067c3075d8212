import KafkaProtocol
import Values

extension GroupShard {
  mutating func join(_ command: JoinCommand, _ token: RequestToken) {
    func refuse(_ error: ErrorCode, memberID: String? = nil) {
      reply(token, .join(JoinReply(memberID: memberID ?? command.memberID, error: error)))
    }
    guard !command.groupID.isEmpty else { return refuse(.invalidGroupID) }
    guard command.sessionTimeoutMs >= config.minSessionTimeoutMs,
      command.sessionTimeoutMs <= config.maxSessionTimeoutMs
    else { return refuse(.invalidSessionTimeout) }
    let isUnknown = command.memberID.isEmpty
    var group: Group
    if let known = groups.removeValue(forKey: command.groupID) {
      group = known
    } else if isUnknown {
      group = Group(id: command.groupID, at: now.wall)
    } else {
      return refuse(.unknownMemberID)
    }
    if !accepts(command.memberID, group) {
      removeSilently(&group, command.memberID)
      refuse(.groupMaxSizeReached, memberID: "")
    } else if !group.supports(protocolType: command.protocolType, protocols: command.protocols) {
      refuse(.inconsistentGroupProtocol)
    } else if isUnknown {
      joinNew(&group, command, token)
    } else if group.pendingMembers.contains(command.memberID) {
      // Only ids of dynamic members are given out ahead.
      if command.instanceID == nil {
        deadlines.cancel(deadline(group, .pendingMember(memberID: command.memberID)))
        add(&group, command.memberID, command, token)
      } else {
        refuse(.unknownMemberID)
      }
    } else if let error = validate(command.memberID, command.instanceID, in: group) {
      refuse(error)
    } else {
      rejoin(&group, command, token)
    }
    if group.state == .preparingRebalance { completeJoinIfAllJoined(&group) }
    // A refused first member leaves no trace of the group it meant to begin.
    if group.isEmpty, group.state == .empty, group.pendingMembers.isEmpty, group.generation == 0,
      group.offsets.isEmpty
    {
      return
    }
    groups[group.id] = group
  }

  /// Whether there is room for the member.
  private func accepts(_ memberID: String, _ group: Group) -> Bool {
    switch group.state {
    case .empty, .dead: true
    case .preparingRebalance:
      // Members that have joined this rebalance count, and not those of the generation before: that
      // is how a group that has become too large loses those who come last.
      group[memberID]?.joinToken != nil || group.awaitingJoinCount < config.maxSize
    case .completingRebalance, .stable: group.has(memberID) || group.count < config.maxSize
    }
  }

  // MARK: Without an id

  private mutating func joinNew(
    _ group: inout Group, _ command: JoinCommand, _ token: RequestToken
  ) {
    let memberID = newMemberID(command.instanceID ?? command.clientID)
    if let instanceID = command.instanceID {
      if let oldID = group.staticMembers[instanceID] {
        replaceStatic(&group, instanceID, oldID, by: memberID, command, token)
      } else {
        add(&group, memberID, command, token)
      }
    } else if command.requiresKnownMemberID {
      group.pendingMembers.insert(memberID)
      schedule(
        group, .pendingMember(memberID: memberID), afterMs: Int64(command.sessionTimeoutMs))
      reply(token, .join(JoinReply(memberID: memberID, error: .memberIDRequired)))
    } else {
      add(&group, memberID, command, token)
    }
  }

  /// A name that nobody else has: the client's own and a UUID.
  private mutating func newMemberID(_ prefix: String) -> String {
    let (high, low) = (nextRandom(), nextRandom())
    func hex(_ value: UInt64, _ digits: Int) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: max(digits - text.count, 0)) + text
    }
    // Version 4 and variant 1, as java.util.UUID makes them.
    let third = high & 0x0fff | 0x4000
    let fourth = low >> 48 & 0x3fff | 0x8000
    return "\(prefix)-\(hex(high >> 32, 8))-\(hex(high >> 16 & 0xffff, 4))-\(hex(third, 4))"
      + "-\(hex(fourth, 4))-\(hex(low & 0xffff_ffff_ffff, 12))"
  }

  private mutating func add(
    _ group: inout Group, _ memberID: String, _ command: JoinCommand, _ token: RequestToken
  ) {
    var member = Member(
      id: memberID, instanceID: command.instanceID, clientID: command.clientID,
      clientHost: command.clientHost, rebalanceTimeoutMs: command.rebalanceTimeoutMs,
      sessionTimeoutMs: command.sessionTimeoutMs, protocols: command.protocols)
    member.isNew = true
    member.joinToken = token
    if group.state == .preparingRebalance, group.generation == 0 { group.newMemberAdded = true }
    if group.isEmpty { group.protocolType = command.protocolType }
    group.add(member)
    schedule(
      group, .session(memberID: memberID), afterMs: GroupConfig.newMemberJoinTimeoutMs)
    if group.canRebalance { prepareRebalance(&group, "member \(memberID) joins") }
  }

  // MARK: With an id

  /// A member of the group joins again: it follows a rebalance, begins one, or missed the last
  /// reply.
  private mutating func rejoin(
    _ group: inout Group, _ command: JoinCommand, _ token: RequestToken
  ) {
    let memberID = command.memberID
    let isUnchanged = group[memberID]?.protocols == command.protocols
    switch group.state {
    case .preparingRebalance:
      update(&group, command, token)
    case .completingRebalance where isUnchanged:
      reply(token, .join(joinReply(group, memberID)))
    case .stable where isUnchanged && !group.isLeader(memberID):
      reply(token, .join(joinReply(group, memberID)))
    case .completingRebalance, .stable:
      // A leader that joins a stable group wants a rebalance: topics have changed, for one.
      update(&group, command, token)
      prepareRebalance(&group, "member \(memberID) joins again")
    case .empty, .dead:
      reply(token, .join(JoinReply(memberID: memberID, error: .unknownMemberID)))
    }
  }

  private mutating func update(
    _ group: inout Group, _ command: JoinCommand, _ token: RequestToken
  ) {
    // A second JoinGroup of the same member: the first was given up by its client.
    if let abandoned = group[command.memberID]?.joinToken {
      reply(
        abandoned,
        .join(JoinReply(memberID: command.memberID, error: .rebalanceInProgress)))
    }
    group.update(command.memberID) {
      $0.protocols = command.protocols
      $0.rebalanceTimeoutMs = command.rebalanceTimeoutMs
      $0.sessionTimeoutMs = command.sessionTimeoutMs
      $0.joinToken = token
    }
  }

  /// What a member of the current generation is told: the leader about everybody.
  func joinReply(_ group: Group, _ memberID: String) -> JoinReply {
    var reply = JoinReply(memberID: memberID, error: .none)
    reply.generation = group.generation
    reply.protocolType = group.protocolType
    reply.protocolName = group.protocolName
    reply.leaderID = group.leaderID ?? ""
    if group.isLeader(memberID) { reply.members = roster(group) }
    return reply
  }

  func roster(_ group: Group) -> [JoinReply.Member] {
    group.allMembers.map { member in
      JoinReply.Member(
        id: member.id, instanceID: member.instanceID,
        metadata: member.metadata(for: group.protocolName ?? ""))
    }
  }

  // MARK: Who is who

  /// Whether the member exists, and is the one its instance id stands for.
  func validate(_ memberID: String, _ instanceID: String?, in group: Group) -> ErrorCode? {
    if let instanceID {
      guard let current = group.staticMembers[instanceID] else { return .unknownMemberID }
      if current != memberID { return .fencedInstanceID }
    }
    return group.has(memberID) ? nil : .unknownMemberID
  }
}
