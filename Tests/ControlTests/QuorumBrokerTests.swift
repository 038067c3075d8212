import Control
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Testing
import Values

@Suite struct QuorumBrokerTests {
  private func makeHost(level: Int16 = 21) -> QuorumHost {
    var options = QuorumControllerOptions.test(level: MetadataVersion(level))
    options.areUnstableFeaturesEnabled = level > 21
    var host = QuorumHost(options)
    host.lead()
    return host
  }

  @Test func registrationsAreChecked() throws {
    var host = makeHost()
    func code(_ change: (inout BrokerRegistrationRequest) -> Void) throws -> ErrorCode {
      var request = BrokerRegistrationRequest(broker: 1)
      change(&request)
      return ErrorCode(try host.ask(request).errorCode)
    }
    #expect(try code { $0.clusterID = "other" } == .inconsistentClusterID)
    #expect(try code { $0.logDirs = [] } == .invalidRegistration)
    #expect(try code { $0.logDirs = [DirectoryID.unassigned] } == .invalidRegistration)
    #expect(try code { $0.logDirs += $0.logDirs } == .invalidRegistration)
    #expect(try code { $0.listeners += $0.listeners } == .invalidRegistration)
    #expect(try code { $0.listeners[0].securityProtocol = 9 } == .invalidRegistration)
    #expect(try code { $0.features[0].maxSupportedVersion = 20 } == .unsupportedVersion)
    #expect(try code { $0.features = [] } == .unsupportedVersion)
    #expect(try code { $0.isMigratingZkBroker = true } == .brokerIDNotRegistered)
    #expect(host.image.brokers.count == 0)
    #expect(try code { _ in } == .none)
    #expect(
      try host.ask(
        BrokerRegistrationRequest(broker: 2, directories: [Uuid(high: 0xd1, low: 1001)])
      ).errorCode == ErrorCode.invalidRegistration.rawValue)
  }

  @Test func aBrokerStartsFencedAndIsUnfencedWhenItHasReadItsRegistration() throws {
    var host = makeHost()
    let epoch = try host.register(1)
    #expect(epoch == Offset(host.log.count - 1) && host.versions.last == 3)
    #expect(host.image.brokers[BrokerID(1)]?.isFenced == true)
    let behind = try host.heartbeat(1, offset: epoch - 1)
    #expect(behind.isFenced && !behind.isCaughtUp)
    let wanting = try host.heartbeat(1) { $0.wantFence = true }
    #expect(wanting.isFenced && wanting.isCaughtUp)
    let unfenced = try host.heartbeat(1, offset: epoch)
    #expect(!unfenced.isFenced && host.image.brokers[BrokerID(1)]?.isAlive == true)
  }

  @Test func epochsTellOneLifeFromTheNext() throws {
    var host = makeHost()
    let first = try host.register(1)
    #expect(try host.heartbeat(1).isFenced == false)
    // The same life keeps its epoch; another one has to wait until the session is over.
    #expect(try host.register(1) == first)
    #expect(host.image.brokers[BrokerID(1)]?.isFenced == false)
    let other = BrokerRegistrationRequest(broker: 1, incarnation: 2)
    #expect(
      try host.ask(other).errorCode == ErrorCode.duplicateBrokerRegistration.rawValue)
    host.wait(milliseconds: 9001)
    #expect(host.image.brokers[BrokerID(1)]?.isFenced == true)
    let second = try host.ask(other).brokerEpoch
    #expect(second > first && host.image.brokers[BrokerID(1)]?.isFenced == true)
    let stale = try host.ask(
      BrokerHeartbeatRequest {
        $0.brokerID = 1
        $0.brokerEpoch = first
      })
    #expect(stale.errorCode == ErrorCode.staleBrokerEpoch.rawValue)
    #expect(try host.heartbeat(7).errorCode == ErrorCode.staleBrokerEpoch.rawValue)
  }

  @Test func silentBrokersAreFencedByTheLeadersClock() throws {
    var host = makeHost()
    try host.start(brokers: 1...3)
    try host.create("t", [[1, 2, 3], [2, 3, 1]])
    for _ in 0..<10 {
      host.wait(milliseconds: 1000)
      _ = try host.heartbeat(2)
      _ = try host.heartbeat(3)
    }
    #expect(host.image.brokers.alive.map(\.id.rawValue) == [2, 3])
    #expect(try host.partition("t").leader == BrokerID(2))
    #expect(try host.partition("t").isr.rawIDs == [2, 3])
    #expect(try host.partition("t", 1).isr.rawIDs == [2, 3])

    // A new leader gives everybody a whole session before it suspects them.
    host.step(.resigned)
    host.wait(milliseconds: 60_000)
    host.lead()
    host.wait(milliseconds: 8000)
    #expect(host.image.brokers.alive.count == 2)
    host.wait(milliseconds: 1500)
    #expect(host.image.brokers.alive.isEmpty)
    // The last member stays in the ISR, without leading.
    #expect(try host.partition("t").hasLeader == false)
    #expect(try host.partition("t").isr.count == 1)
  }

  @Test func aBrokerWhoseProcessIsGoneIsFencedAtOnce() throws {
    var host = makeHost()
    try host.start(brokers: 1...3)
    try host.create("t", [[1, 2, 3], [2, 3, 1]])
    let epoch = try #require(host.image.brokers[BrokerID(1)]).epoch
    // A verdict on another life is void.
    host.step(.brokerGone(BrokerID(1), BrokerEpoch(epoch.rawValue - 1)))
    #expect(try host.partition("t").leader == BrokerID(1))
    host.step(.brokerGone(BrokerID(1), epoch))
    #expect(host.image.brokers.alive.map(\.id.rawValue) == [2, 3])
    #expect(try host.partition("t").leader == BrokerID(2))
    #expect(try host.partition("t", 1).isr.rawIDs == [2, 3])
    let count = host.records.count
    host.step(.brokerGone(BrokerID(1), epoch))
    #expect(host.records.count == count, "it is fenced already")
    // Were it alive, its next heartbeat would say so.
    #expect(try host.heartbeat(1).isFenced == false)
    #expect(host.image.brokers.alive.count == 3)
  }

  @Test func theLastInSyncReplicaLeadsWhenItReturns() throws {
    var host = makeHost()
    try host.start(brokers: 1...2)
    try host.create("t", [[1, 2]])
    #expect(try host.propose("t", isr: [1]).errorCode == 0)
    _ = try host.heartbeat(1) { $0.wantFence = true }
    #expect(try host.partition("t").leader == .none)
    #expect(try host.partition("t").isr.rawIDs == [1])
    #expect(try host.heartbeat(1).isFenced == false)
    #expect(try host.partition("t").leader == BrokerID(1))
    #expect(try host.partition("t").leaderEpoch == LeaderEpoch(2))
  }

  @Test func controlledShutdownWaitsUntilTheOthersKnow() throws {
    var host = makeHost()
    try host.start(brokers: 1...3)
    try host.create("t", [[1, 2], [3, 1]])
    let first = try host.heartbeat(1) { $0.wantShutDown = true }
    #expect(!first.shouldShutDown && !first.isFenced)
    #expect(host.image.brokers[BrokerID(1)]?.isInControlledShutdown == true)
    #expect(try host.partition("t").leader == BrokerID(2))
    #expect(try host.partition("t").isr.rawIDs == [2])
    #expect(try host.partition("t", 1).isr.rawIDs == [3])
    let moved = Offset(host.log.count - 1)
    // It must not come back into an ISR, nor get new partitions.
    #expect(
      try host.propose("t", isr: [2, 1]).errorCode == ErrorCode.ineligibleReplica.rawValue)

    _ = try host.heartbeat(2, offset: moved)
    _ = try host.heartbeat(3, offset: moved - 1)
    #expect(try host.heartbeat(1) { $0.wantShutDown = true }.shouldShutDown == false)
    _ = try host.heartbeat(3, offset: moved)
    let last = try host.heartbeat(1) { $0.wantShutDown = true }
    #expect(last.shouldShutDown && last.isFenced)
    #expect(host.image.brokers[BrokerID(1)]?.isFenced == true)
  }

  @Test func aBrokerThatLeadsNothingMayStopAtOnce() throws {
    var host = makeHost()
    try host.start(brokers: 1...2)
    try host.create("t", [[2, 1]])
    let response = try host.heartbeat(1) { $0.wantShutDown = true }
    #expect(response.shouldShutDown)
    #expect(try host.partition("t").isr.rawIDs == [2])
    // A partition that nobody else can lead keeps its broker.
    let alone = try host.heartbeat(2) { $0.wantShutDown = true }
    #expect(!alone.shouldShutDown)
    #expect(try host.partition("t").leader == .none)
    #expect(try host.heartbeat(2) { $0.wantShutDown = true }.shouldShutDown)
  }

  @Test func unregisteredBrokersAreForgotten() throws {
    var host = makeHost()
    try host.start(brokers: 1...2)
    try host.create("t", [[1, 2]])
    #expect(
      try host.ask(UnregisterBrokerRequest { $0.brokerID = 9 }).errorCode
        == ErrorCode.brokerIDNotRegistered.rawValue)
    #expect(try host.ask(UnregisterBrokerRequest { $0.brokerID = 1 }).errorCode == 0)
    #expect(host.image.brokers.all.map(\.id.rawValue) == [2])
    #expect(try host.partition("t").isr.rawIDs == [2])
    #expect(try host.heartbeat(1).errorCode == ErrorCode.staleBrokerEpoch.rawValue)
  }

  @Test func failedDirectoriesTakeTheirReplicas() throws {
    var host = makeHost()
    let disks = [Uuid(high: 1, low: 500), Uuid(high: 1, low: 501)]
    let epoch = try host.register(1, directories: disks)
    _ = try host.heartbeat(1)
    try host.register(2)
    _ = try host.heartbeat(2)
    let id = try host.create("t", [[1, 2], [1, 2]])
    // Broker 1 has two directories and has to say where it put what; broker 2 has one.
    #expect(try host.partition("t").directories[0] == DirectoryID.unassigned)
    #expect(try host.partition("t").directories[1] == Uuid(high: 0xd1, low: 1002))
    let assignment = AssignReplicasToDirsRequest { request in
      request.brokerID = 1
      request.brokerEpoch = epoch
      request.directories = disks.enumerated().map { number, disk in
        .init { data in
          data.id = disk
          data.topics = [
            .init {
              $0.topicID = id
              $0.partitions = [.init { $0.partitionIndex = Int32(number) }]
            }
          ]
        }
      }
    }
    #expect(try host.ask(assignment).errorCode == 0)
    #expect(try host.partition("t", 1).directories[0] == disks[1])
    #expect(try host.partition("t").leaderEpoch == LeaderEpoch(0))

    _ = try host.heartbeat(1) { $0.offlineLogDirs = [disks[1], Uuid(high: 7, low: 7)] }
    #expect(host.image.brokers[BrokerID(1)]?.logDirs == [disks[0]])
    #expect(try host.partition("t").leader == BrokerID(1))
    #expect(try host.partition("t", 1).leader == BrokerID(2))
    #expect(try host.partition("t", 1).isr.rawIDs == [2])
    let count = host.log.count
    _ = try host.heartbeat(1) { $0.offlineLogDirs = [disks[1]] }
    #expect(host.log.count == count)
    // A replica that turns out to be in a failed directory leaves as well.
    var late = assignment
    late.directories = [late.directories[1]]
    late.directories[0].topics[0].partitions[0].partitionIndex = 0
    #expect(try host.ask(late).errorCode == 0)
    #expect(try host.partition("t").leader == BrokerID(2))
  }

  @Test func assignmentsOfStrangersAreRefused() throws {
    var host = makeHost()
    try host.start(brokers: 1...2)
    let id = try host.create("t", [[1]])
    var request = AssignReplicasToDirsRequest()
    request.brokerID = 2
    request.brokerEpoch = host.image.brokers[BrokerID(2)]?.epoch.rawValue ?? 0
    let numbers: [(Uuid, Int32)] = [(id, 0), (id, 5), (Uuid(high: 9, low: 9), 0)]
    request.directories = [
      .init { directory in
        directory.id = Uuid(high: 0xd1, low: 1002)
        directory.topics = numbers.map { topic, number in
          .init {
            $0.topicID = topic
            $0.partitions = [.init { $0.partitionIndex = number }]
          }
        }
      }
    ]
    let codes = try host.ask(request).directories[0].topics.map { $0.partitions[0].errorCode }
    #expect(
      codes.map { ErrorCode($0) } == [
        .notLeaderOrFollower, .unknownTopicOrPartition, .unknownTopicID,
      ])
    request.brokerEpoch = 1
    #expect(try host.ask(request).errorCode == ErrorCode.staleBrokerEpoch.rawValue)
  }

  @Test func recordsKeepToTheLevel() throws {
    var old = makeHost(level: 5)
    try old.start(brokers: 1...2)
    #expect(old.records.map(\.name).suffix(2) == ["RegisterBrokerRecord", "UnfenceBrokerRecord"])
    try old.create("t", [[1, 2]])
    #expect(old.versions.allSatisfy { $0 == 0 })
    #expect(try old.partition("t").directories.isEmpty)
    // At this level a smaller ISR needs a new leader epoch.
    #expect(try old.propose("t", isr: [1]).leaderEpoch == 1)
    _ = try old.heartbeat(1) { $0.wantFence = true }
    #expect(old.records.map(\.name).suffix(1) == ["FenceBrokerRecord"])
  }
}
