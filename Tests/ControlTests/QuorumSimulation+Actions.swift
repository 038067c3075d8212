import Control
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension QuorumSimulation {
  /// One thing happens. Weights make a cluster that is mostly well.
  mutating func act() {
    now = now.advanced(milliseconds: Int64.random(in: 1...120, using: &random))
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<38: brokerActs()
    case 38..<58: commit(Int.random(in: 1...4, using: &random))
    case 58..<66: if let number = pick([0, 1, 2]) { catchUp(number, atMost: 5) }
    case 66..<72: proposeISR()
    case 72..<84: administer()
    case 84..<87: changeBrokers()
    case 87..<89: failOver()
    case 89..<91: noticeDeposition()
    default:
      // Ticks come when they were asked for; more of them do no harm.
      for number in controllers.indices { step(number, .tick) }
    }
  }

  // MARK: Brokers

  private mutating func brokerActs() {
    guard let index = pick(Array(brokers.indices)), brokers[index].isRunning else { return }
    let broker = brokers[index]
    brokers[index].position = min(
      committed.count, broker.position + Int.random(in: 0...8, using: &random))
    guard let epoch = broker.epoch else { return register(broker) }
    send(
      BrokerHeartbeatRequest {
        $0.brokerID = broker.id.rawValue
        $0.brokerEpoch = epoch
        $0.currentMetadataOffset =
          broker.position == 0 ? -1 : committed[broker.position - 1].lastOffset
        $0.wantShutDown = broker.wantsShutDown
        $0.offlineLogDirs = broker.offline
      }, .heartbeat(broker.id, incarnation: broker.incarnation))
  }

  private mutating func register(_ broker: SimulatedBroker) {
    let online = broker.directories.filter { !broker.offline.contains($0) }
    send(
      BrokerRegistrationRequest(
        broker: broker.id.rawValue, incarnation: broker.incarnation, directories: online),
      .registration(broker.id, incarnation: broker.incarnation))
  }

  private mutating func changeBrokers() {
    guard let index = pick(Array(brokers.indices)) else { return }
    if !brokers[index].isRunning {
      start(index)
    } else if chance(40) {
      brokers[index].isRunning = false
    } else if chance(40) {
      brokers[index].wantsShutDown = true
    } else if chance(30), brokers[index].offline.isEmpty {
      brokers[index].offline = [brokers[index].directories[1]]
    } else {
      // Killed and started again before anybody noticed.
      start(index)
    }
  }

  mutating func start(_ index: Int) {
    brokers[index].isRunning = true
    brokers[index].incarnation += 1
    brokers[index].epoch = nil
    brokers[index].wantsShutDown = false
    brokers[index].offline = []
  }

  /// A leader, as far as it knows, proposes an ISR, and may be behind the times.
  private mutating func proposeISR() {
    let image = invariants.image
    guard let name = pick(image.topics.sortedNames), let topic = image.topics[name],
      let number = pick(topic.partitions.numbers), let partition = topic.partitions[number],
      partition.hasLeader
    else { return }
    var members = partition.isr
    if chance(50) {
      let outside = partition.replicas.filter { !members.contains($0) }
      if let more = pick(outside) { members.append(more) }
    } else if let less = pick(members), less != partition.leader {
      members.removeAll { $0 == less }
    }
    let isBehind = chance(10)
    let sender = brokers[Int(partition.leader.rawValue) - 1]
    send(
      AlterPartitionRequest { request in
        request.brokerID = partition.leader.rawValue
        request.brokerEpoch = sender.epoch ?? -1
        request.topics = [
          .init { data in
            data.topicID = topic.id
            data.partitions = [
              .init {
                $0.partitionIndex = number
                $0.leaderEpoch = partition.leaderEpoch.rawValue
                $0.partitionEpoch = partition.partitionEpoch.rawValue - (isBehind ? 1 : 0)
                $0.newIsrWithEpochs = members.map { id in
                  .init {
                    $0.brokerID = id.rawValue
                    $0.brokerEpoch = image.brokers[id]?.epoch.rawValue ?? -1
                  }
                }
              }
            ]
          }
        ]
      })
  }

  // MARK: People

  private mutating func administer() {
    let names = invariants.image.topics.sortedNames
    switch Int.random(in: 0..<9, using: &random) {
    case 0, 1: createTopic()
    case 2: if names.count > 4, let name = pick(names) { delete(name) }
    case 3: if let name = pick(names) { grow(name) }
    case 4: if let name = pick(names) { reassign(name) }
    case 5:
      let type: Int8 = chance(80) ? 0 : 1
      send(
        ElectLeadersRequest {
          $0.electionType = type
          $0.topicPartitions = nil
        })
    case 6: allocate()
    case 7: if let name = pick(names) { allowUnclean(name) }
    default:
      if let index = pick(Array(brokers.indices)), !brokers[index].isRunning {
        let id = brokers[index].id.rawValue
        send(UnregisterBrokerRequest { $0.brokerID = id })
      }
    }
  }

  private mutating func createTopic() {
    let name = "t\(Int.random(in: 0..<12, using: &random))"
    let partitions = Int32.random(in: 1...4, using: &random)
    let factor = Int16.random(in: 1...3, using: &random)
    send(
      CreateTopicsRequest {
        $0.topics = [
          .init {
            $0.name = name
            $0.numPartitions = partitions
            $0.replicationFactor = factor
          }
        ]
      })
  }

  private mutating func delete(_ name: String) {
    send(DeleteTopicsRequest { $0.topics = [.init { $0.name = name }] })
  }

  private mutating func grow(_ name: String) {
    let count = Int32((invariants.image.topics[name]?.partitions.count ?? 0) + 1)
    send(
      CreatePartitionsRequest {
        $0.topics = [
          .init {
            $0.name = name
            $0.count = count
            $0.assignments = nil
          }
        ]
      })
  }

  private mutating func reassign(_ name: String) {
    let isCancelled = chance(25)
    var target = brokers.map(\.id.rawValue)
    target.shuffle(using: &random)
    target.removeLast(Int.random(in: 2...4, using: &random))
    send(
      AlterPartitionReassignmentsRequest {
        $0.topics = [
          .init {
            $0.name = name
            $0.partitions = [
              .init {
                $0.partitionIndex = 0
                $0.replicas = isCancelled ? nil : target
              }
            ]
          }
        ]
      })
  }

  private mutating func allocate() {
    guard let broker = pick(brokers), let epoch = broker.epoch else { return }
    send(
      AllocateProducerIdsRequest {
        $0.brokerID = broker.id.rawValue
        $0.brokerEpoch = epoch
      })
  }

  private mutating func allowUnclean(_ name: String) {
    let value = chance(30) ? "true" : "false"
    send(
      IncrementalAlterConfigsRequest {
        $0.resources = [
          .init {
            $0.resourceType = 2
            $0.resourceName = name
            $0.configs = [
              .init {
                $0.name = "unclean.leader.election.enable"
                $0.value = value
              }
            ]
          }
        ]
      })
  }

  // MARK: Recovery

  /// Everybody is well again: after a while every broker is unfenced, every partition is led, and
  /// all controllers know the same.
  mutating func recover() {
    noticeDeposition()
    for index in brokers.indices { start(index) }
    for _ in 0..<60 {
      now = now.advanced(milliseconds: 500)
      for number in controllers.indices { step(number, .tick) }
      for index in brokers.indices {
        brokers[index].position = committed.count
        let broker = brokers[index]
        guard let epoch = broker.epoch else {
          register(broker)
          continue
        }
        let offset = committed.last?.lastOffset ?? -1
        send(
          BrokerHeartbeatRequest {
            $0.brokerID = broker.id.rawValue
            $0.brokerEpoch = epoch
            $0.currentMetadataOffset = offset
          }, .heartbeat(broker.id, incarnation: broker.incarnation))
      }
      commit(uncommitted.count)
    }
    for number in controllers.indices { catchUp(number) }
  }
}
