import Bytes
import Control
import Foundation
import KafkaMessages
import KafkaProtocol
import Metadata
import TestKit
import Testing
import Values

/// The controller's requests, compared with frames that a real Kafka 3.9 controller sent: what is
/// read from a frame, put into an image and built again is the same frame, but for the order of
/// topics, which Kafka leaves to its hash maps.
@Suite struct FrameGoldenTests {
  struct Frame {
    var api: Int16
    var version: Int16
    var bytes: [UInt8]
  }

  static func requests(_ fixture: String, api: ApiKey) throws -> [Frame] {
    try Fixtures.data(fixture).split(separator: UInt8(ascii: "\n")).compactMap { line in
      let json = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any]
      guard let json, json["dir"] as? String == "req",
        let key = json["api_key"] as? Int, key == Int(api.rawValue),
        let version = json["api_version"] as? Int, let hex = json["hex"] as? String
      else { return nil }
      var bytes: [UInt8] = []
      var digits = hex[...]
      while digits.count >= 2 {
        bytes.append(try #require(UInt8(digits.prefix(2), radix: 16)))
        digits = digits.dropFirst(2)
      }
      return Frame(api: Int16(key), version: Int16(version), bytes: bytes)
    }
  }

  static func decode<R: KafkaRequest>(_ type: R.Type, _ frame: Frame) throws -> R {
    var reader = ByteReader(frame.bytes.span.bytes)
    _ = try RequestHeader(from: &reader)
    return try R(from: &reader, version: frame.version)
  }

  static func bytes(_ message: some KafkaMessage, _ version: Int16) -> [UInt8] {
    var writer = ByteWriter()
    message.write(to: &writer, version: version)
    return writer.array()
  }

  static func context(
    _ image: MetadataImage, controller: Int32, epoch: Int32, version: InterBrokerVersion
  ) -> BrokerRequestBatch.Context {
    BrokerRequestBatch.Context(
      image: image, term: ControllerTerm(epoch: ControllerEpoch(epoch), epochVersion: 1),
      controllerID: BrokerID(controller), version: version, listener: "INTERNAL")
  }

  static let recordings: [(fixture: String, version: InterBrokerVersion)] = [
    ("frames-zookeeper-mode.jsonl.gz", .latest),
    ("frames-zookeeper-mode-ibp26.jsonl.gz", InterBrokerVersion(2, 6)),
  ]

  @Test func versionsFollowTheClusters() throws {
    for (fixture, version) in Self.recordings {
      for (api, expected) in [
        (ApiKey.leaderAndIsr, version.leaderAndIsrVersion),
        (.stopReplica, version.stopReplicaVersion),
        (.updateMetadata, version.updateMetadataVersion),
      ] {
        for frame in try Self.requests(fixture, api: api) {
          #expect(frame.version == expected, "\(api) in \(fixture)")
        }
      }
    }
    #expect(InterBrokerVersion("2.8-IV1") == InterBrokerVersion(2, 8, 1))
    #expect(InterBrokerVersion("3.7") == InterBrokerVersion(3, 7, 4))
    #expect(InterBrokerVersion("3.9-IV1") == nil)
    #expect(InterBrokerVersion("0.11.0") == nil)
  }

  @Test func leaderAndIsr() throws {
    var count = 0
    for (fixture, version) in Self.recordings {
      for frame in try Self.requests(fixture, api: .leaderAndIsr) {
        var recorded = try Self.decode(LeaderAndIsrRequest.self, frame)
        var image = MetadataImage()
        var batch = BrokerRequestBatch()
        // Whom it went to does not stand in it; any broker of that epoch will do.
        let target = BrokerID(99)
        image.apply(
          .registerBroker(
            BrokerImage(id: target, epoch: BrokerEpoch(recorded.brokerEpoch)).record))
        for leader in recorded.liveLeaders {
          let endpoint = Endpoint(
            listener: "INTERNAL", host: leader.hostName, port: UInt16(leader.port),
            securityProtocol: .plaintext)
          image.apply(
            .registerBroker(
              BrokerImage(
                id: BrokerID(leader.brokerID), epoch: BrokerEpoch(1), endpoints: [endpoint]
              ).record))
        }
        var writtenBy: [TopicPartition: ControllerEpoch] = [:]
        for (index, topic) in recorded.topicStates.enumerated() {
          let id = topic.topicID.isZero ? Uuid(high: 9, low: UInt64(index)) : topic.topicID
          image.apply(
            .topic(
              .init {
                $0.name = topic.topicName
                $0.topicID = id
              }))
          for state in topic.partitionStates {
            let at = TopicPartition(topic.topicName, state.partitionIndex)
            writtenBy[at] = ControllerEpoch(state.controllerEpoch)
            image.apply(
              .partition(
                .init {
                  $0.topicID = id
                  $0.partitionID = state.partitionIndex
                  $0.leader = state.leader
                  $0.leaderEpoch = state.leaderEpoch
                  $0.isr = state.isr
                  $0.partitionEpoch = state.partitionEpoch
                  $0.replicas = state.replicas
                  $0.addingReplicas = state.addingReplicas
                  $0.removingReplicas = state.removingReplicas
                  $0.leaderRecoveryState = state.leaderRecoveryState
                }))
            batch.addLeaderAndIsr(at, to: [target], isNew: state.isNew)
          }
        }
        var context = Self.context(
          image, controller: recorded.controllerID, epoch: recorded.controllerEpoch,
          version: version)
        context.writtenBy = writtenBy
        let built = try #require(batch.requests(context).first)
        guard case .leaderAndIsr(let request) = built.body else { continue }
        recorded.topicStates.sort { $0.topicName < $1.topicName }
        for index in recorded.topicStates.indices {
          recorded.topicStates[index].partitionStates.sort { $0.partitionIndex < $1.partitionIndex }
        }
        recorded.liveLeaders.sort { $0.brokerID < $1.brokerID }
        #expect(Self.bytes(request, built.version) == Self.bytes(recorded, frame.version))
        count += 1
      }
    }
    #expect(count > 5)
  }

  @Test func updateMetadata() throws {
    var count = 0
    for (fixture, version) in Self.recordings {
      for frame in try Self.requests(fixture, api: .updateMetadata) {
        var recorded = try Self.decode(UpdateMetadataRequest.self, frame)
        var image = MetadataImage()
        // Listed as live, and yet its replicas are offline: it was shutting down.
        let offline = Set(
          recorded.topicStates.flatMap { $0.partitionStates.flatMap(\.offlineReplicas) })
        for broker in recorded.liveBrokers {
          var registered = BrokerImage(
            id: BrokerID(broker.id), epoch: BrokerEpoch(recorded.brokerEpoch))
          registered.rack = broker.rack
          registered.isInControlledShutdown = offline.contains(broker.id)
          registered.endpoints = broker.endpoints.map {
            Endpoint(
              listener: $0.listener, host: $0.host, port: UInt16($0.port),
              securityProtocol: .init(rawValue: $0.securityProtocol) ?? .plaintext)
          }
          image.apply(.registerBroker(registered.record))
        }
        var writtenBy: [TopicPartition: ControllerEpoch] = [:]
        var leaving: Set<String> = []
        for (index, topic) in recorded.topicStates.enumerated() {
          let id = topic.topicID.isZero ? Uuid(high: 9, low: UInt64(index)) : topic.topicID
          image.apply(
            .topic(
              .init {
                $0.name = topic.topicName
                $0.topicID = id
              }))
          for state in topic.partitionStates {
            if state.leader == -2 { leaving.insert(topic.topicName) }
            writtenBy[TopicPartition(topic.topicName, state.partitionIndex)] = ControllerEpoch(
              state.controllerEpoch)
            image.apply(
              .partition(
                .init {
                  $0.topicID = id
                  $0.partitionID = state.partitionIndex
                  $0.leader = state.leader
                  $0.leaderEpoch = state.leaderEpoch
                  $0.isr = state.isr
                  $0.partitionEpoch = state.zkVersion
                  $0.replicas = state.replicas
                }))
          }
        }
        var batch = BrokerRequestBatch()
        let partitions = writtenBy.keys
        let target = try #require(image.brokers.all.first).id
        batch.addUpdateMetadata(Array(partitions), to: [target])
        var context = Self.context(
          image, controller: recorded.controllerID, epoch: recorded.controllerEpoch,
          version: version)
        context.writtenBy = writtenBy
        context.topicsBeingDeleted = leaving
        let built = try #require(batch.requests(context).first)
        guard case .updateMetadata(let request) = built.body else { continue }
        recorded.topicStates.sort { $0.topicName < $1.topicName }
        for index in recorded.topicStates.indices {
          recorded.topicStates[index].partitionStates.sort { $0.partitionIndex < $1.partitionIndex }
        }
        recorded.liveBrokers.sort { $0.id < $1.id }
        #expect(Self.bytes(request, built.version) == Self.bytes(recorded, frame.version))
        count += 1
      }
    }
    #expect(count > 5)
  }

  @Test func stopReplica() throws {
    var count = 0
    for (fixture, version) in Self.recordings {
      for frame in try Self.requests(fixture, api: .stopReplica) {
        var recorded = try Self.decode(StopReplicaRequest.self, frame)
        var image = MetadataImage()
        let target = BrokerID(99)
        image.apply(
          .registerBroker(
            BrokerImage(id: target, epoch: BrokerEpoch(recorded.brokerEpoch)).record))
        var batch = BrokerRequestBatch()
        var leaving: Set<String> = []
        for (index, topic) in recorded.topicStates.enumerated() {
          image.apply(
            .topic(
              .init {
                $0.name = topic.topicName
                $0.topicID = Uuid(high: 9, low: UInt64(index))
              }))
          for state in topic.partitionStates {
            if state.leaderEpoch == -2 { leaving.insert(topic.topicName) }
            image.apply(
              .partition(
                .init {
                  $0.topicID = Uuid(high: 9, low: UInt64(index))
                  $0.partitionID = state.partitionIndex
                  $0.leaderEpoch = state.leaderEpoch
                }))
            batch.addStopReplica(
              TopicPartition(topic.topicName, state.partitionIndex), to: target,
              delete: state.deletePartition)
          }
        }
        var context = Self.context(
          image, controller: recorded.controllerID, epoch: recorded.controllerEpoch,
          version: version)
        context.topicsBeingDeleted = leaving
        let built = try #require(batch.requests(context).first)
        guard case .stopReplica(let request) = built.body else { continue }
        recorded.topicStates.sort { $0.topicName < $1.topicName }
        for index in recorded.topicStates.indices {
          recorded.topicStates[index].partitionStates.sort { $0.partitionIndex < $1.partitionIndex }
        }
        #expect(Self.bytes(request, built.version) == Self.bytes(recorded, frame.version))
        count += 1
      }
    }
    #expect(count > 3)
  }
}
