import Control
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Testing
import Values

/// KIP-966: who was in sync when the ISR fell below `min.insync.replicas` may lead without loss.
@Suite struct QuorumEligibleReplicaTests {
  private func options(level: Int16 = 22, isKept: Bool = true) -> QuorumControllerOptions {
    var options = QuorumControllerOptions.test(level: MetadataVersion(level))
    options.areUnstableFeaturesEnabled = true
    options.areEligibleReplicasKept = isKept
    options.base.minISR = 2
    return options
  }

  /// Brokers 1 to 3, unfenced, and the topic t on all of them.
  private func makeHost(_ options: QuorumControllerOptions) throws -> QuorumHost {
    var host = QuorumHost(options)
    host.lead()
    for broker in 1...3 as ClosedRange<Int32> {
      _ = try host.ask(BrokerRegistrationRequest(broker: broker, levels: 1...23))
      _ = try host.heartbeat(broker)
    }
    try host.create("t", [[1, 2, 3]])
    return host
  }

  private func fence(_ brokers: [Int32], _ host: inout QuorumHost) throws {
    for broker in brokers { _ = try host.heartbeat(broker) { $0.wantFence = true } }
  }

  /// The broker's next life, which states that it knows the epoch of the last, or nothing.
  private func comeBack(_ broker: Int32, isClean: Bool, _ host: inout QuorumHost) throws {
    // A life that may still be there would be taken for a duplicate.
    host.wait(milliseconds: 9001)
    var request = BrokerRegistrationRequest(broker: broker, incarnation: 2, levels: 1...23)
    if isClean {
      request.previousBrokerEpoch = try #require(host.image.brokers[BrokerID(broker)]).epoch
        .rawValue
    }
    #expect(try host.ask(request).errorCode == 0)
  }

  @Test func theyLeadWithoutLoss() throws {
    var host = try makeHost(options())
    try fence([1], &host)
    #expect(try host.partition("t").eligibleLeaderReplicas.isEmpty)
    try fence([2], &host)
    var partition = try host.partition("t")
    #expect(partition.isr.rawIDs == [3] && partition.eligibleLeaderReplicas.rawIDs == [2])
    #expect(partition.lastKnownElr.isEmpty)
    try fence([3], &host)
    partition = try host.partition("t")
    #expect(partition.isr.isEmpty && !partition.hasLeader)
    #expect(partition.eligibleLeaderReplicas.rawIDs == [2, 3])
    #expect(partition.lastKnownElr.rawIDs == [3])
    #expect(host.versions.last == 0 && host.versions.contains(2))
    // Who left while enough others were in sync may lack records.
    _ = try host.heartbeat(1)
    #expect(try host.partition("t").hasLeader == false)
    _ = try host.heartbeat(2)
    partition = try host.partition("t")
    #expect(partition.leader == BrokerID(2) && partition.isr.rawIDs == [2])
    #expect(partition.eligibleLeaderReplicas.rawIDs == [3] && partition.lastKnownElr.isEmpty)
    #expect(partition.leaderRecoveryState == .recovered)
  }

  @Test func aCleanShutdownKeepsThemEligible() throws {
    var host = try makeHost(options())
    try fence([1, 2], &host)
    try comeBack(2, isClean: true, &host)
    #expect(try host.partition("t").eligibleLeaderReplicas.rawIDs == [2, 3])
    #expect(try host.partition("t").isr.isEmpty)
  }

  @Test func anUncleanShutdownMakesThemIneligible() throws {
    var host = try makeHost(options())
    try fence([1, 2], &host)
    try comeBack(2, isClean: false, &host)
    var partition = try host.partition("t")
    #expect(partition.eligibleLeaderReplicas.rawIDs == [3])
    _ = try host.heartbeat(2)
    #expect(try host.partition("t").hasLeader == false)
    // The last leader has at least what any other has; that it may have lost something is noted.
    try comeBack(3, isClean: false, &host)
    _ = try host.heartbeat(3)
    partition = try host.partition("t")
    #expect(partition.leader == BrokerID(3) && partition.isr.rawIDs == [3])
    #expect(partition.leaderRecoveryState == .recovering)
    #expect(partition.eligibleLeaderReplicas.isEmpty && partition.lastKnownElr.isEmpty)
  }

  /// Its disk may be another one by the time it is registered again.
  @Test func aBrokerThatWasUnregisteredIsNotEligible() throws {
    var host = try makeHost(options())
    try fence([1, 2], &host)
    let epoch = try #require(host.image.brokers[BrokerID(2)]).epoch.rawValue
    host.wait(milliseconds: 9001)
    _ = try host.ask(UnregisterBrokerRequest { $0.brokerID = 2 })
    var request = BrokerRegistrationRequest(broker: 2, incarnation: 2, levels: 1...23)
    request.previousBrokerEpoch = epoch
    #expect(try host.ask(request).errorCode == 0)
    #expect(try host.partition("t").eligibleLeaderReplicas.rawIDs == [3])
  }

  @Test(arguments: [(21, true), (22, false)] as [(Int16, Bool)])
  func nothingIsWrittenUnlessLevelAndSettingSaySo(_ level: Int16, _ isKept: Bool) throws {
    var host = try makeHost(options(level: level, isKept: isKept))
    try fence([1, 2, 3], &host)
    let partition = try host.partition("t")
    #expect(partition.eligibleLeaderReplicas.isEmpty && partition.lastKnownElr.isEmpty)
    #expect(partition.isr.rawIDs == [3] && !partition.hasLeader)
  }
}
