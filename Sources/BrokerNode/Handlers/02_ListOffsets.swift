/// ListOffsets, key 2, versions 0–9.
///
/// The offset of the first record with at least a timestamp, or of a special place: -1 the end that
/// the reader may see, -2 the start, -3 the largest timestamp (version 7, KIP-734), -4 the start of
/// what is on local disk (8), -5 the end of what is in tiered storage (9). Searching by time may
/// read much and is done on an I/O thread.
/// - Version 0 answers with a list of segment boundaries, of which only the ends mean anything
/// here.
/// - Version 2 knows isolation levels: the end is the last stable offset.
/// - Version 4 carries leader epochs; from 5 on a leader that has not yet committed anything in its
///   term answers OFFSET_NOT_AVAILABLE, before it LEADER_NOT_AVAILABLE.
import KafkaMessages
import KafkaProtocol
import LogStorage
import Replication
import Values

enum ListOffsetsHandler: ApiHandler {
  typealias Answer = ListOffsetsResponse.ListOffsetsPartitionResponse
  typealias Wanted = ListOffsetsRequest.ListOffsetsPartition

  /// Special timestamps.
  private enum Place {
    static let latest: Int64 = -1
    static let earliest: Int64 = -2
    static let maxTimestamp: Int64 = -3
    static let earliestLocal: Int64 = -4
    static let latestTiered: Int64 = -5
  }

  static func handle(_ request: ListOffsetsRequest, _ context: RequestContext) {
    let searches = request.topics.contains { topic in
      topic.partitions.contains { $0.timestamp >= 0 || $0.timestamp == Place.maxTimestamp }
    }
    let services = context.services
    let version = context.version
    if searches {
      let pending = context.park()
      services.io.submit { pending.send(answer(request, version: version, services)) }
    } else {
      context.reply(answer(request, version: version, services))
    }
  }

  private static func answer(
    _ request: ListOffsetsRequest, version: Int16, _ services: BrokerServices
  ) -> ListOffsetsResponse {
    ListOffsetsResponse {
      $0.topics = request.topics.map { topic in
        ListOffsetsResponse.ListOffsetsTopicResponse {
          $0.name = topic.name
          $0.partitions = topic.partitions.map { wanted in
            var answer = Answer()
            answer.partitionIndex = wanted.partitionIndex
            do throws(PartitionFailure) {
              let at = TopicPartition(topic.name, wanted.partitionIndex)
              try find(wanted, at, request, version: version, services, into: &answer)
            } catch {
              answer.errorCode = error.code.rawValue
            }
            return answer
          }
        }
      }
    }
  }

  private static func find(
    _ wanted: Wanted, _ at: TopicPartition, _ request: ListOffsetsRequest, version: Int16,
    _ services: BrokerServices, into answer: inout Answer
  ) throws(PartitionFailure) {
    guard let partition = services.partitions[at] else { throw services.missing(at) }
    let isConsumer = request.replicaID == -1
    let log = try partition.checkedLog(
      leaderEpoch: wanted.currentLeaderEpoch, needsLeader: request.replicaID != -2)
    if isConsumer, wanted.timestamp != Place.earliest, partition.replica.isBehindItsTerm {
      throw PartitionFailure(version >= 5 ? .offsetNotAvailable : .leaderNotAvailable)
    }
    let offsets = log.offsets
    let end =
      !isConsumer
      ? offsets.logEndOffset
      : request.isolationLevel == 1 ? offsets.lastStableOffset : offsets.highWatermark
    switch wanted.timestamp {
    case Place.latest: fill(&answer, end, epoch: partition.leaderEpoch, version: version)
    case Place.earliest, Place.earliestLocal:
      let start = offsets.logStartOffset
      fill(&answer, start, epoch: log.leaderEpoch(at: start) ?? .none, version: version)
    case Place.latestTiered: break
    default:
      guard let found = try search(log, wanted.timestamp, end: end) else { return }
      answer.timestamp = found.timestamp
      fill(&answer, found.offset, epoch: found.leaderEpoch, version: version)
    }
  }

  private static func search(
    _ log: PartitionLog, _ timestamp: Int64, end: Offset
  ) throws(PartitionFailure) -> TimestampedOffset? {
    guard timestamp >= 0 || timestamp == Place.maxTimestamp else {
      throw PartitionFailure(.unsupportedVersion)
    }
    do throws(LogError) {
      let found =
        timestamp >= 0
        ? try log.offset(forTimestamp: timestamp) : try log.offsetOfMaxTimestamp()
      // What consumers may not read yet is not there for them.
      return found.flatMap { $0.offset < end ? $0 : nil }
    } catch {
      throw PartitionFailure(error)
    }
  }

  private static func fill(
    _ answer: inout Answer, _ offset: Offset, epoch: LeaderEpoch, version: Int16
  ) {
    if version == 0 { answer.oldStyleOffsets = [offset] }
    answer.offset = offset
    answer.leaderEpoch = epoch.rawValue
  }
}

extension Partition {
  /// The log, after checking the leader epoch that a request carries.
  func checkedLog(
    leaderEpoch: Int32, needsLeader: Bool = true
  ) throws(PartitionFailure) -> PartitionLog {
    let outcome: Result<PartitionLog, PartitionFailure> = state.withLock { state in
      do throws(PartitionFailure) {
        let log = try state.usableLog()
        do throws(ReplicaRefusal) {
          try state.replica.check(
            leaderEpoch: LeaderEpoch(leaderEpoch), needsLeader: needsLeader)
        } catch {
          throw PartitionFailure(error)
        }
        return .success(log)
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }
}
