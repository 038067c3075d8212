// Answering other replicas and tools.
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import LogStorage
import Platform
import Raft
import Values

extension RaftCore {
  func serve(_ request: RaftRequest, for asker: ServerRequest) {
    lastRequest += 1
    let id = RequestID(lastRequest)
    askers[id] = asker
    take(.request(request, id: id))
  }

  func respond(_ id: RequestID, _ response: RaftResponse) throws {
    guard let asker = askers.removeValue(forKey: id) else { return }
    let listener = asker.listener
    switch response {
    case .vote(let answer): asker.answer(RaftWire.encode(answer, listener: listener))
    case .beginQuorumEpoch(let answer):
      asker.answer(RaftWire.encodeBegin(answer, listener: listener))
    case .endQuorumEpoch(let answer):
      asker.answer(RaftWire.encodeEnd(answer, listener: listener))
    case .fetch(let answer):
      asker.answer(RaftWire.encode(answer, records: try records(answer), listener: listener))
    case .fetchSnapshot(let answer):
      asker.answer(RaftWire.encode(answer, bytes: try bytes(answer), listener: listener))
    case .addVoter(let answer):
      answerAsLeader(
        asker, answer.error,
        AddRaftVoterResponse {
          $0.errorCode = answer.error.rawValue
          $0.errorMessage = answer.text
        })
    case .removeVoter(let answer):
      answerAsLeader(
        asker, answer.error,
        RemoveRaftVoterResponse {
          $0.errorCode = answer.error.rawValue
          $0.errorMessage = answer.text
        })
    case .updateVoter(let answer): asker.answer(RaftWire.encode(answer, listener: listener))
    case .describeQuorum(let answer):
      let (now, wall) = (Clock.now(), Clock.wallNow())
      answerAsLeader(
        asker, answer.error,
        RaftWire.encode(answer) { wall.milliseconds - now.milliseconds(since: $0) })
    case .apiVersions: break
    }
  }

  /// What only the leader can answer, and a broker may have passed on to a node that is none any
  /// more: the broker then asks the next one, instead of troubling its client.
  private func answerAsLeader(
    _ asker: ServerRequest, _ error: ErrorCode, _ response: some KafkaResponse
  ) {
    if error == .notLeaderOrFollower { return asker.reply.refuseAsNotController(response) }
    asker.answer(response)
  }

  private func records(_ answer: Raft.FetchResponse) throws -> [UInt8] {
    guard case .read(let from, let to, let maxBytes) = answer.records else { return [] }
    return try store.read(from: from, to: to, maxBytes: Int(maxBytes))
  }

  private func bytes(_ answer: Raft.FetchSnapshotResponse) throws -> [UInt8] {
    guard case .read(let count) = answer.chunk, let id = answer.snapshotID else { return [] }
    return try File(store.path(of: id)).read(at: answer.position, count: Int(count))
  }
}

// MARK: The table

extension RaftDriver {
  /// The APIs of the quorum itself, for a controller's table.
  public var servedApis: [ServedApi] {
    [
      ServedApi(KafkaMessages.VoteRequest.self) { [self] wire, request in
        guard let body = try? RaftWire.decode(wire, version: request.version) else {
          return request.answer(KafkaMessages.VoteResponse { $0.errorCode = Self.invalid })
        }
        serve(.vote(body), for: request)
      },
      ServedApi(KafkaMessages.BeginQuorumEpochRequest.self) { [self] wire, request in
        guard let body = try? RaftWire.decode(wire, version: request.version) else {
          return request.answer(BeginQuorumEpochResponse { $0.errorCode = Self.invalid })
        }
        serve(.beginQuorumEpoch(body), for: request)
      },
      ServedApi(KafkaMessages.EndQuorumEpochRequest.self) { [self] wire, request in
        guard let body = try? RaftWire.decode(wire, version: request.version) else {
          return request.answer(EndQuorumEpochResponse { $0.errorCode = Self.invalid })
        }
        serve(.endQuorumEpoch(body), for: request)
      },
      ServedApi(KafkaMessages.FetchRequest.self) { [self] wire, request in
        guard let body = try? RaftWire.decode(wire, version: request.version) else {
          return request.answer(KafkaMessages.FetchResponse { $0.errorCode = Self.invalid })
        }
        serve(.fetch(body), for: request)
      },
      ServedApi(KafkaMessages.FetchSnapshotRequest.self) { [self] wire, request in
        guard let body = try? RaftWire.decode(wire) else {
          return request.answer(Self.unknownPartition(wire))
        }
        serve(.fetchSnapshot(body), for: request)
      },
      ServedApi(KafkaMessages.DescribeQuorumRequest.self) { [self] wire, request in
        guard RaftWire.isWanted(wire) else { return request.answer(Self.unknownPartition(wire)) }
        serve(.describeQuorum, for: request)
      },
      ServedApi(AddRaftVoterRequest.self) { [self] wire, request in
        serve(.addVoter(RaftWire.decode(wire)), for: request)
      },
      ServedApi(RemoveRaftVoterRequest.self) { [self] wire, request in
        serve(.removeVoter(RaftWire.decode(wire)), for: request)
      },
      ServedApi(UpdateRaftVoterRequest.self) { [self] wire, request in
        serve(.updateVoter(RaftWire.decode(wire)), for: request)
      },
    ]
  }

  private static let invalid = ErrorCode.invalidRequest.rawValue
  private static let unknown = ErrorCode.unknownTopicOrPartition.rawValue

  /// Every partition asked for is unknown but the one there is.
  private static func unknownPartition(
    _ wire: KafkaMessages.FetchSnapshotRequest
  ) -> KafkaMessages.FetchSnapshotResponse {
    typealias Wire = KafkaMessages.FetchSnapshotResponse
    return Wire {
      $0.topics = wire.topics.map { topic in
        Wire.TopicSnapshot {
          $0.name = topic.name
          $0.partitions = topic.partitions.map { partition in
            Wire.PartitionSnapshot {
              $0.index = partition.partition
              $0.errorCode = unknown
              $0.unalignedRecords = .owned([])
            }
          }
        }
      }
    }
  }

  private static func unknownPartition(
    _ wire: KafkaMessages.DescribeQuorumRequest
  ) -> KafkaMessages.DescribeQuorumResponse {
    typealias Wire = KafkaMessages.DescribeQuorumResponse
    return Wire {
      $0.topics = wire.topics.map { topic in
        Wire.TopicData {
          $0.topicName = topic.topicName
          $0.partitions = topic.partitions.map { partition in
            Wire.PartitionData {
              $0.partitionIndex = partition.partitionIndex
              $0.errorCode = unknown
              $0.errorMessage = ErrorCode.unknownTopicOrPartition.message
            }
          }
        }
      }
    }
  }
}

extension VoterChangeResponse {
  /// The message, which Kafka leaves out nowhere: without an error it says NONE.
  var text: String { message ?? (error == .none ? error.name : error.message) }
}
