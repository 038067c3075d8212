import Bytes
import Foundation
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Records
import Testing
import Values

@testable import BrokerNode

/// Transactions through a whole broker: sockets, handlers, shards, markers, and the logs beneath.
@Suite(.serialized) struct TransactionHostTests {
  /// A controller that only gives out producer ids.
  private final class ProducerIDs: ControllerChannel {
    func call<R: KafkaRequest>(
      _ request: R, versions: ClosedRange<Int16>,
      _ completion: @escaping @Sendable (Result<R.Response, PeerError>) -> Void
    ) {
      let block = AllocateProducerIdsResponse {
        $0.producerIDStart = 1_000
        $0.producerIDLen = 1_000
      }
      if let block = block as? R.Response { completion(.success(block)) }
    }

    func close() {}
  }

  func broker(_ settings: [String: String] = [:], folder: URL? = nil) throws -> LoneBroker {
    let all = ["transaction.state.log.num.partitions": "2"].merging(settings) { $1 }
    let broker = try LoneBroker(folder: folder, settings: all, channel: ProducerIDs())
    broker.assign("t", 0..<2)
    broker.assign(InternalTopics.transactions, 0..<2)
    broker.assign(InternalTopics.offsets, 0..<3)
    return broker
  }

  /// Asks until the coordinator has loaded.
  func begin(
    _ client: BlockingClient, as expected: (id: Int64, epoch: Int16) = (-1, -1)
  ) throws -> InitProducerIdResponse {
    let request = InitProducerIdRequest {
      $0.transactionalID = "x"
      $0.transactionTimeoutMs = 10_000
      $0.producerID = expected.id
      $0.producerEpoch = expected.epoch
    }
    let again: [ErrorCode] = [
      .coordinatorLoadInProgress, .concurrentTransactions, .notCoordinator,
    ]
    for _ in 0..<200 {
      let answer = try client.ask(request, version: 4)
      if !again.contains(ErrorCode(answer.errorCode)) { return answer }
      usleep(20_000)
    }
    throw BlockingClient.Failed(what: "no producer id")
  }

  func add(
    _ client: BlockingClient, _ producer: InitProducerIdResponse, _ topic: String = "t",
    version: Int16 = 3
  ) throws -> [Int16] {
    let answer = try client.ask(
      AddPartitionsToTxnRequest {
        $0.v3AndBelowTransactionalID = "x"
        $0.v3AndBelowProducerID = producer.producerID
        $0.v3AndBelowProducerEpoch = producer.producerEpoch
        $0.v3AndBelowTopics = [
          .init {
            $0.name = topic
            $0.partitions = [0]
          }
        ]
      }, version: version)
    return answer.resultsByTopicV3AndBelow.flatMap(\.resultsByPartition).map(\.partitionErrorCode)
  }

  func send(
    _ client: BlockingClient, _ producer: InitProducerIdResponse, sequence: Int32,
    partition: Int32 = 0
  ) throws -> Int16 {
    var options = BatchOptions()
    options.producerID = producer.producerID
    options.producerEpoch = producer.producerEpoch
    options.baseSequence = sequence
    options.isTransactional = true
    var builder = BatchBuilder(options)
    builder.append(timestamp: 1_000, key: [1], value: [2])
    var output = ByteWriter()
    try builder.finish(into: &output)
    var request = produce(output.array(), to: "t", partition)
    request.transactionalID = "x"
    let answer = try client.ask(request, version: 9)
    return answer.responses[0].partitionResponses[0].errorCode
  }

  func end(
    _ client: BlockingClient, _ producer: InitProducerIdResponse, commit: Bool, version: Int16 = 3
  ) throws -> Int16 {
    try client.ask(
      EndTxnRequest {
        $0.transactionalID = "x"
        $0.producerID = producer.producerID
        $0.producerEpoch = producer.producerEpoch
        $0.committed = commit
      }, version: version
    ).errorCode
  }

  func state(_ client: BlockingClient) throws -> String {
    try client.ask(DescribeTransactionsRequest { $0.transactionalIDs = ["x"] }, version: 0)
      .transactionStates[0].transactionState
  }

  /// Asks until a transaction has the state.
  func wait(_ client: BlockingClient, for wanted: String) throws {
    for _ in 0..<200 {
      if try state(client) == wanted { return }
      usleep(20_000)
    }
    Issue.record("not \(wanted) but \(try state(client))")
  }

  /// The last stable offset of t-0, by asking for the end as a reader of committed data.
  func stableEnd(_ client: BlockingClient) throws -> Int64 {
    let answer = try client.ask(
      ListOffsetsRequest {
        $0.replicaID = -1
        $0.isolationLevel = 1
        $0.topics = [
          .init {
            $0.name = "t"
            $0.partitions = [.init { $0.timestamp = -1 }]
          }
        ]
      }, version: 5)
    return answer.topics[0].partitions[0].offset
  }

  @Test func onlyWhatTheCoordinatorKnowsOfIsAppended() throws {
    let broker = try broker()
    defer { broker.stop() }
    let client = try BlockingClient(port: broker.port)
    let producer = try begin(client)
    #expect(producer.errorCode == 0 && producer.producerID == 1_000 && producer.producerEpoch == 0)
    #expect(try send(client, producer, sequence: 0) == ErrorCode.invalidTxnState.rawValue)
    #expect(
      try add(client, producer, InternalTopics.offsets)
        == [ErrorCode.topicAuthorizationFailed.rawValue])
    #expect(
      try add(client, producer, "missing") == [ErrorCode.unknownTopicOrPartition.rawValue])
    #expect(try add(client, producer) == [0])
    #expect(try send(client, producer, sequence: 0) == 0)
    #expect(try send(client, producer, sequence: 1) == 0)
    #expect(
      try send(client, producer, sequence: 0, partition: 1) == ErrorCode.invalidTxnState.rawValue)
    #expect(try stableEnd(client) == 0)
    #expect(try end(client, producer, commit: true) == 0)
    try wait(client, for: "CompleteCommit")
    #expect(try stableEnd(client) == 3)
    // What belongs to the ended transaction would begin one that nobody ends.
    #expect(try send(client, producer, sequence: 2) == ErrorCode.invalidTxnState.rawValue)
    #expect(try stableEnd(client) == 3)
  }

  @Test func withoutVerificationLeadersTrustProducers() throws {
    let broker = try broker(["transaction.partition.verification.enable": "false"])
    defer { broker.stop() }
    let client = try BlockingClient(port: broker.port)
    #expect(try send(client, try begin(client), sequence: 0) == 0)
  }

  @Test func oldClientsKnowFencedProducersByTheirEpoch() throws {
    let broker = try broker()
    defer { broker.stop() }
    let client = try BlockingClient(port: broker.port)
    let old = try begin(client)
    #expect(try begin(client).producerEpoch == 1)
    let (fenced, epoch) = (
      ErrorCode.producerFenced.rawValue, ErrorCode.invalidProducerEpoch.rawValue
    )
    #expect(try end(client, old, commit: true, version: 1) == epoch)
    #expect(try end(client, old, commit: true, version: 2) == fenced)
    #expect(try add(client, old, version: 1) == [epoch])
    #expect(try add(client, old, version: 2) == [fenced])
    #expect(try begin(client, as: (old.producerID, 0)).errorCode == fenced)
    #expect(
      try begin(client, as: (old.producerID, -1)).errorCode == ErrorCode.invalidRequest.rawValue)
  }

  @Test func anOpenTransactionSurvivesARestart() throws {
    let first = try broker()
    let producer: InitProducerIdResponse
    do {
      let client = try BlockingClient(port: first.port)
      producer = try begin(client)
      #expect(try add(client, producer) == [0])
      #expect(try send(client, producer, sequence: 0) == 0)
    }
    let again = try broker(folder: try first.stopKeepingLogs())
    defer { again.stop() }
    let client = try BlockingClient(port: again.port)
    try wait(client, for: "Ongoing")
    #expect(try stableEnd(client) == 0)
    #expect(try send(client, producer, sequence: 1) == 0)
    let listed = try client.ask(
      ListTransactionsRequest { $0.stateFilters = ["Ongoing", "Nonsense"] }, version: 1)
    #expect(listed.transactionStates.map(\.transactionalID) == ["x"])
    #expect(listed.unknownStateFilters == ["Nonsense"])
    #expect(try end(client, producer, commit: false) == 0)
    try wait(client, for: "CompleteAbort")
    #expect(try stableEnd(client) == 3)
  }

  @Test func markersOfOlderCoordinatorsAreFenced() throws {
    let broker = try broker(["transaction.partition.verification.enable": "false"])
    defer { broker.stop() }
    let client = try BlockingClient(port: broker.port)
    let producer = try begin(client)
    func mark(_ coordinator: Int32) throws -> Int16 {
      let answer = try client.ask(
        WriteTxnMarkersRequest {
          $0.markers = [
            .init {
              $0.producerID = producer.producerID
              $0.producerEpoch = producer.producerEpoch
              $0.coordinatorEpoch = coordinator
              $0.topics = [
                .init {
                  $0.name = "t"
                  $0.partitionIndexes = [0]
                }
              ]
            }
          ]
        }, version: 1)
      return answer.markers[0].topics[0].partitions[0].errorCode
    }
    // Nobody has told the coordinator: this transaction hangs until somebody ends it.
    #expect(try send(client, producer, sequence: 0) == 0)
    #expect(try stableEnd(client) == 0)
    #expect(try mark(7) == 0)
    #expect(try stableEnd(client) == 2)
    #expect(try mark(6) == ErrorCode.transactionCoordinatorFenced.rawValue)
    #expect(try mark(7) == 0)
  }

  @Test func offsetsCountWhenTheTransactionIsCommitted() throws {
    let broker = try broker()
    defer { broker.stop() }
    let client = try BlockingClient(port: broker.port)
    let producer = try begin(client)
    func commit(_ offset: Int64) throws -> Int16 {
      let answer = try client.ask(
        TxnOffsetCommitRequest {
          $0.transactionalID = "x"
          $0.groupID = "g"
          $0.producerID = producer.producerID
          $0.producerEpoch = producer.producerEpoch
          $0.topics = [
            .init {
              $0.name = "t"
              $0.partitions = [.init { $0.committedOffset = offset }]
            }
          ]
        }, version: 3)
      return answer.topics[0].partitions[0].errorCode
    }
    func fetch() throws -> (offset: Int64, error: Int16) {
      let answer = try client.ask(
        OffsetFetchRequest {
          $0.groupID = "g"
          $0.requireStable = true
          $0.topics = [
            .init {
              $0.name = "t"
              $0.partitionIndexes = [0]
            }
          ]
        }, version: 7)
      let partition = answer.topics[0].partitions[0]
      return (partition.committedOffset, partition.errorCode)
    }
    func join() throws -> Int16 {
      try client.ask(
        AddOffsetsToTxnRequest {
          $0.transactionalID = "x"
          $0.groupID = "g"
          $0.producerID = producer.producerID
          $0.producerEpoch = producer.producerEpoch
        }, version: 3
      ).errorCode
    }
    #expect(try commit(5) == ErrorCode.invalidTxnState.rawValue)
    #expect(try join() == 0)
    #expect(try commit(5) == 0)
    #expect(try fetch() == (-1, ErrorCode.unstableOffsetCommit.rawValue))
    #expect(try end(client, producer, commit: true) == 0)
    try wait(client, for: "CompleteCommit")
    #expect(try fetch() == (5, 0))
    #expect(try join() == 0)
    #expect(try commit(9) == 0)
    #expect(try end(client, producer, commit: false) == 0)
    try wait(client, for: "CompleteAbort")
    #expect(try fetch() == (5, 0))
  }
}
