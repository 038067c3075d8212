// Name, retriability and meaning of every error code.

extension ErrorCode: CustomStringConvertible {
  /// As the protocol spells it: `NOT_CONTROLLER`; `ERROR_n` for a code that is not known.
  public var name: String { row?.name ?? "ERROR_\(rawValue)" }

  /// Whether the same request may succeed later without anyone changing anything.
  public var isRetriable: Bool { row?.isRetriable ?? false }

  /// One sentence for people; empty for `.none`.
  public var message: String { row?.message ?? "The error code is not known." }

  public var description: String { name }

  /// Every code that is known, in order.
  public static var all: [ErrorCode] {
    let known: [ErrorCode] = (-1..<(Int16(Self.rows.count) - 1)).map { ErrorCode($0) }
    return known.filter { $0.row != nil }
  }

  private struct Row: Sendable {
    let name: String
    let isRetriable: Bool
    let message: String

    init(_ name: String, retriable: Bool = false, _ message: String) {
      self.name = name
      isRetriable = retriable
      self.message = message
    }
  }

  private var row: Row? {
    let index = Int(rawValue) + 1
    guard Self.rows.indices.contains(index), !Self.rows[index].name.isEmpty else { return nil }
    return Self.rows[index]
  }

  /// By code, from -1 on; a code that was never given has an empty name.
  private static let rows: [Row] = [
    Row("UNKNOWN_SERVER_ERROR", "The server failed in a way that it did not expect."),
    Row("NONE", ""),
    Row("OFFSET_OUT_OF_RANGE", "The offset lies outside what the replica holds."),
    Row(
      "CORRUPT_MESSAGE", retriable: true,
      "A batch fails its checksum, is too large, or is otherwise damaged."),
    Row(
      "UNKNOWN_TOPIC_OR_PARTITION", retriable: true,
      "This broker hosts no such topic or partition."),
    Row("INVALID_FETCH_SIZE", "The fetch size is not valid."),
    Row("LEADER_NOT_AVAILABLE", retriable: true, "The partition has no leader at the moment."),
    Row(
      "NOT_LEADER_OR_FOLLOWER", retriable: true,
      "This broker does not lead the partition, or holds no replica of it."),
    Row("REQUEST_TIMED_OUT", retriable: true, "The request was not completed in time."),
    Row("BROKER_NOT_AVAILABLE", "The broker cannot be reached."),
    Row(
      "REPLICA_NOT_AVAILABLE", retriable: true,
      "The replica cannot be reached, or is not the one asked for."),
    Row("MESSAGE_TOO_LARGE", "The batch is larger than the broker accepts."),
    Row("STALE_CONTROLLER_EPOCH", "The controller has been replaced by one with a higher epoch."),
    Row("OFFSET_METADATA_TOO_LARGE", "The metadata of the committed offset is too long."),
    Row("NETWORK_EXCEPTION", retriable: true, "The connection broke before an answer came."),
    Row(
      "COORDINATOR_LOAD_IN_PROGRESS", retriable: true,
      "The coordinator is still loading its state."),
    Row("COORDINATOR_NOT_AVAILABLE", retriable: true, "There is no coordinator at the moment."),
    Row(
      "NOT_COORDINATOR", retriable: true,
      "This broker does not coordinate that group or transaction."),
    Row("INVALID_TOPIC_EXCEPTION", "The operation is not allowed on a topic of this name."),
    Row("RECORD_LIST_TOO_LARGE", "The batches are larger than a segment of the log."),
    Row(
      "NOT_ENOUGH_REPLICAS", retriable: true,
      "Fewer replicas are in sync than min.insync.replicas asks for."),
    Row(
      "NOT_ENOUGH_REPLICAS_AFTER_APPEND", retriable: true,
      "The records were appended, but to fewer in-sync replicas than are asked for."),
    Row("INVALID_REQUIRED_ACKS", "acks must be -1, 0 or 1."),
    Row("ILLEGAL_GENERATION", "The group's generation is not the current one."),
    Row("INCONSISTENT_GROUP_PROTOCOL", "The member's protocols do not match those of the group."),
    Row("INVALID_GROUP_ID", "The group id is not valid."),
    Row("UNKNOWN_MEMBER_ID", "The group does not know this member."),
    Row(
      "INVALID_SESSION_TIMEOUT",
      "The session timeout is outside the range that the broker allows."),
    Row("REBALANCE_IN_PROGRESS", "The group is rebalancing; join again."),
    Row(
      "INVALID_COMMIT_OFFSET_SIZE",
      "The committed offset would exceed the size that the broker allows."),
    Row("TOPIC_AUTHORIZATION_FAILED", "Not allowed to use the topic."),
    Row("GROUP_AUTHORIZATION_FAILED", "Not allowed to use the group."),
    Row("CLUSTER_AUTHORIZATION_FAILED", "Not allowed to act on the cluster."),
    Row("INVALID_TIMESTAMP", "The record's timestamp is outside the range that the topic allows."),
    Row("UNSUPPORTED_SASL_MECHANISM", "The broker does not offer this SASL mechanism."),
    Row("ILLEGAL_SASL_STATE", "The request does not fit the state of the SASL exchange."),
    Row("UNSUPPORTED_VERSION", "The broker does not serve this version of the API."),
    Row("TOPIC_ALREADY_EXISTS", "A topic of this name exists."),
    Row("INVALID_PARTITIONS", "The number of partitions is not valid."),
    Row(
      "INVALID_REPLICATION_FACTOR",
      "The replication factor is below one or above the number of brokers."),
    Row("INVALID_REPLICA_ASSIGNMENT", "The replica assignment is not valid."),
    Row("INVALID_CONFIG", "The configuration is not valid."),
    Row("NOT_CONTROLLER", retriable: true, "This node is not the active controller."),
    Row("INVALID_REQUEST", "The request contradicts itself or the protocol."),
    Row("UNSUPPORTED_FOR_MESSAGE_FORMAT", "The log's message format cannot express what is asked."),
    Row("POLICY_VIOLATION", "A policy of the cluster forbids it."),
    Row(
      "OUT_OF_ORDER_SEQUENCE_NUMBER",
      "The producer's sequence number does not follow the last one."),
    Row("DUPLICATE_SEQUENCE_NUMBER", "The producer's sequence number has been used before."),
    Row("INVALID_PRODUCER_EPOCH", "The producer's epoch is older than the current one."),
    Row("INVALID_TXN_STATE", "The operation does not fit the state of the transaction."),
    Row("INVALID_PRODUCER_ID_MAPPING", "The producer id does not belong to the transactional id."),
    Row("INVALID_TRANSACTION_TIMEOUT", "The transaction timeout is above what the broker allows."),
    Row(
      "CONCURRENT_TRANSACTIONS", retriable: true,
      "Another operation on the transaction is still under way."),
    Row(
      "TRANSACTION_COORDINATOR_FENCED",
      "The transaction coordinator has been replaced by a newer one."),
    Row("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "Not allowed to use the transactional id."),
    Row("SECURITY_DISABLED", "Security features are switched off."),
    Row("OPERATION_NOT_ATTEMPTED", "Not attempted, because the requests around it failed."),
    Row("KAFKA_STORAGE_ERROR", retriable: true, "The disk failed when the log was used."),
    Row("LOG_DIR_NOT_FOUND", "The broker has no such log directory."),
    Row("SASL_AUTHENTICATION_FAILED", "SASL authentication failed."),
    Row("UNKNOWN_PRODUCER_ID", "The broker holds no state of this producer id."),
    Row("REASSIGNMENT_IN_PROGRESS", "The partition is being reassigned."),
    Row("DELEGATION_TOKEN_AUTH_DISABLED", "Delegation tokens are switched off."),
    Row("DELEGATION_TOKEN_NOT_FOUND", "There is no such delegation token."),
    Row("DELEGATION_TOKEN_OWNER_MISMATCH", "The principal does not own this delegation token."),
    Row(
      "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED",
      "Delegation tokens cannot be requested over this connection."),
    Row("DELEGATION_TOKEN_AUTHORIZATION_FAILED", "Not allowed to use the delegation token."),
    Row("DELEGATION_TOKEN_EXPIRED", "The delegation token has expired."),
    Row("INVALID_PRINCIPAL_TYPE", "The principal's type is not supported."),
    Row("NON_EMPTY_GROUP", "The group still has members."),
    Row("GROUP_ID_NOT_FOUND", "There is no group of this id."),
    Row(
      "FETCH_SESSION_ID_NOT_FOUND", retriable: true,
      "The broker does not hold this fetch session."),
    Row(
      "INVALID_FETCH_SESSION_EPOCH", retriable: true,
      "The fetch session's epoch is not the expected one."),
    Row(
      "LISTENER_NOT_FOUND", retriable: true,
      "The leader has no listener of the name that the client used."),
    Row("TOPIC_DELETION_DISABLED", "Deleting topics is switched off."),
    Row(
      "FENCED_LEADER_EPOCH", retriable: true,
      "The leader epoch in the request is older than the broker's."),
    Row(
      "UNKNOWN_LEADER_EPOCH", retriable: true,
      "The leader epoch in the request is newer than the broker's."),
    Row("UNSUPPORTED_COMPRESSION_TYPE", "The compression type is not supported here."),
    Row("STALE_BROKER_EPOCH", "The broker's epoch is not the current one."),
    Row(
      "OFFSET_NOT_AVAILABLE", retriable: true,
      "The leader's high watermark has not caught up since its election."),
    Row("MEMBER_ID_REQUIRED", "Join again with the member id that was given."),
    Row(
      "PREFERRED_LEADER_NOT_AVAILABLE", retriable: true,
      "The preferred leader is not available."),
    Row("GROUP_MAX_SIZE_REACHED", "The group has as many members as it may have."),
    Row("FENCED_INSTANCE_ID", "Another member has taken over this instance id."),
    Row(
      "ELIGIBLE_LEADERS_NOT_AVAILABLE", retriable: true,
      "No replica that may lead is available."),
    Row(
      "ELECTION_NOT_NEEDED", retriable: true,
      "The partition already has the leader that is asked for."),
    Row("NO_REASSIGNMENT_IN_PROGRESS", "No reassignment of the partition is under way."),
    Row("GROUP_SUBSCRIBED_TO_TOPIC", "A group is subscribed to the topic."),
    Row("INVALID_RECORD", "A record breaks a rule of the topic; the whole batch was refused."),
    Row(
      "UNSTABLE_OFFSET_COMMIT", retriable: true,
      "Offsets are committed by a transaction that is still open."),
    Row("THROTTLING_QUOTA_EXCEEDED", retriable: true, "The quota is used up; try again later."),
    Row("PRODUCER_FENCED", "A newer producer with the same transactional id has taken over."),
    Row("RESOURCE_NOT_FOUND", "There is no such resource."),
    Row("DUPLICATE_RESOURCE", "The resource is named more than once."),
    Row("UNACCEPTABLE_CREDENTIAL", "The credential does not meet the requirements."),
    Row("INCONSISTENT_VOTER_SET", "The voter sets of sender and receiver differ."),
    Row("INVALID_UPDATE_VERSION", "The version for the update is not valid."),
    Row("FEATURE_UPDATE_FAILED", "The feature could not be updated."),
    Row("PRINCIPAL_DESERIALIZATION_FAILURE", "The forwarded principal could not be read."),
    Row("SNAPSHOT_NOT_FOUND", "There is no such snapshot."),
    Row("POSITION_OUT_OF_RANGE", "The position lies outside the snapshot."),
    Row("UNKNOWN_TOPIC_ID", retriable: true, "This broker does not know the topic id."),
    Row("DUPLICATE_BROKER_REGISTRATION", "A live broker is registered under this id."),
    Row("BROKER_ID_NOT_REGISTERED", "No broker is registered under this id."),
    Row(
      "INCONSISTENT_TOPIC_ID", retriable: true,
      "The topic id in the log differs from the one in the request."),
    Row("INCONSISTENT_CLUSTER_ID", "The cluster id in the request is not that of this cluster."),
    Row("TRANSACTIONAL_ID_NOT_FOUND", "There is no such transactional id."),
    Row(
      "FETCH_SESSION_TOPIC_ID_ERROR", retriable: true,
      "Topic ids were used inconsistently within the fetch session."),
    Row("INELIGIBLE_REPLICA", "A new in-sync replica may not join the set."),
    Row("NEW_LEADER_ELECTED", "The partition elected another leader because of this change."),
    Row("OFFSET_MOVED_TO_TIERED_STORAGE", "The offset has moved to tiered storage."),
    Row("FENCED_MEMBER_EPOCH", "The member's epoch is not the current one; rejoin."),
    Row("UNRELEASED_INSTANCE_ID", "Another member still holds this instance id."),
    Row("UNSUPPORTED_ASSIGNOR", "The group does not support this assignor or its version."),
    Row(
      "STALE_MEMBER_EPOCH",
      "The member's epoch is older than the group's; retry with the current one."),
    Row("MISMATCHED_ENDPOINT_TYPE", "The request was sent to the wrong kind of endpoint."),
    Row("UNSUPPORTED_ENDPOINT_TYPE", "This kind of endpoint is not known."),
    Row("UNKNOWN_CONTROLLER_ID", "No controller has this id."),
    Row("UNKNOWN_SUBSCRIPTION_ID", "The telemetry subscription id is not the current one."),
    Row("TELEMETRY_TOO_LARGE", "The telemetry payload is too large."),
    Row("INVALID_REGISTRATION", "The registration is not valid."),
    Row("TRANSACTION_ABORTABLE", "The transaction met an error that only aborting it resolves."),
    Row("INVALID_RECORD_STATE", "The record is not in a state that allows this."),
    Row("SHARE_SESSION_NOT_FOUND", retriable: true, "There is no such share session."),
    Row(
      "INVALID_SHARE_SESSION_EPOCH", retriable: true,
      "The share session's epoch is not the expected one."),
    Row("FENCED_STATE_EPOCH", "The share state's epoch is not the current one."),
    Row("INVALID_VOTER_KEY", "The voter's key is not that of the receiver."),
    Row("DUPLICATE_VOTER", "The voter is already in the set."),
    Row("VOTER_NOT_FOUND", "The voter is not in the set."),
  ]
}
