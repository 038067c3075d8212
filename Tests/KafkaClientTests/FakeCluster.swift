// A small broker in memory, to be scripted by tests: it keeps logs of batches as they come, answers
// the APIs that the client uses, and fails on demand.

import Bytes
import KafkaMessages
import KafkaProtocol
import Platform
import Records
import Synchronization
import Transport
import Values

@testable import KafkaClient

/// What a test wants to go wrong with the next request of an API.
enum Fault: Sendable {
  /// Answered with this error instead.
  case error(ErrorCode)
  /// Done, but the connection is closed instead of an answer.
  case doneAndDropped
  /// Done, and never answered.
  case doneAndSilent
  /// The connection is closed, nothing is done.
  case dropped
}

struct FakePartition {
  var leader: Int32
  /// Batches with their final offsets.
  var batches: [[UInt8]] = []
  var baseOffsets: [Int64] = []
  var nextOffset: Int64 = 0
  /// The first sequences of each producer's batches, and the one that comes next.
  var sequences: [Int64: (first: [Int32], next: Int32)] = [:]
  var aborted: [FetchResponse.AbortedTransaction] = []
}

/// One or more nodes on loopback that share their state. Everything runs on one loop.
final class FakeCluster: @unchecked Sendable {  // mutable state: on `loop`, or before it is used
  let group: EventLoopGroup
  private(set) var servers: [Server] = []
  var topics: [String: [FakePartition]] = [:]
  var faults: [ApiKey: [Fault]] = [:]
  var requests: [ApiKey: Int] = [:]
  var committed: [TopicPartition: Int64] = [:]
  var nextProducerID: Int64 = 1000
  var controller: Int32 = 0
  var transactionEnds: [Bool] = []
  let coordinator = FakeCoordinator()
  /// ApiVersions requests above this version are answered with UNSUPPORTED_VERSION.
  var newestApiVersions: Int16 = 4
  var maxBatchBytes = Int.max

  var loop: EventLoop { group.loops[0] }

  init(nodes: Int = 1) throws {
    group = try EventLoopGroup(count: 1, name: "fake")
    for node in 0..<nodes {
      servers.append(
        try Server(on: group) { [self] _ in .frames(FakeNode(self, id: Int32(node))) })
    }
  }

  func on<T: Sendable>(_ body: @escaping @Sendable (FakeCluster) -> T) -> T {
    loop.perform { [self] in body(self) }
  }

  func createTopic(_ name: String, partitions: Int) {
    on { me in
      me.topics[name] = (0..<partitions).map {
        FakePartition(leader: Int32($0 % me.servers.count))
      }
    }
  }

  func fail(_ key: ApiKey, _ faults: Fault...) {
    on { $0.faults[key, default: []] += faults }
  }

  func count(_ key: ApiKey) -> Int { on { $0.requests[key] ?? 0 } }

  var bootstrap: String { servers.map { "127.0.0.1:\($0.address.port)" }.joined(separator: ",") }

  func stop() {
    for server in servers { server.stop() }
    group.stop()
  }

  // MARK: Logs

  func append(
    _ name: String, _ index: Int32, _ bytes: [UInt8]
  ) -> (error: ErrorCode, offset: Int64) {
    guard topics[name].map({ Int(index) < $0.count }) == true else {
      return (.unknownTopicOrPartition, -1)
    }
    var batch = bytes
    return batch.withUnsafeMutableBytes { raw in
      guard let header = try? RecordBatch(UnsafeRawBufferPointer(raw)).header,
        (try? RecordBatch(UnsafeRawBufferPointer(raw)).validate()) != nil
      else { return (.corruptMessage, -1) }
      if raw.count > maxBatchBytes { return (.messageTooLarge, -1) }
      if header.hasProducerID, header.baseSequence >= 0 {
        // As with Kafka: a producer that is not known may begin with any sequence.
        var known = topics[name]![Int(index)].sequences[header.producerID]
          ?? ([], header.baseSequence)
        if known.first.contains(header.baseSequence) { return (.duplicateSequenceNumber, -1) }
        if header.baseSequence != known.next { return (.outOfOrderSequenceNumber, -1) }
        known.first.append(header.baseSequence)
        known.next += header.recordCount
        topics[name]![Int(index)].sequences[header.producerID] = known
      }
      let offset = topics[name]![Int(index)].nextOffset
      raw.storeBytes(of: offset.bigEndian, as: Int64.self)
      topics[name]![Int(index)].batches.append(Array(raw))
      topics[name]![Int(index)].baseOffsets.append(offset)
      topics[name]![Int(index)].nextOffset = offset + Int64(header.recordCount)
      return (.none, offset)
    }
  }

  /// The values of a partition's records, in order.
  func values(_ name: String, _ index: Int) -> [String] {
    on { me in
      var values: [String] = []
      for batch in me.topics[name]?[index].batches ?? [] {
        batch.withUnsafeBytes { raw in
          var scratch = ByteWriter()
          guard var records = try? RecordBatch(raw).records(scratch: &scratch) else { return }
          while let record = try? records.next() {
            values.append(record.value.map { String(decoding: $0, as: UTF8.self) } ?? "null")
          }
        }
      }
      return values
    }
  }
}

/// One listener's connections.
final class FakeNode: FrameHandler {
  let cluster: FakeCluster
  let id: Int32

  init(_ cluster: FakeCluster, id: Int32) {
    self.cluster = cluster
    self.id = id
  }

  func opened(_ connection: Connection) {}
  func closed(_ connection: Connection, because reason: CloseReason) {
    cluster.coordinator.forget(connection)
  }

  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    let span = UnsafeRawBufferPointer(frame).bytes
    var reader = ByteReader(span)
    do {
      let header = try KafkaProtocol.RequestHeader(from: &reader)
      guard let key = header.api else { throw CloseReason.malformed("api") }
      cluster.requests[key, default: 0] += 1
      let fault = cluster.faults[key]?.isEmpty == false ? cluster.faults[key]?.removeFirst() : nil
      if case .dropped? = fault {
        connection.close(.local("fault"))
        return
      }
      let reply = Reply(connection: connection, header: header, key: key, fault: fault)
      try serve(key, &reader, header.apiVersion, span, reply)
      if case .doneAndDropped? = fault { connection.close(.local("fault")) }
    } catch let reason as CloseReason {
      throw reason
    } catch {
      throw .malformed("\(error)")
    }
  }

  private func serve(
    _ key: ApiKey, _ reader: inout ByteReader, _ version: Int16, _ span: RawSpan, _ reply: Reply
  ) throws {
    switch key {
    case .apiVersions: apiVersions(version, reply)
    case .metadata: metadata(try MetadataRequest(from: &reader, version: version), reply)
    case .produce:
      var request = try ProduceRequest(from: &reader, version: version)
      request.copyRecords(from: span)
      produce(request, reply)
    case .fetch: fetch(try FetchRequest(from: &reader, version: version), reply)
    case .listOffsets: listOffsets(try ListOffsetsRequest(from: &reader, version: version), reply)
    case .initProducerID:
      cluster.nextProducerID += 1
      let id = cluster.nextProducerID
      reply.send(
        InitProducerIdResponse {
          $0.producerID = id
          $0.producerEpoch = 0
          $0.errorCode = reply.code
        })
    case .findCoordinator:
      reply.send(
        FindCoordinatorResponse {
          $0.errorCode = reply.code
          $0.host = "127.0.0.1"
          $0.port = Int32(cluster.servers[0].address.port)
        })
    case .createTopics:
      createTopics(try CreateTopicsRequest(from: &reader, version: version), reply)
    case .offsetCommit: commit(try OffsetCommitRequest(from: &reader, version: version), reply)
    case .offsetFetch: offsets(try OffsetFetchRequest(from: &reader, version: version), reply)
    case .addPartitionsToTxn:
      add(try AddPartitionsToTxnRequest(from: &reader, version: version), reply)
    case .endTxn:
      cluster.transactionEnds.append(try EndTxnRequest(from: &reader, version: version).committed)
      reply.send(EndTxnResponse { $0.errorCode = reply.code })
    default: try cluster.coordinator.serve(key, &reader, version, reply)
    }
  }

  private func apiVersions(_ version: Int16, _ reply: Reply) {
    guard version <= cluster.newestApiVersions else {
      // As the protocol has it: in version 0, whatever was asked.
      reply.send(
        ApiVersionsResponse { $0.errorCode = ErrorCode.unsupportedVersion.rawValue }, version: 0)
      return
    }
    reply.send(
      ApiVersionsResponse {
        $0.apiKeys = ApiKey.allCases.map { key in
          ApiVersionsResponse.ApiVersion {
            $0.apiKey = key.rawValue
            $0.minVersion = key.versions.lowerBound
            $0.maxVersion = key.versions.upperBound
          }
        }
      })
  }

  private func metadata(_ request: MetadataRequest, _ reply: Reply) {
    let names = request.topics.map { $0.compactMap(\.name) } ?? cluster.topics.keys.sorted()
    var response = MetadataResponse()
    response.clusterID = "fake"
    response.controllerID = cluster.controller
    response.brokers = cluster.servers.enumerated().map { id, server in
      MetadataResponse.MetadataResponseBroker {
        $0.nodeID = Int32(id)
        $0.host = "127.0.0.1"
        $0.port = Int32(server.address.port)
      }
    }
    response.topics = names.map { name in
      MetadataResponse.MetadataResponseTopic {
        $0.name = name
        let partitions = cluster.topics[name]
        $0.errorCode = partitions == nil ? ErrorCode.unknownTopicOrPartition.rawValue : 0
        $0.partitions = (partitions ?? []).enumerated().map { index, partition in
          MetadataResponse.MetadataResponsePartition {
            $0.partitionIndex = Int32(index)
            $0.leaderID = partition.leader
            $0.replicaNodes = [partition.leader]
            $0.isrNodes = [partition.leader]
          }
        }
      }
    }
    reply.send(response)
  }

  private func produce(_ request: ProduceRequest, _ reply: Reply) {
    let response = ProduceResponse {
      $0.responses = request.topicData.map { topic in
        ProduceResponse.TopicProduceResponse {
          $0.name = topic.name
          $0.partitionResponses = topic.partitionData.map { entry in
            let leader = cluster.topics[topic.name]?[Int(entry.index)].leader
            var outcome = (error: ErrorCode(reply.code), offset: Int64(-1))
            if leader != id { outcome.error = .notLeaderOrFollower }
            if outcome.error == .none, case .owned(let bytes) = entry.records {
              outcome = cluster.append(topic.name, entry.index, bytes)
            }
            return ProduceResponse.PartitionProduceResponse {
              $0.index = entry.index
              $0.errorCode = outcome.error.rawValue
              $0.baseOffset = outcome.offset
            }
          }
        }
      }
    }
    if request.acks != 0 { reply.send(response) }
  }

  private func fetch(_ request: FetchRequest, _ reply: Reply) {
    var hasData = false
    let response = FetchResponse {
      $0.responses = request.topics.map { topic in
        FetchResponse.FetchableTopicResponse {
          $0.topic = topic.topic
          $0.partitions = topic.partitions.map { entry in
            let data = read(topic.topic, entry, ErrorCode(reply.code))
            if case .owned = data.records { hasData = true }
            if data.errorCode != 0 { hasData = true }
            return data
          }
        }
      }
    }
    if hasData { return reply.send(response) }
    // Like a broker: nothing new, so the answer waits a little.
    let slot = reply.connection.park()
    cluster.loop.schedule(afterMs: min(Int64(request.maxWaitMs), 20)) {
      reply.complete(slot, response)
    }
  }

  private func read(
    _ name: String, _ entry: FetchRequest.FetchPartition, _ code: ErrorCode
  ) -> FetchResponse.PartitionData {
    FetchResponse.PartitionData {
      $0.partitionIndex = entry.partition
      guard let partition = cluster.topics[name]?[Int(entry.partition)] else {
        $0.errorCode = ErrorCode.unknownTopicOrPartition.rawValue
        return
      }
      $0.highWatermark = partition.nextOffset
      $0.abortedTransactions = partition.aborted
      if code != .none {
        $0.errorCode = code.rawValue
      } else if entry.fetchOffset < 0 || entry.fetchOffset > partition.nextOffset {
        $0.errorCode = ErrorCode.offsetOutOfRange.rawValue
      } else if entry.fetchOffset < partition.nextOffset {
        // The batch that holds the offset, whole, and what follows.
        let first = partition.baseOffsets.lastIndex { $0 <= entry.fetchOffset } ?? 0
        $0.records = .owned(Array(partition.batches[first...].joined()))
      } else {
        $0.records = .null
      }
    }
  }

  private func listOffsets(_ request: ListOffsetsRequest, _ reply: Reply) {
    reply.send(
      ListOffsetsResponse {
        $0.topics = request.topics.map { topic in
          ListOffsetsResponse.ListOffsetsTopicResponse {
            $0.name = topic.name
            $0.partitions = topic.partitions.map { entry in
              ListOffsetsResponse.ListOffsetsPartitionResponse {
                let partition = cluster.topics[topic.name]?[Int(entry.partitionIndex)]
                $0.partitionIndex = entry.partitionIndex
                $0.errorCode = reply.code
                $0.offset = entry.timestamp == -2 ? 0 : partition?.nextOffset ?? -1
              }
            }
          }
        }
      })
  }

  private func createTopics(_ request: CreateTopicsRequest, _ reply: Reply) {
    reply.send(
      CreateTopicsResponse {
        $0.topics = request.topics.map { topic in
          var code = ErrorCode(reply.code)
          if code == .none, id != cluster.controller { code = .notController }
          if code == .none, cluster.topics[topic.name] != nil { code = .topicAlreadyExists }
          if code == .none, !request.validateOnly {
            cluster.topics[topic.name] = (0..<Int(max(topic.numPartitions, 1))).map {
              FakePartition(leader: Int32($0 % cluster.servers.count))
            }
          }
          return CreateTopicsResponse.CreatableTopicResult {
            $0.name = topic.name
            $0.errorCode = code.rawValue
            $0.numPartitions = topic.numPartitions
          }
        }
      })
  }

  private func commit(_ request: OffsetCommitRequest, _ reply: Reply) {
    reply.send(
      OffsetCommitResponse {
        $0.topics = request.topics.map { topic in
          OffsetCommitResponse.OffsetCommitResponseTopic {
            $0.name = topic.name
            $0.partitions = topic.partitions.map { entry in
              if reply.code == 0 {
                cluster.committed[TopicPartition(topic.name, entry.partitionIndex)] =
                  entry.committedOffset
              }
              return OffsetCommitResponse.OffsetCommitResponsePartition {
                $0.partitionIndex = entry.partitionIndex
                $0.errorCode = reply.code
              }
            }
          }
        }
      })
  }

  private func offsets(_ request: OffsetFetchRequest, _ reply: Reply) {
    reply.send(
      OffsetFetchResponse {
        $0.errorCode = reply.code
        $0.topics = (request.topics ?? []).map { topic in
          OffsetFetchResponse.OffsetFetchResponseTopic {
            $0.name = topic.name
            $0.partitions = topic.partitionIndexes.map { index in
              OffsetFetchResponse.OffsetFetchResponsePartition {
                $0.partitionIndex = index
                $0.committedOffset = cluster.committed[TopicPartition(topic.name, index)] ?? -1
                $0.metadata = ""
              }
            }
          }
        }
      })
  }

  private func add(_ request: AddPartitionsToTxnRequest, _ reply: Reply) {
    reply.send(
      AddPartitionsToTxnResponse {
        $0.resultsByTopicV3AndBelow = request.v3AndBelowTopics.map { topic in
          AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult {
            $0.name = topic.name
            $0.resultsByPartition = topic.partitions.map { index in
              AddPartitionsToTxnResponse.AddPartitionsToTxnPartitionResult {
                $0.partitionIndex = index
                $0.partitionErrorCode = reply.code
              }
            }
          }
        }
      })
  }
}

/// Where an answer goes.
struct Reply {
  let connection: Connection
  let header: KafkaProtocol.RequestHeader
  let key: ApiKey
  let fault: Fault?

  /// What a scripted error wants the answer to say; 0 for none.
  var code: Int16 {
    if case .error(let code)? = fault { return code.rawValue }
    return 0
  }

  func send<Response: KafkaResponse>(_ response: Response, version: Int16? = nil) {
    switch fault {
    case .doneAndDropped?, .doneAndSilent?: return
    default: break
    }
    write(response, version ?? header.apiVersion, to: &connection.output)
  }

  func complete<Response: KafkaResponse>(_ slot: ReplySlot, _ response: Response) {
    connection.complete(slot) { write(response, header.apiVersion, to: &$0) }
  }

  private func write<Response: KafkaResponse>(
    _ response: Response, _ version: Int16, to writer: inout ByteWriter
  ) {
    let mark = writer.beginFrame()
    KafkaProtocol.ResponseHeader(correlationID: header.correlationID)
      .write(to: &writer, version: key.responseHeaderVersion(version))
    response.write(to: &writer, version: version)
    writer.endFrame(mark)
  }
}
