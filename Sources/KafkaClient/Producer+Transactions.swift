import KafkaMessages
import KafkaProtocol
import Values

/// Transactions (KIP-98): `initTransactions` once, then `beginTransaction`, sends, perhaps
/// `sendOffsets`, and `commitTransaction` or `abortTransaction`, again and again.
extension Producer {
  private var identity: ProducerIdentity { sender.identity }
  private var timeoutMs: Int64 { cluster.config.integer("max.block.ms") }

  private func transactionalID() throws(ClientError) -> String {
    guard let id = identity.transactionalID else { throw .misuse("no transactional.id is set") }
    return id
  }

  /// Gets the producer's id and epoch, fencing earlier producers of the same transactional id and
  /// aborting what they have left open.
  public func initTransactions() async throws(ClientError) {
    try await initProducer(producerID: -1, epoch: -1)
  }

  /// - Parameters: the identity to raise the epoch of (KIP-360), or -1 for a fresh start.
  private func initProducer(producerID: Int64, epoch: Int16) async throws(ClientError) {
    let id = try transactionalID()
    let request = InitProducerIdRequest {
      $0.transactionalID = id
      $0.transactionTimeoutMs = Int32(clamping: cluster.config.integer("transaction.timeout.ms"))
      $0.producerID = producerID
      $0.producerEpoch = epoch
    }
    let response = try await cluster.sendToCoordinator(
      of: id, .transaction, request, timeoutMs: timeoutMs
    ) { ErrorCode($0.errorCode) }
    let code = ErrorCode(response.errorCode)
    guard code == .none else { throw ClientError(code) }
    try await cluster.perform { [self] () throws(ClientError) -> Void in
      identity.adopt(producerID: response.producerID, epoch: response.producerEpoch)
      sender.resetSequences()
      sender.drain()
    }
  }

  public func beginTransaction() async throws(ClientError) {
    _ = try transactionalID()
    try await cluster.perform { [self] () throws(ClientError) -> Void in
      guard identity.isReady, let transaction = identity.transaction else {
        throw .misuse("initTransactions has not been called")
      }
      if let error = identity.fatalError { throw error }
      try transaction.begin()
    }
  }

  /// Commits a group's offsets as a part of the transaction (KIP-447).
  public func sendOffsets(
    _ offsets: [TopicPartition: CommittedOffset], of group: GroupMembership
  ) async throws(ClientError) {
    let id = try transactionalID()
    guard !offsets.isEmpty else { return }
    let producer = (id: identity.producerID, epoch: identity.epoch)
    let add = AddOffsetsToTxnRequest {
      $0.transactionalID = id
      $0.producerID = producer.id
      $0.producerEpoch = producer.epoch
      $0.groupID = group.groupID
    }
    let added = try await cluster.sendToCoordinator(
      of: id, .transaction, add, timeoutMs: timeoutMs
    ) { ErrorCode($0.errorCode) }
    try await check(ErrorCode(added.errorCode))
    try await cluster.perform { [self] () throws(ClientError) -> Void in
      identity.transaction?.hasOffsets = true
    }
    var commit = TxnOffsetCommitRequest()
    commit.transactionalID = id
    commit.groupID = group.groupID
    commit.producerID = producer.id
    commit.producerEpoch = producer.epoch
    commit.generationID = group.generationID
    commit.memberID = group.memberID
    commit.groupInstanceID = group.groupInstanceID
    for partition in offsets.keys.sorted() {
      guard let offset = offsets[partition] else { continue }
      let entry = TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition {
        $0.partitionIndex = partition.partition
        $0.committedOffset = offset.offset
        $0.committedLeaderEpoch = offset.leaderEpoch
        $0.committedMetadata = offset.metadata
      }
      if commit.topics.last?.name == partition.topic {
        commit.topics[commit.topics.count - 1].partitions.append(entry)
      } else {
        commit.topics.append(
          TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic {
            $0.name = partition.topic
            $0.partitions = [entry]
          })
      }
    }
    let committed = try await cluster.sendToCoordinator(
      of: group.groupID, .group, commit, timeoutMs: timeoutMs
    ) { response in
      let codes = response.topics.flatMap { $0.partitions.map { ErrorCode($0.errorCode) } }
      return codes.first { $0 != .none } ?? .none
    }
    for topic in committed.topics {
      for partition in topic.partitions { try await check(ErrorCode(partition.errorCode)) }
    }
  }

  /// Delivers what was sent and makes it visible to readers of committed data.
  public func commitTransaction() async throws(ClientError) { try await end(commit: true) }

  /// Drops what was sent and not delivered, and hides the rest from readers of committed data.
  public func abortTransaction() async throws(ClientError) { try await end(commit: false) }

  private func end(commit: Bool) async throws(ClientError) {
    let id = try transactionalID()
    if !commit {
      try await cluster.perform { [self] () throws(ClientError) -> Void in
        sender.failEverything(ClientError(.operationNotAttempted, "the transaction is aborted"))
      }
    }
    await flush()
    let isKnown = try await cluster.perform { [self] () throws(ClientError) -> Bool in
      guard let transaction = identity.transaction else {
        throw .misuse("no transaction is under way")
      }
      if let error = identity.fatalError { throw error }
      try transaction.beginEnd(commit: commit)
      return transaction.isKnownToCoordinator
    }
    if isKnown { try await sendEnd(id, commit: commit) }
    if identity.needsReset {
      // Something was given up that may be missing in the log; its sequence numbers are void.
      try await initProducer(producerID: identity.producerID, epoch: identity.epoch)
    }
    try await cluster.perform { [self] () throws(ClientError) -> Void in
      identity.transaction?.ended()
    }
  }

  private func sendEnd(_ id: String, commit: Bool) async throws(ClientError) {
    let request = EndTxnRequest {
      $0.transactionalID = id
      $0.producerID = identity.producerID
      $0.producerEpoch = identity.epoch
      $0.committed = commit
    }
    do {
      let response = try await cluster.sendToCoordinator(
        of: id, .transaction, request, timeoutMs: timeoutMs
      ) { ErrorCode($0.errorCode) }
      try await check(ErrorCode(response.errorCode))
    } catch {
      try await cluster.perform { [self] () throws(ClientError) -> Void in
        identity.transaction?.endFailed(error)
      }
      throw error
    }
  }

  private func check(_ code: ErrorCode) async throws(ClientError) {
    if code == .none { return }
    let error = ClientError(code)
    try await cluster.perform { [self] () throws(ClientError) -> Void in
      identity.note(error)
    }
    throw error
  }
}
