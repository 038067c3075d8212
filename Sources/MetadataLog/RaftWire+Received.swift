// Kafka's messages as the Raft machine's requests: what this node is asked.
import KafkaMessages
import KafkaProtocol
import Raft
import Values

extension RaftWire {
  /// A request that names another partition than the only one there is, or none.
  struct WrongPartition: Error {}

  private static func only<T>(_ items: [T]) throws(WrongPartition) -> T {
    guard items.count == 1 else { throw WrongPartition() }
    return items[0]
  }

  private static func check(_ name: String, _ index: Int32) throws(WrongPartition) {
    guard name == topic, index == partition else { throw WrongPartition() }
  }

  static func decode(
    _ wire: KafkaMessages.VoteRequest, version: Int16
  ) throws(WrongPartition) -> Raft.VoteRequest {
    let data = try only(wire.topics)
    let body = try only(data.partitions)
    try check(data.topicName, body.partitionIndex)
    return Raft.VoteRequest(
      clusterID: wire.clusterID,
      voter: version >= 1
        ? ReplicaKey(BrokerID(wire.voterID), directory: body.voterDirectoryID) : nil,
      candidate: ReplicaKey(BrokerID(body.candidateID), directory: body.candidateDirectoryID),
      candidateEpoch: LeaderEpoch(body.candidateEpoch),
      logEnd: OffsetAndEpoch(offset: body.lastOffset, epoch: LeaderEpoch(body.lastOffsetEpoch)))
  }

  static func decode(
    _ wire: KafkaMessages.BeginQuorumEpochRequest, version: Int16
  ) throws(WrongPartition) -> Raft.BeginQuorumEpochRequest {
    let data = try only(wire.topics)
    let body = try only(data.partitions)
    try check(data.topicName, body.partitionIndex)
    return Raft.BeginQuorumEpochRequest(
      clusterID: wire.clusterID,
      voter: version >= 1
        ? ReplicaKey(BrokerID(wire.voterID), directory: body.voterDirectoryID) : nil,
      leader: BrokerID(body.leaderID), epoch: LeaderEpoch(body.leaderEpoch),
      leaderEndpoints: wire.leaderEndpoints.map {
        Raft.Endpoint(listener: $0.name, host: $0.host, port: $0.port)
      })
  }

  static func decode(
    _ wire: KafkaMessages.EndQuorumEpochRequest, version: Int16
  ) throws(WrongPartition) -> Raft.EndQuorumEpochRequest {
    let data = try only(wire.topics)
    let body = try only(data.partitions)
    try check(data.topicName, body.partitionIndex)
    let candidates =
      version >= 1
      ? body.preferredCandidates.map {
        ReplicaKey(BrokerID($0.candidateID), directory: $0.candidateDirectoryID)
      } : body.preferredSuccessors.map { ReplicaKey(BrokerID($0)) }
    return Raft.EndQuorumEpochRequest(
      clusterID: wire.clusterID, leader: BrokerID(body.leaderID),
      epoch: LeaderEpoch(body.leaderEpoch), preferredCandidates: candidates,
      leaderEndpoints: wire.leaderEndpoints.map {
        Raft.Endpoint(listener: $0.name, host: $0.host, port: $0.port)
      })
  }

  static func decode(
    _ wire: KafkaMessages.FetchRequest, version: Int16
  ) throws(WrongPartition) -> Raft.FetchRequest {
    let data = try only(wire.topics)
    let body = try only(data.partitions)
    guard version >= 13 ? data.topicID == MetadataLogStore.topicID : data.topic == topic,
      body.partition == partition
    else { throw WrongPartition() }
    let id = version >= 15 ? wire.replicaState.replicaID : wire.replicaID
    return Raft.FetchRequest(
      clusterID: wire.clusterID,
      replica: ReplicaKey(BrokerID(id), directory: body.replicaDirectoryID),
      currentLeaderEpoch: LeaderEpoch(body.currentLeaderEpoch), fetchOffset: body.fetchOffset,
      lastFetchedEpoch: LeaderEpoch(body.lastFetchedEpoch), maxWaitMs: wire.maxWaitMs,
      maxBytes: wire.maxBytes)
  }

  static func decode(
    _ wire: KafkaMessages.FetchSnapshotRequest
  ) throws(WrongPartition) -> Raft.FetchSnapshotRequest {
    let data = try only(wire.topics)
    let body = try only(data.partitions)
    try check(data.name, body.partition)
    return Raft.FetchSnapshotRequest(
      clusterID: wire.clusterID,
      replica: ReplicaKey(BrokerID(wire.replicaID), directory: body.replicaDirectoryID),
      maxBytes: wire.maxBytes, currentLeaderEpoch: LeaderEpoch(body.currentLeaderEpoch),
      snapshotID: SnapshotID(
        offset: body.snapshotID.endOffset, epoch: LeaderEpoch(body.snapshotID.epoch)),
      position: body.position)
  }

  static func decode(_ wire: AddRaftVoterRequest) -> AddVoterRequest {
    AddVoterRequest(
      clusterID: wire.clusterID, timeoutMs: wire.timeoutMs,
      voter: ReplicaKey(BrokerID(wire.voterID), directory: wire.voterDirectoryID),
      endpoints: wire.listeners.map {
        Raft.Endpoint(listener: $0.name, host: $0.host, port: $0.port)
      })
  }

  static func decode(_ wire: RemoveRaftVoterRequest) -> RemoveVoterRequest {
    RemoveVoterRequest(
      clusterID: wire.clusterID,
      voter: ReplicaKey(BrokerID(wire.voterID), directory: wire.voterDirectoryID))
  }

  static func decode(_ wire: UpdateRaftVoterRequest) -> UpdateVoterRequest {
    UpdateVoterRequest(
      clusterID: wire.clusterID, currentLeaderEpoch: LeaderEpoch(wire.currentLeaderEpoch),
      voter: ReplicaKey(BrokerID(wire.voterID), directory: wire.voterDirectoryID),
      endpoints: wire.listeners.map {
        Raft.Endpoint(listener: $0.name, host: $0.host, port: $0.port)
      },
      minKRaftVersion: wire.kRaftVersionFeature.minSupportedVersion,
      maxKRaftVersion: wire.kRaftVersionFeature.maxSupportedVersion)
  }

  static func isWanted(_ wire: KafkaMessages.DescribeQuorumRequest) -> Bool {
    guard let data = try? only(wire.topics), let body = try? only(data.partitions) else {
      return false
    }
    return data.topicName == topic && body.partitionIndex == partition
  }
}
