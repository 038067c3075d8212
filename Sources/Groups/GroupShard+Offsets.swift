import KafkaProtocol
import Values

extension GroupShard {
  // MARK: Committing

  mutating func commitOffsets(_ command: OffsetCommitCommand, _ token: RequestToken) {
    func refuse(_ error: ErrorCode) {
      reply(token, .offsetCommit(command.commits.map { ($0.partition, error) }))
    }
    var group: Group
    if let known = groups.removeValue(forKey: command.groupID) {
      group = known
    } else if command.generation < 0 || command.transaction != nil {
      // Somebody who keeps offsets here without being in a group.
      group = Group(id: command.groupID, at: now.wall)
    } else {
      return refuse(.illegalGeneration)
    }
    if let error = validateCommit(command, group) {
      refuse(error)
    } else {
      if command.transaction == nil, group.state != .empty {
        restartSession(group, command.memberID)
      }
      store(command, &group, token)
    }
    if group.isEmpty, group.state == .empty, group.pendingMembers.isEmpty, group.generation == 0,
      group.offsets.isEmpty
    {
      return
    }
    groups[group.id] = group
  }

  private func validateCommit(_ command: OffsetCommitCommand, _ group: Group) -> ErrorCode? {
    let isTransactional = command.transaction != nil
    if command.generation < 0, group.state == .empty { return nil }
    if command.generation >= 0 || !command.memberID.isEmpty || command.instanceID != nil {
      if let error = validate(command.memberID, command.instanceID, in: group) { return error }
      if command.generation != group.generation { return .illegalGeneration }
    } else if !isTransactional, group.state != .empty {
      // Old versions of TxnOffsetCommit do not say who commits; everybody else must be a member.
      return .unknownMemberID
    }
    // The member knows the new generation and not its assignment: it cannot have read anything yet.
    if !isTransactional, group.state == .completingRebalance { return .rebalanceInProgress }
    return nil
  }

  /// Appends what can be committed; too much metadata refuses one offset, and not the others.
  private mutating func store(
    _ command: OffsetCommitCommand, _ group: inout Group, _ token: RequestToken
  ) {
    let limit = config.offsetMetadataMaxSize
    let results = command.commits.map { commit -> (partition: TopicPartition, error: ErrorCode) in
      let isTooLarge = commit.value.metadata.utf16.count > limit
      return (commit.partition, isTooLarge ? .offsetMetadataTooLarge : .none)
    }
    let commits = zip(command.commits, results).filter { $0.1.error == .none }.map(\.0)
    guard !commits.isEmpty else { return reply(token, .offsetCommit(results)) }
    let write = OffsetWrite(
      groupID: group.id, commits: commits, producer: command.transaction?.id, results: results,
      token: token)
    let id = append(
      commits.map { .offset(group: group.id, $0.partition, $0.value) }, .offsets(write),
      transaction: command.transaction)
    if let producer = command.transaction?.id {
      group.offsets.begin(producer, commits)
    } else {
      group.offsets.begin(id, commits.map(\.partition))
    }
  }

  mutating func finishOffsets(
    _ id: WriteID, _ write: OffsetWrite, error: ErrorCode, baseOffset: Offset
  ) {
    if var group = groups.removeValue(forKey: write.groupID) {
      switch (write.producer, error) {
      case (let producer?, .none):
        group.offsets.complete(producer, write.commits, recordOffset: baseOffset)
      case (let producer?, _): group.offsets.fail(producer, write.commits)
      case (nil, .none): group.offsets.complete(id, write.commits, recordOffset: baseOffset)
      case (nil, _): group.offsets.fail(id, write.commits)
      }
      groups[write.groupID] = group
    }
    let outcome = Self.commitError(error)
    let results = write.results.map { result in
      (result.partition, result.error == .none ? outcome : result.error)
    }
    reply(write.token, .offsetCommit(results))
  }

  /// What clients are told when offsets could not be stored.
  private static func commitError(_ error: ErrorCode) -> ErrorCode {
    switch error {
    case .networkException: .coordinatorLoadInProgress
    case .unknownTopicOrPartition, .notEnoughReplicas, .notEnoughReplicasAfterAppend:
      .coordinatorNotAvailable
    case .notLeaderOrFollower, .kafkaStorageError: .notCoordinator
    case .messageTooLarge, .recordListTooLarge, .invalidFetchSize: .invalidCommitOffsetSize
    default: error
    }
  }

  mutating func endTransaction(of producer: ProducerID, isCommitted: Bool) {
    for id in groups.keys.sorted() {
      groups[id]?.offsets.end(producer, isCommitted: isCommitted)
    }
  }

  // MARK: Deleting

  mutating func deleteOffsets(
    _ groupID: String, _ partitions: [TopicPartition], _ token: RequestToken
  ) {
    guard !groupID.isEmpty else {
      return reply(token, .deleteOffsets(.invalidGroupID, []))
    }
    guard var group = groups.removeValue(forKey: groupID) else {
      return reply(token, .deleteOffsets(.groupIDNotFound, []))
    }
    defer { groups[groupID] = group }
    let isConsumers = group.protocolType == "consumer"
    guard group.state == .empty || isConsumers else {
      return reply(token, .deleteOffsets(.nonEmptyGroup, []))
    }
    let results = partitions.map { partition -> (partition: TopicPartition, error: ErrorCode) in
      let isConsumed = group.state != .empty && group.isSubscribed(to: partition.topic)
      return (partition, isConsumed ? .groupSubscribedToTopic : .none)
    }
    let removed = group.offsets.remove(results.filter { $0.error == .none }.map(\.partition))
    guard !removed.isEmpty else { return reply(token, .deleteOffsets(.none, results)) }
    _ = append(
      removed.map { .offset(group: groupID, $0, nil) },
      .deletion(token, .deleteOffsets(.none, results)))
  }

  mutating func deleteGroup(_ id: String, _ token: RequestToken) {
    guard var group = groups[id] else {
      return reply(token, .deleteGroup(.groupIDNotFound))
    }
    guard group.state == .empty else { return reply(token, .deleteGroup(.nonEmptyGroup)) }
    let removed = group.offsets.remove(group.offsets.allPartitions)
    let records = tombstones(group, removed, isGone: true)
    forget(group)
    guard !records.isEmpty else { return reply(token, .deleteGroup(.none)) }
    _ = append(records, .deletion(token, .deleteGroup(.none)))
  }

  mutating func finishDeletion(
    _ token: RequestToken, _ intended: GroupReply, _ error: ErrorCode
  ) {
    switch intended {
    case .deleteGroup: reply(token, .deleteGroup(error))
    case .deleteOffsets(_, let results):
      reply(token, .deleteOffsets(error, error == .none ? results : []))
    default: reply(token, intended)
    }
  }

  // MARK: Expiry (KIP-211)

  mutating func expire() {
    for id in groups.keys.sorted() {
      guard var group = groups.removeValue(forKey: id) else { continue }
      let expired = expiredOffsets(group)
      remove(&group, group.offsets.remove(expired))
    }
  }

  /// When offsets begin to age: with the last member's leaving, or with their commit where there
  /// were no members; not while somebody consumes their topic.
  private func expiredOffsets(_ group: Group) -> [TopicPartition] {
    let (wall, retentionMs) = (now.wall, config.offsetsRetentionMs)
    if group.protocolType == nil {
      return group.offsets.expired(at: wall, retentionMs: retentionMs) { $0.commitTimestamp }
    }
    if group.state == .empty {
      return group.offsets.expired(at: wall, retentionMs: retentionMs) {
        group.stateTimestamp ?? $0.commitTimestamp
      }
    }
    if group.state == .stable, let topics = group.subscribedTopics {
      return group.offsets.expired(at: wall, retentionMs: retentionMs, keeping: topics) {
        $0.commitTimestamp
      }
    }
    return []
  }

  /// Topics are gone, and offsets in them mean nothing any more.
  mutating func removeOffsets(of topics: Set<String>) {
    for id in groups.keys.sorted() {
      guard var group = groups.removeValue(forKey: id) else { continue }
      let gone = group.offsets.allPartitions.filter { topics.contains($0.topic) }
      if gone.isEmpty {
        groups[id] = group
      } else {
        remove(&group, group.offsets.remove(gone))
      }
    }
  }

  /// Appends tombstones for offsets that were removed, and for the group when nothing is left of
  /// it; else puts the group back.
  private mutating func remove(_ group: inout Group, _ removed: [TopicPartition]) {
    let isGone = group.state == .empty && group.offsets.isEmpty && group.pendingMembers.isEmpty
    let records = tombstones(group, removed, isGone: isGone)
    if isGone {
      forget(group)
    } else {
      groups[group.id] = group
    }
    if !records.isEmpty { _ = append(records, .expiry) }
  }

  /// A group that never had a generation was never stored itself.
  private func tombstones(
    _ group: Group, _ removed: [TopicPartition], isGone: Bool
  ) -> [GroupRecord] {
    var records: [GroupRecord] = removed.map { .offset(group: group.id, $0, nil) }
    if isGone, group.generation > 0 { records.append(.group(id: group.id, nil)) }
    return records
  }

  private mutating func forget(_ group: Group) {
    groups[group.id] = nil
    for memberID in group.pendingMembers.sorted() {
      deadlines.cancel(deadline(group, .pendingMember(memberID: memberID)))
    }
  }
}
