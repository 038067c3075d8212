/// Produce, key 0, versions 0–11.
///
/// Appends each partition's batch where it lies in the receiving buffer and answers when `acks` is
/// satisfied: at once (1), when every in-sync replica has it (-1), never (0: an error closes the
/// connection, which is all the producer can notice).
/// - Versions 0–2 carry message formats 0 and 1, which are rebuilt as format 2; from 3 on there is
///   exactly one batch of format 2 for each partition.
/// - Version 7 is the first whose clients know zstd.
/// - Version 8 tells which records were at fault (KIP-467); 10 names the new leader when there is
///   one (KIP-951).
import Bytes
import KafkaMessages
import KafkaProtocol
import Records
import Values

enum ProduceHandler: ApiHandler {
  typealias PartitionAnswer = ProduceResponse.PartitionProduceResponse

  static func handle(_ request: ProduceRequest, _ context: RequestContext) {
    context.services.metrics.produceRequests.add()
    let produce = ProduceOperation(context, acks: request.acks)
    guard (-1...1).contains(request.acks) else {
      produce.refuseAll(request, .invalidRequiredAcks)
      produce.answer(context, timeoutMs: 0)
      return
    }
    for topic in request.topicData {
      var answers: [PartitionAnswer] = []
      answers.reserveCapacity(topic.partitionData.count)
      for (place, data) in topic.partitionData.enumerated() {
        answers.append(
          produce.append(
            data, to: topic.name, context,
            place: (topic: produce.response.responses.count, partition: place)))
      }
      produce.response.responses.append(
        ProduceResponse.TopicProduceResponse {
          $0.name = topic.name
          $0.partitionResponses = answers
        })
    }
    produce.answer(context, timeoutMs: Int64(request.timeoutMs))
  }
}

/// One Produce request from its first append to its answer.
final class ProduceOperation: WaitingRequest {
  /// A partition whose in-sync replicas do not all have the records yet.
  private struct Wait {
    var partition: Partition
    var requiredOffset: Offset
    var epoch: LeaderEpoch
    var place: (topic: Int, partition: Int)
  }

  var response = ProduceResponse()
  private let acks: Int16
  private var waits: [Wait] = []
  private var hasFailed = false
  private var pending: PendingReply?

  init(_ context: RequestContext, acks: Int16) { self.acks = acks }

  // MARK: Appending

  func append(
    _ data: ProduceRequest.PartitionProduceData, to topic: String, _ context: RequestContext,
    place: (topic: Int, partition: Int)
  ) -> ProduceHandler.PartitionAnswer {
    do throws(PartitionFailure) {
      return try appendChecked(data, to: topic, context, place: place)
    } catch {
      hasFailed = true
      context.services.metrics.failedProduce.add()
      return failed(data.index, error, topic: topic, context)
    }
  }

  private func appendChecked(
    _ data: ProduceRequest.PartitionProduceData, to topic: String, _ context: RequestContext,
    place: (topic: Int, partition: Int)
  ) throws(PartitionFailure) -> ProduceHandler.PartitionAnswer {
    let services = context.services
    guard !InternalTopics.contains(topic) || context.clientID == "__admin_client" else {
      throw PartitionFailure(.invalidTopicException)
    }
    guard let partition = services.partitions[topic, data.index] else {
      throw services.missing(TopicPartition(topic, data.index))
    }
    guard case .inFrame(let range) = data.records, !range.isEmpty else {
      throw PartitionFailure(.invalidRecord, "Produce request has no record batches")
    }
    let records = UnsafeMutableRawBufferPointer(rebasing: context.frame[range])
    try checkFormat(UnsafeRawBufferPointer(records), version: context.version)
    let appended: Partition.Appended
    do throws(PartitionFailure) {
      appended = try partition.append(
        records, acks: acks, now: context.loop.now, wallNow: context.loop.wallNow)
    } catch {
      services.replicas.note(error, partition)
      throw error
    }
    let result = appended.result
    services.metrics.messagesIn.add(result.recordCount)
    services.metrics.bytesIn.add(Int64(result.size))
    services.replicas.appended(to: partition, appended, on: context.loop)
    if acks == -1, !appended.isReplicated {
      waits.append(
        Wait(
          partition: partition, requiredOffset: result.lastOffset + 1, epoch: appended.epoch,
          place: place))
    }
    return ProduceHandler.PartitionAnswer {
      $0.index = data.index
      $0.baseOffset = result.baseOffset
      $0.logAppendTimeMs = result.logAppendTime
      $0.logStartOffset = result.logStartOffset
    }
  }

  /// What a version's clients may send, beyond what every batch is checked for.
  private func checkFormat(
    _ records: UnsafeRawBufferPointer, version: Int16
  ) throws(PartitionFailure) {
    let first: BatchHeader
    do throws(RecordError) {
      first = try BatchHeader(records)
    } catch {
      throw PartitionFailure(AppendRefusal(error))
    }
    if version >= 3 {
      guard first.magic == 2 else {
        throw PartitionFailure(
          .invalidRecord,
          "Produce requests with version \(version) are only allowed to contain record batches "
            + "with magic version 2")
      }
      guard first.sizeInBytes == records.count else {
        throw PartitionFailure(
          .invalidRecord,
          "Produce requests with version \(version) are only allowed to contain exactly one "
            + "record batch per partition")
      }
    }
    if version < 7, first.compression == .zstd {
      throw PartitionFailure(
        .unsupportedCompressionType,
        "Produce requests with version \(version) are not allowed to use ZStandard compression")
    }
  }

  // MARK: Answering

  private func failed(
    _ index: Int32, _ failure: PartitionFailure, topic: String, _ context: RequestContext
  ) -> ProduceHandler.PartitionAnswer {
    ProduceHandler.PartitionAnswer {
      $0.index = index
      $0.errorCode = failure.code.rawValue
      $0.baseOffset = -1
      $0.errorMessage = failure.message
      $0.recordErrors = failure.records.map { fault in
        ProduceResponse.BatchIndexAndErrorMessage {
          $0.batchIndex = fault.index
          $0.batchIndexErrorMessage = fault.message
        }
      }
      guard context.version >= 10, failure.code == .notLeaderOrFollower else { return }
      let hint = LeaderHint(
        TopicPartition(topic, index), context.services, listener: context.client.listener)
      $0.currentLeader.leaderID = hint.leader
      $0.currentLeader.leaderEpoch = hint.epoch
      if let node = hint.node, !response.nodeEndpoints.contains(where: { $0.nodeID == node.id }) {
        response.nodeEndpoints.append(
          ProduceResponse.NodeEndpoint {
            $0.nodeID = node.id
            $0.host = node.host
            $0.port = node.port
            $0.rack = node.rack
          })
      }
    }
  }

  func refuseAll(_ request: ProduceRequest, _ error: ErrorCode) {
    hasFailed = true
    response.responses = request.topicData.map { topic in
      ProduceResponse.TopicProduceResponse {
        $0.name = topic.name
        $0.partitionResponses = topic.partitionData.map { data in
          ProduceHandler.PartitionAnswer {
            $0.index = data.index
            $0.errorCode = error.rawValue
            $0.baseOffset = -1
          }
        }
      }
    }
  }

  func answer(_ context: RequestContext, timeoutMs: Int64) {
    if acks == 0 {
      context.finishWithoutReply()
      // The producer cannot be told otherwise that it should look for the leader again.
      if hasFailed { context.disconnect("failed Produce with acks=0") }
      return
    }
    if waits.isEmpty {
      context.reply(response)
      return
    }
    pending = context.park()
    context.loop.wait(
      self, on: waits.map(\.partition), until: context.loop.now.advanced(milliseconds: timeoutMs))
  }

  func isDone(on loop: BrokerLoop) -> Bool {
    waits.removeAll { wait in
      switch wait.partition.replicationOutcome(upTo: wait.requiredOffset, epoch: wait.epoch) {
      case nil: return false
      case .success: return true
      case .failure(let failure):
        fail(wait, failure.code)
        return true
      }
    }
    guard waits.isEmpty else { return false }
    pending?.send(response)
    return true
  }

  func expire(on loop: BrokerLoop) {
    for wait in waits { fail(wait, .requestTimedOut) }
    pending?.send(response)
  }

  private func fail(_ wait: Wait, _ error: ErrorCode) {
    let place = wait.place
    response.responses[place.topic].partitionResponses[place.partition].errorCode = error.rawValue
    response.responses[place.topic].partitionResponses[place.partition].baseOffset = -1
  }
}

/// Where to find a partition instead: told with NOT_LEADER_OR_FOLLOWER (KIP-951).
struct LeaderHint {
  struct Node {
    var id: Int32
    var host: String
    var port: Int32
    var rack: String?
  }

  var leader: Int32 = -1
  var epoch: Int32 = -1
  var node: Node?

  init(_ at: TopicPartition, _ services: BrokerServices, listener: String) {
    let metadata = services.metadata
    guard let partition = metadata.partition(at), partition.hasLeader else { return }
    leader = partition.leader.rawValue
    epoch = partition.leaderEpoch.rawValue
    guard let broker = metadata.broker(partition.leader),
      let endpoint = broker.endpoint(listener)
    else { return }
    node = Node(
      id: leader, host: endpoint.host, port: Int32(endpoint.port), rack: broker.rack)
  }
}

extension BrokerServices {
  /// The error for a partition that is not here: elsewhere, or nowhere.
  func missing(_ at: TopicPartition) -> PartitionFailure {
    PartitionFailure(
      metadata.partition(at) == nil ? .unknownTopicOrPartition : .notLeaderOrFollower)
  }
}
