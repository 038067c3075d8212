// The Raft machine's requests as Kafka's messages: what this node sends.
import KafkaMessages
import KafkaProtocol
import Raft
import Values

/// Maps between the machine's plain types and the generated messages, one to one.
enum RaftWire {
  static let topic = MetadataLogStore.partition.topic
  static let partition = MetadataLogStore.partition.partition

  static func encode(_ request: Raft.VoteRequest) -> KafkaMessages.VoteRequest {
    typealias Wire = KafkaMessages.VoteRequest
    return Wire {
      $0.clusterID = request.clusterID
      $0.voterID = request.voter?.id.rawValue ?? -1
      $0.topics = [
        Wire.TopicData {
          $0.topicName = topic
          $0.partitions = [
            Wire.PartitionData {
              $0.partitionIndex = partition
              $0.candidateEpoch = request.candidateEpoch.rawValue
              $0.candidateID = request.candidate.id.rawValue
              $0.candidateDirectoryID = request.candidate.directory
              $0.voterDirectoryID = request.voter?.directory ?? .zero
              $0.lastOffsetEpoch = request.logEnd.epoch.rawValue
              $0.lastOffset = request.logEnd.offset
            }
          ]
        }
      ]
    }
  }

  static func encode(
    _ request: Raft.BeginQuorumEpochRequest
  ) -> KafkaMessages.BeginQuorumEpochRequest {
    typealias Wire = KafkaMessages.BeginQuorumEpochRequest
    return Wire {
      $0.clusterID = request.clusterID
      $0.voterID = request.voter?.id.rawValue ?? -1
      $0.topics = [
        Wire.TopicData {
          $0.topicName = topic
          $0.partitions = [
            Wire.PartitionData {
              $0.partitionIndex = partition
              $0.voterDirectoryID = request.voter?.directory ?? .zero
              $0.leaderID = request.leader.rawValue
              $0.leaderEpoch = request.epoch.rawValue
            }
          ]
        }
      ]
      $0.leaderEndpoints = listeners(request.leaderEndpoints)
    }
  }

  static func encode(
    _ request: Raft.EndQuorumEpochRequest
  ) -> KafkaMessages.EndQuorumEpochRequest {
    typealias Wire = KafkaMessages.EndQuorumEpochRequest
    return Wire {
      $0.clusterID = request.clusterID
      $0.topics = [
        Wire.TopicData {
          $0.topicName = topic
          $0.partitions = [
            Wire.PartitionData {
              $0.partitionIndex = partition
              $0.leaderID = request.leader.rawValue
              $0.leaderEpoch = request.epoch.rawValue
              $0.preferredSuccessors = request.preferredCandidates.map(\.id.rawValue)
              $0.preferredCandidates = request.preferredCandidates.map { key in
                Wire.ReplicaInfo {
                  $0.candidateID = key.id.rawValue
                  $0.candidateDirectoryID = key.directory
                }
              }
            }
          ]
        }
      ]
      $0.leaderEndpoints = listeners(request.leaderEndpoints)
    }
  }

  static func encode(_ request: Raft.FetchRequest) -> KafkaMessages.FetchRequest {
    typealias Wire = KafkaMessages.FetchRequest
    return Wire {
      $0.clusterID = request.clusterID
      // One of the two is written, by version.
      $0.replicaID = request.replica.id.rawValue
      $0.replicaState.replicaID = request.replica.id.rawValue
      $0.maxWaitMs = request.maxWaitMs
      $0.maxBytes = request.maxBytes
      $0.topics = [
        Wire.FetchTopic {
          $0.topic = topic
          $0.topicID = MetadataLogStore.topicID
          $0.partitions = [
            Wire.FetchPartition {
              $0.partition = partition
              $0.currentLeaderEpoch = request.currentLeaderEpoch.rawValue
              $0.fetchOffset = request.fetchOffset
              $0.lastFetchedEpoch = request.lastFetchedEpoch.rawValue
              $0.replicaDirectoryID = request.replica.directory
            }
          ]
        }
      ]
    }
  }

  static func encode(
    _ request: Raft.FetchSnapshotRequest
  ) -> KafkaMessages.FetchSnapshotRequest {
    typealias Wire = KafkaMessages.FetchSnapshotRequest
    return Wire {
      $0.clusterID = request.clusterID
      $0.replicaID = request.replica.id.rawValue
      $0.maxBytes = request.maxBytes
      $0.topics = [
        Wire.TopicSnapshot {
          $0.name = topic
          $0.partitions = [
            Wire.PartitionSnapshot {
              $0.partition = partition
              $0.currentLeaderEpoch = request.currentLeaderEpoch.rawValue
              $0.snapshotID.endOffset = request.snapshotID.offset
              $0.snapshotID.epoch = request.snapshotID.epoch.rawValue
              $0.position = request.position
              $0.replicaDirectoryID = request.replica.directory
            }
          ]
        }
      ]
    }
  }

  static func encode(_ request: UpdateVoterRequest) -> UpdateRaftVoterRequest {
    UpdateRaftVoterRequest {
      $0.clusterID = request.clusterID
      $0.currentLeaderEpoch = request.currentLeaderEpoch.rawValue
      $0.voterID = request.voter.id.rawValue
      $0.voterDirectoryID = request.voter.directory
      $0.listeners = listeners(request.endpoints)
      $0.kRaftVersionFeature.minSupportedVersion = request.minKRaftVersion
      $0.kRaftVersionFeature.maxSupportedVersion = request.maxKRaftVersion
    }
  }

  static func encode(_ request: AddVoterRequest) -> AddRaftVoterRequest {
    AddRaftVoterRequest {
      $0.clusterID = request.clusterID
      $0.timeoutMs = request.timeoutMs
      $0.voterID = request.voter.id.rawValue
      $0.voterDirectoryID = request.voter.directory
      $0.listeners = listeners(request.endpoints)
    }
  }

  static func encode(_ request: RemoveVoterRequest) -> RemoveRaftVoterRequest {
    RemoveRaftVoterRequest {
      $0.clusterID = request.clusterID
      $0.voterID = request.voter.id.rawValue
      $0.voterDirectoryID = request.voter.directory
    }
  }

  static let apiVersions = ApiVersionsRequest {
    $0.clientSoftwareName = "jackdaw"
    $0.clientSoftwareVersion = "3.9.0"
  }
}
