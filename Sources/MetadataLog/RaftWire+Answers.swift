// The Raft machine's answers as Kafka's messages: what this node replies.
import KafkaMessages
import KafkaProtocol
import Raft
import Values

extension RaftWire {
  static func encode(
    _ response: Raft.VoteResponse, listener: String
  ) -> KafkaMessages.VoteResponse {
    typealias Wire = KafkaMessages.VoteResponse
    return Wire {
      $0.errorCode = response.topLevelError.rawValue
      guard response.topLevelError == .none else { return }
      $0.topics = [
        Wire.TopicData {
          $0.topicName = topic
          $0.partitions = [
            Wire.PartitionData {
              $0.partitionIndex = partition
              $0.errorCode = response.error.rawValue
              $0.leaderID = response.leader.id?.rawValue ?? -1
              $0.leaderEpoch = response.leader.epoch.rawValue
              $0.voteGranted = response.voteGranted
            }
          ]
        }
      ]
      $0.nodeEndpoints = endpoints(response.leader, listener)
    }
  }

  static func encodeBegin(
    _ response: QuorumEpochResponse, listener: String
  ) -> BeginQuorumEpochResponse {
    typealias Wire = BeginQuorumEpochResponse
    return Wire {
      $0.errorCode = response.topLevelError.rawValue
      guard response.topLevelError == .none else { return }
      $0.topics = [
        Wire.TopicData {
          $0.topicName = topic
          $0.partitions = [partition(response)]
        }
      ]
      $0.nodeEndpoints = endpoints(response.leader, listener)
    }
  }

  static func encodeEnd(
    _ response: QuorumEpochResponse, listener: String
  ) -> EndQuorumEpochResponse {
    typealias Wire = EndQuorumEpochResponse
    return Wire {
      $0.errorCode = response.topLevelError.rawValue
      guard response.topLevelError == .none else { return }
      $0.topics = [
        Wire.TopicData {
          $0.topicName = topic
          $0.partitions = [partition(response)]
        }
      ]
      $0.nodeEndpoints = endpoints(response.leader, listener)
    }
  }

  /// - Parameter records: what the response's `records` stands for, read by the driver.
  static func encode(
    _ response: Raft.FetchResponse, records: [UInt8], listener: String
  ) -> KafkaMessages.FetchResponse {
    typealias Wire = KafkaMessages.FetchResponse
    return Wire {
      $0.errorCode = response.topLevelError.rawValue
      guard response.topLevelError == .none else { return }
      $0.responses = [
        Wire.FetchableTopicResponse {
          $0.topic = topic
          $0.topicID = MetadataLogStore.topicID
          $0.partitions = [
            Wire.PartitionData {
              $0.partitionIndex = partition
              $0.errorCode = response.error.rawValue
              $0.highWatermark = response.highWatermark
              $0.logStartOffset = response.logStartOffset
              $0.currentLeader.leaderID = response.leader.id?.rawValue ?? -1
              $0.currentLeader.leaderEpoch = response.leader.epoch.rawValue
              if let diverging = response.divergingEpoch {
                $0.divergingEpoch.epoch = diverging.epoch.rawValue
                $0.divergingEpoch.endOffset = diverging.offset
              }
              if let snapshot = response.snapshotID {
                $0.snapshotID.endOffset = snapshot.offset
                $0.snapshotID.epoch = snapshot.epoch.rawValue
              }
              $0.records = .owned(records)
            }
          ]
        }
      ]
      $0.nodeEndpoints = endpoints(response.leader, listener)
    }
  }

  static func encode(
    _ response: Raft.FetchSnapshotResponse, bytes: [UInt8], listener: String
  ) -> KafkaMessages.FetchSnapshotResponse {
    typealias Wire = KafkaMessages.FetchSnapshotResponse
    return Wire {
      $0.errorCode = response.topLevelError.rawValue
      guard response.topLevelError == .none else { return }
      $0.topics = [
        Wire.TopicSnapshot {
          $0.name = topic
          $0.partitions = [
            Wire.PartitionSnapshot {
              $0.index = partition
              $0.errorCode = response.error.rawValue
              if let id = response.snapshotID {
                $0.snapshotID.endOffset = id.offset
                $0.snapshotID.epoch = id.epoch.rawValue
              }
              $0.currentLeader.leaderID = response.leader.id?.rawValue ?? -1
              $0.currentLeader.leaderEpoch = response.leader.epoch.rawValue
              $0.size = response.size
              $0.position = response.position
              $0.unalignedRecords = .owned(bytes)
            }
          ]
        }
      ]
      $0.nodeEndpoints = endpoints(response.leader, listener)
    }
  }

  static func encode(
    _ response: UpdateVoterResponse, listener: String
  ) -> UpdateRaftVoterResponse {
    UpdateRaftVoterResponse {
      $0.errorCode = response.error.rawValue
      $0.currentLeader.leaderID = response.leader.id?.rawValue ?? -1
      $0.currentLeader.leaderEpoch = response.leader.epoch.rawValue
      if let found = endpoint(response.leader, listener) {
        $0.currentLeader.host = found.host
        $0.currentLeader.port = Int32(found.port)
      }
    }
  }

  /// - Parameter wallMs: turns an instant into milliseconds since 1970.
  static func encode(
    _ response: Raft.DescribeQuorumResponse, wallMs: (Instant) -> Int64
  ) -> KafkaMessages.DescribeQuorumResponse {
    typealias Wire = KafkaMessages.DescribeQuorumResponse
    func state(_ replica: Raft.DescribeQuorumResponse.Replica) -> Wire.ReplicaState {
      Wire.ReplicaState {
        $0.replicaID = replica.key.id.rawValue
        $0.replicaDirectoryID = replica.key.directory
        $0.logEndOffset = replica.logEndOffset
        $0.lastFetchTimestamp = replica.lastFetch.map(wallMs) ?? -1
        $0.lastCaughtUpTimestamp = replica.lastCaughtUp.map(wallMs) ?? -1
      }
    }
    return Wire {
      $0.topics = [
        Wire.TopicData {
          $0.topicName = topic
          $0.partitions = [
            Wire.PartitionData {
              $0.partitionIndex = partition
              $0.errorCode = response.error.rawValue
              if response.error != .none { $0.errorMessage = response.error.message }
              $0.leaderID = response.leader.id?.rawValue ?? -1
              $0.leaderEpoch = response.leader.epoch.rawValue
              $0.highWatermark = response.highWatermark
              $0.currentVoters = response.voters.map(state)
              $0.observers = response.observers.map(state)
            }
          ]
        }
      ]
      $0.nodes = response.nodes.map { voter in
        Wire.Node {
          $0.nodeID = voter.key.id.rawValue
          $0.listeners = listeners(voter.endpoints)
        }
      }
    }
  }
}
