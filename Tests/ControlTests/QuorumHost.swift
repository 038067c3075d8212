import Bytes
import Control
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Testing
import Values

/// Runs one quorum controller over a log in memory, as a node runs it over Raft.
///
/// What is appended is written to bytes and read again, so that a field that the record's version
/// does not have is lost here as it is on disk.
struct QuorumHost {
  var machine: QuorumController
  /// By offset; nil for a control record. What is not committed yet is at the end.
  var log: [MetadataRecord?] = []
  var versions: [Int16] = []
  /// Everything before it has been passed as committed.
  var committedEnd = 0
  var epoch: Int32 = 0
  var now = Instant(milliseconds: 1_000_000)
  var wallTime: Int64 = 1_700_000_000_000
  var responses: [Int: any KafkaResponse] = [:]
  var lines: [String] = []
  var wakeAt: Instant = .distantFuture
  var resignations: [String] = []
  /// Whether every append is committed at once.
  var commitsAtOnce = true
  private var nextRequest = 0

  init(_ options: QuorumControllerOptions = .test, seed: UInt64 = 1) {
    machine = QuorumController(options: options, seed: seed)
  }

  var image: MetadataImage { machine.image }

  /// Appended records, without control records.
  var records: [MetadataRecord] { log.compactMap { $0 } }

  mutating func step(_ event: QuorumController.Event) {
    var effects: [QuorumController.Effect] = []
    machine.step(
      event, at: now, wallTime: WallTime(milliseconds: wallTime), into: &effects)
    var appended: [QuorumController.Event] = []
    for effect in effects {
      switch effect {
      case .append(let token, let batch):
        #expect(!batch.isEmpty && batch.count <= QuorumController.maximumRecords)
        for record in batch {
          log.append(Self.throughBytes(record))
          versions.append(record.version)
        }
        appended.append(.appended(token: token, lastOffset: Offset(log.count - 1)))
      case .respond(let id, let response):
        #expect(responses[id] == nil, "answered twice")
        responses[id] = response
      case .wakeAt(let instant): wakeAt = instant
      case .resign(let reason): resignations.append(reason)
      case .log(let line): lines.append(line)
      }
    }
    for event in appended { step(event) }
    if commitsAtOnce, !appended.isEmpty { commit() }
  }

  private static func throughBytes(_ record: VersionedRecord) -> MetadataRecord {
    var writer = ByteWriter()
    record.record.write(to: &writer, version: record.version)
    var reader = ByteReader(writer.span)
    do {
      return try MetadataRecord.read(from: &reader).record
    } catch {
      Issue.record("a record that was written cannot be read: \(error)")
      return record.record
    }
  }

  /// Passes what is not committed yet as one batch, or only so many records of it.
  mutating func commit(_ count: Int? = nil) {
    let end = min(log.count, committedEnd + (count ?? log.count))
    guard end > committedEnd else { return }
    let batch = log[committedEnd..<end].compactMap { $0 }
    // A batch holds control records or others, never both.
    if batch.count < end - committedEnd {
      while committedEnd < end {
        let record = log[committedEnd]
        committedEnd += 1
        step(
          .committed(
            record.map { [$0] } ?? [], lastOffset: Offset(committedEnd - 1), epoch: epoch))
      }
      return
    }
    committedEnd = end
    step(.committed(batch, lastOffset: Offset(end - 1), epoch: epoch))
  }

  /// Wins an election: the leader's first record is Raft's own.
  mutating func lead() {
    epoch += 1
    log.append(nil)
    versions.append(0)
    commit()
    step(.becameLeader(epoch: epoch, nextOffset: Offset(log.count)))
  }

  /// Lets time pass in steps, with a tick whenever one was asked for.
  mutating func wait(milliseconds: Int64) {
    let end = now.advanced(milliseconds: milliseconds)
    while now < end {
      let next = min(end, max(wakeAt, now.advanced(milliseconds: 1)))
      wallTime += next.milliseconds(since: now)
      now = next
      if wakeAt <= now {
        wakeAt = .distantFuture
        step(.tick)
      }
    }
  }

  /// Asks and returns the request's id; the answer may come later.
  mutating func send(
    _ request: some ControllerRequest, version: Int16? = nil, principal: Principal = .anonymous
  ) -> Int {
    nextRequest += 1
    let version = version ?? type(of: request).validVersions.upperBound
    step(
      .request(
        id: nextRequest, request, RequestContext(version: version, principal: principal)))
    return nextRequest
  }

  /// Asks and returns the answer, which must have come.
  mutating func ask<R: ControllerRequest>(
    _ request: R, version: Int16? = nil, principal: Principal = .anonymous
  ) throws -> R.Response {
    let id = send(request, version: version, principal: principal)
    return try #require(responses[id] as? R.Response)
  }
}

extension QuorumControllerOptions {
  /// A node with the id 3000, and 3.9-IV0 for a new log.
  static var test: QuorumControllerOptions { test(level: .latestProduction) }

  static func test(level: MetadataVersion) -> QuorumControllerOptions {
    var options = QuorumControllerOptions(
      nodeID: BrokerID(3000), clusterID: "cluster",
      bootstrap: [
        .featureLevel(
          .init {
            $0.name = MetadataVersion.featureName
            $0.featureLevel = level.rawValue
          })
      ])
    options.controllerIDs = [BrokerID(3000)]
    options.maxIdleIntervalMs = 0
    return options
  }
}

extension BrokerRegistrationRequest {
  /// One directory and one listener; incarnations tell one life from the next.
  init(
    broker: Int32, incarnation: UInt64 = 1, directories: [Uuid]? = nil, rack: String? = nil,
    levels: ClosedRange<Int16> = 1...21
  ) {
    self.init()
    brokerID = broker
    clusterID = "cluster"
    incarnationID = Uuid(high: UInt64(broker), low: incarnation)
    listeners = [
      .init {
        $0.name = "PLAINTEXT"
        $0.host = "localhost"
        $0.port = UInt16(9000 + broker)
      }
    ]
    features = [
      .init {
        $0.name = MetadataVersion.featureName
        $0.minSupportedVersion = levels.lowerBound
        $0.maxSupportedVersion = levels.upperBound
      }
    ]
    self.rack = rack
    logDirs = directories ?? [Uuid(high: 0xd1, low: UInt64(broker) + 1000)]
  }
}

extension QuorumHost {
  @discardableResult
  mutating func register(
    _ broker: Int32, incarnation: UInt64 = 1, directories: [Uuid]? = nil
  ) throws -> Int64 {
    let response = try ask(
      BrokerRegistrationRequest(
        broker: broker, incarnation: incarnation, directories: directories))
    #expect(response.errorCode == 0)
    return response.brokerEpoch
  }

  mutating func heartbeat(
    _ broker: Int32, offset: Offset? = nil, fill: (inout BrokerHeartbeatRequest) -> Void = { _ in }
  ) throws -> BrokerHeartbeatResponse {
    var request = BrokerHeartbeatRequest()
    request.brokerID = broker
    request.brokerEpoch = image.brokers[BrokerID(broker)]?.epoch.rawValue ?? -1
    request.currentMetadataOffset = offset ?? Offset(log.count - 1)
    fill(&request)
    return try ask(request)
  }

  /// Registered, caught up and unfenced brokers.
  mutating func start(brokers: ClosedRange<Int32>) throws {
    for broker in brokers {
      try register(broker)
      #expect(try heartbeat(broker).isFenced == false)
    }
  }

  @discardableResult
  mutating func create(_ name: String, _ replicas: [[Int32]]) throws -> Uuid {
    var request = CreateTopicsRequest()
    request.topics = [
      .init { topic in
        topic.name = name
        topic.numPartitions = -1
        topic.replicationFactor = -1
        topic.assignments = replicas.enumerated().map { number, brokers in
          .init {
            $0.partitionIndex = Int32(number)
            $0.brokerIDs = brokers
          }
        }
      }
    ]
    let result = try #require(try ask(request).topics.first)
    #expect(result.errorCode == 0, "\(result.errorMessage ?? "")")
    return result.topicID
  }

  func partition(_ name: String, _ number: Int32 = 0) throws -> PartitionImage {
    try #require(image.topics.partition(name, number))
  }

  /// A leader's proposal for its partition, from the state that is in force.
  func proposal(_ name: String, _ number: Int32 = 0, isr: [Int32]) throws -> AlterPartitionRequest {
    let topic = try #require(image.topics[name])
    let partition = try partition(name, number)
    return AlterPartitionRequest { request in
      request.brokerID = partition.leader.rawValue
      request.brokerEpoch = image.brokers[partition.leader]?.epoch.rawValue ?? -1
      request.topics = [
        .init { data in
          data.topicID = topic.id
          data.partitions = [
            .init {
              $0.partitionIndex = number
              $0.leaderEpoch = partition.leaderEpoch.rawValue
              $0.partitionEpoch = partition.partitionEpoch.rawValue
              $0.newIsrWithEpochs = isr.map { id in
                .init {
                  $0.brokerID = id
                  $0.brokerEpoch = image.brokers[BrokerID(id)]?.epoch.rawValue ?? -1
                }
              }
            }
          ]
        }
      ]
    }
  }

  /// Proposes and returns the answer for the one partition.
  mutating func propose(
    _ name: String, _ number: Int32 = 0, isr: [Int32], version: Int16 = 3
  ) throws -> AlterPartitionResponse.PartitionData {
    let response = try ask(try proposal(name, number, isr: isr), version: version)
    #expect(response.errorCode == 0)
    return try #require(response.topics.first?.partitions.first)
  }
}
