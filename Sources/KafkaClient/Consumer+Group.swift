import Bytes
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Platform
import Values

/// Membership in a consumer group (the classic protocol): join, sync, heartbeat, leave.
struct GroupState {
  var memberID = ""
  var generationID: Int32 = -1
  var coordinator: Int32?
  /// Something has changed: join (again) with the next poll.
  var needsRejoin = false
  var isJoining = false
  /// The assignor that the group has agreed on.
  var protocolName: String?
  /// Partitions per topic when the leader last assigned: a change makes it rejoin.
  var knownPartitions: [String: Int] = [:]
  var heartbeats: Task<Void, Never>?
  var isStable: Bool { generationID >= 0 && !needsRejoin && !isJoining }
}

extension Consumer {
  nonisolated var instanceID: String? { config.optionalText("group.instance.id") }

  /// Who this consumer is in its group; nil without a group.
  public var membership: GroupMembership? {
    guard let groupID else { return nil }
    return GroupMembership(
      groupID: groupID, generationID: group.generationID, memberID: group.memberID,
      groupInstanceID: instanceID)
  }

  nonisolated var assignors: [any Assignor] {
    config.list("partition.assignment.strategy").compactMap { Assignors.named($0) }
  }

  /// Partitions are kept through a rebalance only if every assignor allows it (KIP-429).
  nonisolated var isCooperative: Bool {
    let assignors = assignors
    return !assignors.isEmpty && assignors.allSatisfy(\.isCooperative)
  }

  // MARK: Joining

  /// Joins when that is needed, in a task of its own, so that a poll may return in the meantime.
  func tendGroup() async throws(ClientError) {
    switch subscription {
    case .none, .assigned: return
    case .topics, .matching: break
    }
    noticeNewPartitions()
    guard group.needsRejoin, !group.isJoining else { return }
    guard !assignors.isEmpty else {
      throw .configuration("partition.assignment.strategy: no assignor of these is known")
    }
    group.isJoining = true
    group.needsRejoin = false
    if !isCooperative, !partitions.isEmpty { await giveUp(assignment) }
    inTask { await $0.join() }
  }

  /// Gives partitions up: commits, tells the listener, stops reading them.
  private func giveUp(_ lost: [TopicPartition]) async {
    guard !lost.isEmpty else { return }
    await commitBeforeLosing()
    await onRevoked?(lost)
    let gone = Set(lost)
    adopt(assignment.filter { !gone.contains($0) })
  }

  private func join() async {
    do {
      let joined = try await sendJoin()
      let assigned = try await sendSync(joined)
      await adoptAssignment(assigned)
      group.isJoining = false
      startHeartbeats()
    } catch {
      await joinFailed(error)
      group.isJoining = false
    }
    news()
  }

  /// Still joining, until the pause is over: a poll that joined in the meantime would have to join
  /// once more after it, and all members of the group with it.
  private func joinFailed(_ error: ClientError) async {
    if let code = error.code { noteGroupError(code) }
    let mayRepeat: [ErrorCode] = [
      .memberIDRequired, .unknownMemberID, .illegalGeneration, .rebalanceInProgress,
    ]
    guard error.isRetriable || error.code.map({ mayRepeat.contains($0) }) == true else {
      pendingError = error
      return
    }
    if error.code == nil || error.isRetriable { group.coordinator = nil }
    if error.code != .memberIDRequired { await cluster.pause(max(cluster.retryBackoffMs, 50)) }
    group.needsRejoin = true
  }

  private func findCoordinator() async throws(ClientError) -> Int32 {
    if let known = group.coordinator { return known }
    let node = try await cluster.coordinator(of: groupID ?? "", .group, timeoutMs: apiTimeoutMs)
    group.coordinator = node
    return node
  }

  private func sendJoin() async throws(ClientError) -> JoinGroupResponse {
    let topics = try await subscribedTopics()
    let node = try await findCoordinator()
    var request = JoinGroupRequest()
    request.groupID = groupID ?? ""
    request.sessionTimeoutMs = Int32(clamping: config.integer("session.timeout.ms"))
    request.rebalanceTimeoutMs = Int32(clamping: config.integer("max.poll.interval.ms"))
    request.memberID = group.memberID
    request.groupInstanceID = instanceID
    request.protocolType = "consumer"
    let owned = isCooperative ? assignment : []
    request.protocols = assignors.map { assignor in
      let metadata = SubscriptionCoding.encode(
        topics: topics, owned: owned, generationID: group.generationID,
        rackID: config.optionalText("client.rack"))
      return JoinGroupRequest.JoinGroupRequestProtocol {
        $0.name = assignor.name
        $0.metadata = metadata
      }
    }
    let response = try await cluster.send(
      request, to: .node(node),
      timeoutMs: max(cluster.requestTimeoutMs, config.integer("max.poll.interval.ms") + 5000))
    let code = ErrorCode(response.errorCode)
    if code == .memberIDRequired { group.memberID = response.memberID }
    guard code == .none else { throw ClientError(code, groupID) }
    group.memberID = response.memberID
    group.generationID = response.generationID
    group.protocolName = response.protocolName
    return response
  }

  /// The topics to share, in order; those that a pattern matches are looked up.
  private func subscribedTopics() async throws(ClientError) -> [String] {
    switch subscription {
    case .topics(let topics):
      cluster.loop.execute { [cluster] in cluster.follow(topics) }
      return topics.sorted()
    case .matching(let accepts):
      let metadata = try await cluster.updateMetadata(topics: nil)
      let hidesInternal = config.bool("exclude.internal.topics")
      let names = metadata.topics.values.filter { !($0.isInternal && hidesInternal) }.map(\.name)
      let topics = names.filter(accepts)
      cluster.loop.execute { [cluster] in cluster.follow(topics) }
      return topics.sorted()
    case .none, .assigned: return []
    }
  }

  private func sendSync(
    _ joined: JoinGroupResponse
  ) async throws(ClientError) -> [TopicPartition] {
    var request = SyncGroupRequest()
    request.groupID = groupID ?? ""
    request.generationID = joined.generationID
    request.memberID = joined.memberID
    request.groupInstanceID = instanceID
    request.protocolType = joined.protocolType ?? "consumer"
    request.protocolName = joined.protocolName
    if joined.leader == joined.memberID, !joined.skipAssignment {
      request.assignments = try await assignMembers(joined)
    }
    let node = try await findCoordinator()
    let response = try await cluster.send(
      request, to: .node(node),
      timeoutMs: max(cluster.requestTimeoutMs, config.integer("max.poll.interval.ms") + 5000))
    let code = ErrorCode(response.errorCode)
    guard code == .none else { throw ClientError(code, groupID) }
    return try SubscriptionCoding.decodeAssignment(response.assignment)
  }

  /// The leader's work: who reads what.
  private func assignMembers(
    _ joined: JoinGroupResponse
  ) async throws(ClientError) -> [SyncGroupRequest.SyncGroupRequestAssignment] {
    guard let assignor = assignors.first(where: { $0.name == joined.protocolName }) else {
      throw .misuse("the group has chosen \(joined.protocolName ?? "nothing")")
    }
    var members: [GroupMember] = []
    for member in joined.members {
      members.append(
        try SubscriptionCoding.decodeMember(
          member.metadata, id: member.memberID, instanceID: member.groupInstanceID))
    }
    let topics = Set(members.flatMap(\.topics)).sorted()
    let metadata = try await cluster.updateMetadata(topics: topics)
    var counts: [String: Int] = [:]
    for topic in topics { counts[topic] = metadata.topics[topic]?.partitions.count ?? 0 }
    group.knownPartitions = counts
    cluster.loop.execute { [cluster] in cluster.follow(topics) }
    let assignment = assignor.assign(members, counts)
    return members.map { member in
      SyncGroupRequest.SyncGroupRequestAssignment {
        $0.memberID = member.id
        $0.assignment = SubscriptionCoding.encodeAssignment(assignment[member.id] ?? [])
      }
    }
  }

  private func adoptAssignment(_ assigned: [TopicPartition]) async {
    let before = Set(assignment)
    let now = Set(assigned)
    let lost = before.subtracting(now).sorted()
    if isCooperative, !lost.isEmpty {
      // What was taken away is free for others only after another round.
      await giveUp(lost)
      group.needsRejoin = true
    }
    adopt(assigned)
    let gained = isCooperative ? now.subtracting(before).sorted() : assigned.sorted()
    log.debug(
      "partitions assigned",
      ["group": groupID ?? "", "generation": group.generationID, "count": assigned.count])
    await onAssigned?(gained)
  }

  /// The leader looks after topics that have grown, or have come to be.
  private func noticeNewPartitions() {
    guard group.isStable, !group.knownPartitions.isEmpty else { return }
    let metadata = cluster.metadata
    for (topic, count) in group.knownPartitions {
      if let now = metadata.topics[topic]?.partitions.count, now != count {
        group.needsRejoin = true
        return
      }
    }
  }

  // MARK: Heartbeats

  private func startHeartbeats() {
    guard group.heartbeats == nil else { return }
    let interval = max(10, config.integer("heartbeat.interval.ms"))
    group.heartbeats = Task(executorPreference: cluster.executor) { [weak self, cluster] in
      while !Task.isCancelled {
        await cluster.pause(interval)
        guard let self, await self.beat() else { return }
      }
    }
  }

  /// One heartbeat; false when there are to be no more.
  private func beat() async -> Bool {
    guard !isClosed, !Task.isCancelled else { return false }
    guard group.isStable, let node = group.coordinator else { return true }
    let idle = Clock.now().milliseconds(since: lastPoll)
    if idle > config.integer("max.poll.interval.ms") {
      log.warn("not polled for too long, leaving the group", ["idleMs": idle])
      await sendLeave()
      group.memberID = ""
      group.generationID = -1
      group.needsRejoin = true
      return true
    }
    let request = HeartbeatRequest {
      $0.groupID = groupID ?? ""
      $0.generationID = group.generationID
      $0.memberID = group.memberID
      $0.groupInstanceID = instanceID
    }
    let generation = group.generationID
    do {
      let response = try await cluster.send(
        request, to: .node(node), timeoutMs: config.integer("session.timeout.ms"))
      guard generation == group.generationID else { return true }
      noteGroupError(ErrorCode(response.errorCode))
    } catch {
      group.coordinator = nil
      if let found = try? await findCoordinator() { group.coordinator = found }
    }
    return true
  }

  /// What an error of the coordinator means for the membership.
  func noteGroupError(_ code: ErrorCode) {
    switch code {
    case .none: return
    case .rebalanceInProgress: group.needsRejoin = true
    case .illegalGeneration:
      group.generationID = -1
      group.needsRejoin = true
    case .unknownMemberID:
      group.generationID = -1
      group.memberID = ""
      group.needsRejoin = true
    case .notCoordinator, .coordinatorNotAvailable: group.coordinator = nil
    case .fencedInstanceID: pendingError = ClientError(code, instanceID)
    default: break
    }
    news()
  }

  // MARK: Leaving

  func leaveGroup() async {
    switch subscription {
    case .none: return
    case .assigned:
      await commitBeforeLosing()
      return
    case .topics, .matching: break
    }
    if group.isStable { await giveUp(assignment) }
    group.heartbeats?.cancel()
    group.heartbeats = nil
    // Static members keep their place until the session ends (KIP-345).
    if instanceID == nil { await sendLeave() }
    group = GroupState()
  }

  private func sendLeave() async {
    guard !group.memberID.isEmpty, let node = group.coordinator else { return }
    let request = LeaveGroupRequest {
      $0.groupID = groupID ?? ""
      $0.memberID = group.memberID
      $0.members = [
        LeaveGroupRequest.MemberIdentity {
          $0.memberID = group.memberID
          $0.groupInstanceID = instanceID
          $0.reason = "the consumer is being closed"
        }
      ]
    }
    _ = try? await cluster.send(request, to: .node(node), timeoutMs: 2000)
  }
}
