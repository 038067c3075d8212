import Control
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Testing
import Values

@Suite struct QuorumActivationTests {
  @Test func theFirstLeaderWritesTheBootstrapRecordsInATransaction() {
    var options = QuorumControllerOptions.test
    options.bootstrap.append(
      .userScramCredential(
        .init {
          $0.name = "alice"
          $0.mechanism = 1
        }))
    var host = QuorumHost(options)
    host.lead()
    #expect(
      host.records.map(\.name) == [
        "BeginTransactionRecord", "FeatureLevelRecord", "UserScramCredentialRecord",
        "ZkMigrationStateRecord", "EndTransactionRecord",
      ])
    #expect(host.machine.isActive && host.image.metadataVersion == .latestProduction)
    #expect(host.image.scram.users == ["alice"])
    #expect(host.machine.committed.image == host.image)

    // The second leader finds them and writes nothing.
    let count = host.log.count
    host.step(.resigned)
    host.lead()
    #expect(host.machine.isActive && host.log.count == count + 1)
  }

  @Test func aHalfWrittenTransactionIsAborted() {
    var host = QuorumHost()
    host.commitsAtOnce = false
    host.lead()
    // The control record and two of the transaction's records survive.
    host.commit(3)
    host.log.removeLast(host.log.count - host.committedEnd)
    host.step(.resigned)
    #expect(host.machine.committed.transactionStart == 1)
    #expect(host.image == MetadataImage())

    host.commitsAtOnce = true
    host.lead()
    #expect(
      host.records.map(\.name).suffix(5) == [
        "AbortTransactionRecord", "BeginTransactionRecord", "FeatureLevelRecord",
        "ZkMigrationStateRecord", "EndTransactionRecord",
      ])
    var replayed = MetadataLoader()
    replayed.apply(host.records, lastOffset: Offset(host.log.count - 1), epoch: 1)
    #expect(replayed.image == host.image && replayed.transactionStart == nil)
  }

  @Test func levelsThatAreNotSupportedAreNotLed() {
    for level in [0, 3, 22, 99] as [Int16] {
      var host = QuorumHost(.test(level: MetadataVersion(level)))
      host.lead()
      #expect(host.resignations.count == 1 && !host.machine.isActive && host.records.isEmpty)
    }
    var options = QuorumControllerOptions.test(level: MetadataVersion(22))
    options.areUnstableFeaturesEnabled = true
    var host = QuorumHost(options)
    host.lead()
    #expect(host.machine.isActive)
  }

  @Test func oldLevelsGetNoTransaction() {
    var host = QuorumHost(.test(level: MetadataVersion(8)))
    host.lead()
    #expect(host.records.map(\.name) == ["FeatureLevelRecord"])
  }

  @Test func aMigrationThatIsWaitedForIsNotLed() {
    var host = QuorumHost()
    host.log = [
      .featureLevel(
        .init {
          $0.name = MetadataVersion.featureName
          $0.featureLevel = 20
        }),
      .zkMigrationState(.init { $0.zkMigrationState = 1 }),
    ]
    host.commit()
    host.lead()
    #expect(!host.machine.isActive && host.resignations.count == 1)
  }

  @Test func noOpRecordsAreWrittenAtTheirInterval() {
    var options = QuorumControllerOptions.test
    options.maxIdleIntervalMs = 500
    var host = QuorumHost(options)
    host.lead()
    host.wait(milliseconds: 2100)
    #expect(host.records.filter { $0.name == "NoOpRecord" }.count == 4)
    host.step(.resigned)
    host.wait(milliseconds: 2000)
    #expect(host.records.filter { $0.name == "NoOpRecord" }.count == 4)
  }
}

@Suite struct QuorumCommitTests {
  @Test func answersWaitForTheirRecords() throws {
    var host = QuorumHost()
    host.lead()
    host.commitsAtOnce = false
    let id = host.send(BrokerRegistrationRequest(broker: 1))
    #expect(host.responses[id] == nil)
    // A refusal that rests on what is not committed waits as well.
    let second = host.send(BrokerRegistrationRequest(broker: 1, incarnation: 2))
    host.commit(1)
    let response = try #require(host.responses[id] as? BrokerRegistrationResponse)
    #expect(response.errorCode == 0 && response.brokerEpoch == Offset(host.log.count - 2))
    #expect(host.responses[second] == nil)
    host.commit()
    #expect(host.responses[second] != nil)
  }

  @Test func aReadSeesNothingThatMayBeLost() throws {
    var host = QuorumHost()
    host.lead()
    try host.start(brokers: 1...1)
    host.commitsAtOnce = false
    let first = host.send(creation("t"))
    let refusal = host.send(creation("t"))
    #expect(host.responses[first] == nil && host.responses[refusal] == nil)
    host.log.removeLast(host.log.count - host.committedEnd)
    host.step(.resigned)
    for id in [first, refusal] {
      let response = try #require(host.responses[id] as? CreateTopicsResponse)
      #expect(response.topics[0].errorCode == ErrorCode.notController.rawValue)
    }
    #expect(host.image.topics["t"] == nil && host.image == host.machine.committed.image)
  }

  @Test func standbysAnswerNotController() throws {
    var host = QuorumHost()
    #expect(
      try host.ask(BrokerHeartbeatRequest()).errorCode == ErrorCode.notController.rawValue)
    #expect(
      try host.ask(UpdateFeaturesRequest()).errorCode == ErrorCode.notController.rawValue)
    #expect(
      try host.ask(creation("t")).topics[0].errorCode == ErrorCode.notController.rawValue)
  }

  @Test func aFollowerThatTakesOverKnowsTheSame() throws {
    var host = QuorumHost()
    host.lead()
    try host.start(brokers: 1...3)
    try host.create("t", [[1, 2, 3], [2, 3, 1]])
    var follower = QuorumHost(seed: 9)
    follower.log = host.log
    follower.epoch = host.epoch
    follower.commit()
    #expect(follower.image == host.image)
    follower.lead()
    #expect(try follower.partition("t", 1).leader == BrokerID(2))
    #expect(try follower.heartbeat(2).errorCode == 0)
  }

  @Test func aSnapshotReplacesEverything() throws {
    var host = QuorumHost()
    host.lead()
    try host.start(brokers: 1...2)
    try host.create("t", [[1, 2]])
    var follower = QuorumHost()
    var image = MetadataImage()
    for record in host.image.records { image.apply(record) }
    follower.log = host.log
    follower.committedEnd = host.log.count
    follower.step(
      .snapshotLoaded(image, lastOffset: Offset(host.log.count - 1), epoch: 1))
    #expect(follower.image == host.image)
    follower.epoch = 1
    follower.lead()
    #expect(try follower.heartbeat(1).isCaughtUp)
    // On the active controller it means that something is badly wrong.
    follower.step(.snapshotLoaded(image, lastOffset: 5000, epoch: 1))
    #expect(!follower.machine.isActive && follower.resignations.count == 1)
  }

  @Test func offsetsThatRaftUsedItselfMoveWhatFollows() throws {
    var host = QuorumHost()
    host.lead()
    // A voters record is written behind the back of the machine.
    host.log.append(nil)
    host.versions.append(0)
    let epoch = try host.register(1)
    #expect(epoch == Offset(host.log.count - 2))
    // Its own registration is the last record: one that has not read it stays fenced.
    #expect(try host.heartbeat(1, offset: Offset(host.log.count - 2)).isCaughtUp == false)
    #expect(try host.heartbeat(1, offset: Offset(host.log.count - 1)).isFenced == false)
  }

  private func creation(_ name: String) -> CreateTopicsRequest {
    .init {
      $0.topics = [
        .init {
          $0.name = name
          $0.numPartitions = 1
          $0.replicationFactor = 1
        }
      ]
    }
  }
}
