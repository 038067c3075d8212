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
///
/// Nothing is allocated for a request that succeeds (`make check-hot-path` counts): it is read in
/// place, and what holds its rows while it waits is used again.
import Bytes
import KafkaMessages
import KafkaProtocol
import Records
import Values

enum ProduceHandler: InPlaceHandler {
  static var api: ApiKey { .produce }

  static func handle(_ reader: inout ByteReader, _ context: RequestContext) throws(ByteError) {
    let produce = context.loop.takeProduce()
    do throws(ByteError) {
      try produce.read(&reader, context)
    } catch {
      produce.retire(on: context.loop)
      throw error
    }
    context.services.metrics.produceRequests.add()
    let questions = produce.questions(context)
    if !questions.isEmpty { return produce.ask(questions, context) }
    produce.finish(context)
  }
}

/// One Produce request from its first append to its answer.
final class ProduceOperation: WaitingRequest {
  /// A partition whose in-sync replicas do not all have the records yet.
  private struct Wait {
    var requiredOffset: Offset
    var epoch: LeaderEpoch
    /// Its row in the frame.
    var place: Int
  }

  private(set) var frame = ProduceFrame()
  private(set) var version: Int16 = 0
  /// What the coordinator has said about rows that begin a transaction.
  var verdicts: [Int: RowVerdict] = [:]
  private var waits: [Wait] = []
  /// What the waits are for, one by one.
  private var partitions: [Partition] = []
  /// Rows that failed while they were appended.
  private var failures: [(place: Int, failure: PartitionFailure)] = []
  /// The answer's place; taken early by a request that asks the coordinator first.
  var pending: PendingReply?
  /// The listener that the client came in by, to tell it a new leader's address there.
  private var listener = ""

  func read(_ reader: inout ByteReader, _ context: RequestContext) throws(ByteError) {
    try frame.read(&reader, version: context.version, names: &context.loop.names)
    listener = context.client.listener
    version = context.version
  }

  /// Appends, answers, and gives itself back unless it waits.
  func finish(_ context: RequestContext) {
    appendAll(context)
    throttle(context)
    if !answer(context) { retire(on: context.loop) }
  }

  func retire(on loop: BrokerLoop) {
    frame.removeAll()
    waits.removeAll(keepingCapacity: true)
    partitions.removeAll(keepingCapacity: true)
    failures.removeAll()
    verdicts.removeAll()
    pending = nil
    loop.give(self)
  }

  // MARK: Appending

  func appendAll(_ context: RequestContext) {
    guard (-1...1).contains(frame.acks) else {
      for place in frame.rows.indices {
        frame.rows[place].errorCode = ErrorCode.invalidRequiredAcks.rawValue
      }
      return
    }
    let access = context.access
    if let access, let id = frame.transactionalID, !access.may(.write, .transactionalID, id) {
      return refuseAll(.transactionalIDAuthorizationFailed)
    }
    var place = 0
    for topic in frame.topics {
      if let access, !access.may(.write, .topic, topic.name) {
        refuse(place..<(place + topic.partitionCount), .topicAuthorizationFailed)
        place += topic.partitionCount
        continue
      }
      for _ in 0..<topic.partitionCount {
        append(place, to: topic.name, context)
        place += 1
      }
    }
  }

  private func refuseAll(_ code: ErrorCode) { refuse(0..<frame.rows.count, code) }

  private func refuse(_ places: Range<Int>, _ code: ErrorCode) {
    for place in places {
      frame.rows[place].errorCode = code.rawValue
      failures.append((place, PartitionFailure(code)))
    }
  }

  private func append(_ place: Int, to topic: String, _ context: RequestContext) {
    do throws(PartitionFailure) {
      try appendChecked(place, to: topic, context)
    } catch {
      context.services.metrics.failedProduce.add()
      frame.rows[place].errorCode = error.code.rawValue
      failures.append((place, error))
    }
  }

  private func appendChecked(
    _ place: Int, to topic: String, _ context: RequestContext
  ) throws(PartitionFailure) {
    let services = context.services
    let index = frame.rows[place].index
    guard !InternalTopics.contains(topic) || context.clientID == "__admin_client" else {
      throw PartitionFailure(.invalidTopicException)
    }
    guard let partition = services.partitions[topic, index] else {
      throw services.missing(TopicPartition(topic, index))
    }
    guard let range = frame.rows[place].records, !range.isEmpty else {
      throw PartitionFailure(.invalidRecord, "Produce request has no record batches")
    }
    let records = UnsafeMutableRawBufferPointer(rebasing: context.frame[range])
    try Self.checkFormat(UnsafeRawBufferPointer(records), version: context.version)
    let role = try role(of: place, context)
    let appended = try append(records, to: partition, role, context)
    let result = appended.result
    services.metrics.messagesIn.add(result.recordCount)
    services.metrics.bytesIn.add(Int64(result.size))
    if frame.acks == -1, !appended.isReplicated, services.sabotage == nil {
      waits.append(
        Wait(requiredOffset: result.lastOffset + 1, epoch: appended.epoch, place: place))
      partitions.append(partition)
    }
    frame.rows[place].baseOffset = result.baseOffset
    frame.rows[place].logAppendTimeMs = result.logAppendTime
    frame.rows[place].logStartOffset = result.logStartOffset
  }

  /// What the records are in a transaction, where that has to be looked at.
  private func role(
    of place: Int, _ context: RequestContext
  ) throws(PartitionFailure) -> TransactionRole? {
    guard frame.transactionalID != nil,
      context.services.currentConfig.producers.isVerificationEnabled,
      let producer = producer(of: place, context)
    else { return nil }
    switch verdicts[place] {
    case .failed(let failure): throw failure
    case .verified(let number):
      return .data(producer.id, epoch: producer.epoch, verification: number)
    case nil: return .data(producer.id, epoch: producer.epoch, verification: nil)
    }
  }

  private func append(
    _ records: UnsafeMutableRawBufferPointer, to partition: Partition, _ role: TransactionRole?,
    _ context: RequestContext
  ) throws(PartitionFailure) -> Partition.Appended {
    let (loop, replicas, acks) = (context.loop, context.services.replicas, frame.acks)
    do throws(PartitionFailure) {
      return try loop.withEffects { (effects) throws(PartitionFailure) in
        let appended = try partition.append(
          records, acks: acks, role: role, now: loop.now, wallNow: loop.wallNow, into: &effects)
        replicas.appended(to: partition, appended, effects, on: loop)
        return appended
      }
    } catch {
      replicas.note(error, partition)
      throw error
    }
  }

  /// What a version's clients may send, beyond what every batch is checked for.
  private static func checkFormat(
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

  /// Counts the request against the client's quota, and does not hear a client that is over it.
  func throttle(_ context: RequestContext) {
    guard let client = context.throttledClient else { return }
    let bytes = context.services.throttle.produced(
      context.frame.count, by: client, at: context.loop.now)
    // A producer that wants no answer cannot be told either.
    let wait = max(bytes, frame.acks == 0 ? 0 : context.settleTime())
    frame.throttleTimeMs = Int32(clamping: wait)
    context.mute(forMs: wait)
  }

  // MARK: Answering

  /// Answers at once, or parks the answer.
  /// - Returns: whether the request waits.
  func answer(_ context: RequestContext) -> Bool {
    if frame.acks == 0 {
      context.finishWithoutReply()
      // The producer cannot be told otherwise that it should look for the leader again.
      if !failures.isEmpty { context.disconnect("failed Produce with acks=0") }
      return false
    }
    if waits.isEmpty {
      if pending != nil {
        send(on: context.loop)
        return false
      }
      context.reply { write(to: &$0, version: context.version, context.services) }
      return false
    }
    if pending == nil { pending = context.park() }
    context.loop.wait(
      self, on: partitions,
      until: context.loop.now.advanced(milliseconds: Int64(frame.timeoutMs)))
    return true
  }

  func isDone(on loop: BrokerLoop) -> Bool {
    var index = 0
    while index < waits.count {
      let wait = waits[index]
      switch partitions[index].replicationOutcome(upTo: wait.requiredOffset, epoch: wait.epoch) {
      case nil:
        index += 1
        continue
      case .success: break
      case .failure(let failure): fail(wait.place, failure.code)
      }
      waits.swapAt(index, waits.count - 1)
      partitions.swapAt(index, partitions.count - 1)
      waits.removeLast()
      partitions.removeLast()
    }
    guard waits.isEmpty else { return false }
    send(on: loop)
    return true
  }

  func expire(on loop: BrokerLoop) {
    for wait in waits { fail(wait.place, .requestTimedOut) }
    send(on: loop)
  }

  private func send(on loop: BrokerLoop) {
    guard let pending else { return }
    pending.sendHere { write(to: &$0, version: pending.version, loop.services) }
  }

  private func fail(_ place: Int, _ error: ErrorCode) {
    frame.rows[place].errorCode = error.rawValue
    frame.rows[place].baseOffset = -1
  }

  private func write(to output: inout ByteWriter, version: Int16, _ services: BrokerServices) {
    if failures.isEmpty { return frame.write(to: &output, version: version) }
    var response = frame.message()
    var next = 0
    for topic in response.responses.indices {
      let places = next..<(next + response.responses[topic].partitionResponses.count)
      for (place, failure) in failures where places.contains(place) {
        response.explain(
          failure, topic: topic, partition: place - next, version: version, services, listener)
      }
      next = places.upperBound
    }
    response.write(to: &output, version: version)
  }
}

extension ProduceResponse {
  /// Adds to a failed partition what the client can make use of.
  fileprivate mutating func explain(
    _ failure: PartitionFailure, topic: Int, partition: Int, version: Int16,
    _ services: BrokerServices, _ listener: String
  ) {
    var answer = responses[topic].partitionResponses[partition]
    defer { responses[topic].partitionResponses[partition] = answer }
    answer.errorMessage = failure.message
    answer.recordErrors = failure.records.map { fault in
      BatchIndexAndErrorMessage {
        $0.batchIndex = fault.index
        $0.batchIndexErrorMessage = fault.message
      }
    }
    guard version >= 10, failure.code == .notLeaderOrFollower else { return }
    let hint = LeaderHint(
      TopicPartition(responses[topic].name, answer.index), services, listener: listener)
    answer.currentLeader.leaderID = hint.leader
    answer.currentLeader.leaderEpoch = hint.epoch
    if let node = hint.node, !nodeEndpoints.contains(where: { $0.nodeID == node.id }) {
      nodeEndpoints.append(
        NodeEndpoint {
          $0.nodeID = node.id
          $0.host = node.host
          $0.port = node.port
          $0.rack = node.rack
        })
    }
  }
}
