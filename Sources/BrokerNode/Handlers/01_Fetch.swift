/// Fetch, key 1, versions 0–17: records for consumers and followers.
///
/// Bytes go from the segment files to the socket by `sendfile`. The answer waits until there are
/// `min_bytes`, or `max_wait_ms` have passed, or something else is to be told.
/// - Version 3: a limit for the whole answer; the first partition with records gives at least one
///   batch, whatever the limits (KIP-74). Before, bytes are cut off where the limit is.
/// - Version 4: isolation levels, message format 2; older versions get what they know, converted.
/// - Version 5: log start offsets; 7: incremental sessions (KIP-227); 9: leader epochs; 11: the
///   consumer's rack (KIP-392); 12: divergence of followers (KIP-595); 13: topic ids; 15: the
///   follower's broker epoch; 16: the new leader's address (KIP-951); 17: directory ids, unused
/// here.
import KafkaMessages
import KafkaProtocol
import Replication
import Values

enum FetchHandler: ApiHandler {
  static var judgesAccess: Bool { true }

  static func handle(_ request: FetchRequest, _ context: RequestContext) {
    let followerID = context.version >= 15 ? request.replicaState.replicaID : request.replicaID
    if followerID < 0 { context.services.metrics.fetchRequests.add() }
    let targets = request.topics.flatMap { topic in
      topic.partitions.map { FetchedPartition($0, topic, version: context.version) }
    }
    let outcome = context.loop.sessions.begin(
      FetchSessionCache.Request(
        sessionID: request.sessionID, epoch: request.sessionEpoch, isFollower: followerID >= 0,
        usesTopicIDs: context.version >= 13, partitions: targets,
        forgotten: forgotten(request, version: context.version)),
      at: context.received, random: &context.loop.random)
    switch outcome {
    case .full(let sessionID):
      let fetch = FetchOperation(
        request, context, followerID: followerID, sessionID: sessionID, isIncremental: false)
      fetch.start(targets, context)
    case .incremental(let sessionID):
      let fetch = FetchOperation(
        request, context, followerID: followerID, sessionID: sessionID, isIncremental: true)
      let kept = context.loop.sessions.withSession(sessionID) { rotated(&$0) }
      fetch.start(kept ?? [], context)
    case .unknownSession: refuse(.fetchSessionIDNotFound, context)
    case .wrongEpoch: refuse(.invalidFetchSessionEpoch, context)
    case .topicIDMismatch: refuse(.fetchSessionTopicIDError, context)
    }
  }

  private static func refuse(_ error: ErrorCode, _ context: RequestContext) {
    context.reply(FetchResponse { $0.errorCode = error.rawValue })
  }

  /// The session's partitions, those first that are due to be served.
  private static func rotated(_ session: inout FetchSession) -> [FetchedPartition] {
    let start = session.firstToServe
    guard start > 0, start < session.partitions.count else { return session.partitions }
    return Array(session.partitions[start...] + session.partitions[..<start])
  }

  private static func forgotten(_ request: FetchRequest, version: Int16) -> [FetchPartitionKey] {
    request.forgottenTopicsData.flatMap { topic in
      topic.partitions.map {
        version >= 13
          ? FetchPartitionKey(topicID: topic.topicID, partition: $0)
          : FetchPartitionKey(topic: topic.topic, partition: $0)
      }
    }
  }
}

extension FetchedPartition {
  init(
    _ partition: FetchRequest.FetchPartition, _ topic: FetchRequest.FetchTopic, version: Int16
  ) {
    let number = partition.partition
    self.init(
      key: version >= 13
        ? FetchPartitionKey(topicID: topic.topicID, partition: number)
        : FetchPartitionKey(topic: topic.topic, partition: number),
      fetchOffset: partition.fetchOffset, maxBytes: partition.partitionMaxBytes,
      currentLeaderEpoch: partition.currentLeaderEpoch,
      lastFetchedEpoch: partition.lastFetchedEpoch, logStartOffset: partition.logStartOffset)
  }
}
