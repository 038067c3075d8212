import Control
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Testing
import Values

@Suite struct QuorumPartitionTests {
  private func makeHost(brokers: ClosedRange<Int32> = 1...4) throws -> QuorumHost {
    var host = QuorumHost()
    host.lead()
    try host.start(brokers: brokers)
    return host
  }

  // MARK: ISR

  @Test func leadersChangeTheISR() throws {
    var host = try makeHost()
    try host.create("t", [[1, 2, 3]])
    let smaller = try host.propose("t", isr: [1, 3])
    #expect(smaller.errorCode == 0 && smaller.isr == [1, 3] && smaller.partitionEpoch == 1)
    #expect(smaller.leaderEpoch == 0)
    #expect(try host.propose("t", isr: [1, 3, 2]).isr == [1, 3, 2])
  }

  @Test func proposalsAreChecked() throws {
    var host = try makeHost()
    let id = try host.create("t", [[1, 2, 3]])
    func code(
      isr: [Int32] = [1, 2], version: Int16 = 3,
      _ change: (inout AlterPartitionRequest.PartitionData) -> Void = { _ in }
    ) throws -> ErrorCode {
      var request = try host.proposal("t", isr: isr)
      request.topics[0].topicName = "t"
      request.topics[0].partitions[0].newIsr = isr
      change(&request.topics[0].partitions[0])
      let response = try host.ask(request, version: version)
      return ErrorCode(response.topics[0].partitions[0].errorCode)
    }
    #expect(try code { $0.leaderEpoch = 1 } == .notController)
    #expect(try code { $0.partitionEpoch = 1 } == .notController)
    #expect(try code { $0.leaderEpoch = -1 } == .fencedLeaderEpoch)
    #expect(try code { $0.partitionEpoch = -1 } == .invalidUpdateVersion)
    #expect(try code { $0.partitionIndex = 9 } == .unknownTopicOrPartition)
    #expect(try code { $0.leaderRecoveryState = 1 } == .invalidRequest)
    #expect(try code { $0.leaderRecoveryState = 7 } == .invalidRequest)
    #expect(try code(isr: [2, 3]) == .invalidRequest)
    #expect(try code(isr: [1, 4]) == .invalidRequest)
    #expect(try code(isr: [1, 1]) == .invalidRequest)
    // The follower that caught up was an earlier life (KIP-903).
    #expect(try code { $0.newIsrWithEpochs[1].brokerEpoch = 3 } == .ineligibleReplica)
    #expect(try code { $0.newIsrWithEpochs[1].brokerEpoch = -1 } == .none)
    _ = try host.heartbeat(3) { $0.wantFence = true }
    #expect(try code(isr: [1, 2, 3]) == .ineligibleReplica)
    #expect(try code(isr: [1, 2, 3], version: 1) == .operationNotAttempted)

    var request = try host.proposal("t", isr: [1])
    request.topics[0].topicID = Uuid(high: 8, low: 8)
    #expect(
      try ErrorCode(host.ask(request).topics[0].partitions[0].errorCode) == .unknownTopicID)
    request.topics[0].topicID = id
    request.brokerEpoch += 1
    #expect(try ErrorCode(host.ask(request).errorCode) == .staleBrokerEpoch)
    // Another broker of the cluster, but not the leader.
    request.brokerID = 2
    request.brokerEpoch = host.image.brokers[BrokerID(2)]?.epoch.rawValue ?? 0
    #expect(
      try ErrorCode(host.ask(request).topics[0].partitions[0].errorCode) == .invalidRequest)
  }

  // MARK: Elections

  private func elect(_ host: inout QuorumHost, type: Int8, _ topic: String?) throws
    -> ElectLeadersResponse
  {
    try host.ask(
      ElectLeadersRequest { request in
        request.electionType = type
        request.topicPartitions = topic.map { name in
          [
            .init {
              $0.topic = name
              $0.partitions = [0]
            }
          ]
        }
      })
  }

  @Test func preferredLeadersAreElected() throws {
    var host = try makeHost()
    try host.create("t", [[1, 2]])
    _ = try host.heartbeat(1) { $0.wantFence = true }
    let offline = try elect(&host, type: 0, "t").replicaElectionResults[0].partitionResult[0]
    #expect(ErrorCode(offline.errorCode) == .preferredLeaderNotAvailable)
    _ = try host.heartbeat(1)
    #expect(try host.partition("t").leader == BrokerID(2))
    _ = try host.propose("t", isr: [2, 1])
    #expect(
      try elect(&host, type: 0, "t").replicaElectionResults[0].partitionResult[0].errorCode == 0)
    #expect(try host.partition("t").leader == BrokerID(1))
    let again = try elect(&host, type: 0, "t").replicaElectionResults[0].partitionResult[0]
    #expect(ErrorCode(again.errorCode) == .electionNotNeeded)
    // Of all partitions, only those that needed one are told.
    #expect(
      try elect(&host, type: 0, nil).replicaElectionResults.allSatisfy(\.partitionResult.isEmpty))
    #expect(try ErrorCode(elect(&host, type: 5, "t").errorCode) == .invalidRequest)
    let unknown = try elect(&host, type: 0, "x").replicaElectionResults[0].partitionResult[0]
    #expect(unknown.errorMessage == "No such topic as x")
  }

  @Test func uncleanLeadersAreElectedWhenAskedFor() throws {
    var host = try makeHost()
    try host.create("t", [[1, 2]])
    _ = try host.propose("t", isr: [1])
    _ = try host.heartbeat(1) { $0.wantFence = true }
    #expect(try host.partition("t").hasLeader == false)
    let result = try elect(&host, type: 1, "t").replicaElectionResults[0].partitionResult[0]
    #expect(result.errorCode == 0)
    let partition = try host.partition("t")
    #expect(partition.leader == BrokerID(2) && partition.isr.rawIDs == [2])
    #expect(partition.leaderRecoveryState == .recovering)
    // While it recovers nobody else is in sync; then it says so.
    #expect(try host.propose("t", isr: [2]).leaderRecoveryState == 0)
    #expect(try host.partition("t").leaderRecoveryState == .recovered)
  }

  @Test func topicsMayAllowUncleanElections() throws {
    var host = try makeHost()
    try host.create("t", [[1, 2]])
    _ = try host.propose("t", isr: [1])
    _ = try host.heartbeat(1) { $0.wantFence = true }
    _ = try host.ask(
      IncrementalAlterConfigsRequest {
        $0.resources = [
          .init {
            $0.resourceType = 2
            $0.resourceName = "t"
            $0.configs = [
              .init {
                $0.name = "unclean.leader.election.enable"
                $0.value = "true"
              }
            ]
          }
        ]
      })
    #expect(try host.partition("t").hasLeader == false)
    // Brokers that are alive keep being heard of until the next look at leaderless partitions.
    for _ in 0..<61 {
      host.wait(milliseconds: 5000)
      for broker in 2...4 as ClosedRange<Int32> { _ = try host.heartbeat(broker) }
    }
    #expect(try host.partition("t").leader == BrokerID(2))
    #expect(try host.partition("t").leaderRecoveryState == .recovering)
  }

  @Test func leadershipReturnsToPreferredReplicas() throws {
    var host = try makeHost()
    try host.create("t", [[1, 2]])
    _ = try host.heartbeat(1) { $0.wantFence = true }
    _ = try host.heartbeat(1)
    _ = try host.propose("t", isr: [2, 1])
    #expect(try host.partition("t").leader == BrokerID(2))
    for _ in 0..<61 {
      host.wait(milliseconds: 5000)
      for broker in 1...4 as ClosedRange<Int32> { _ = try host.heartbeat(broker) }
    }
    #expect(try host.partition("t").leader == BrokerID(1))
  }

  // MARK: Reassignment

  private func reassign(
    _ host: inout QuorumHost, _ replicas: [Int32]?
  ) throws -> AlterPartitionReassignmentsResponse.ReassignablePartitionResponse {
    try host.ask(
      AlterPartitionReassignmentsRequest {
        $0.topics = [
          .init {
            $0.name = "t"
            $0.partitions = [
              .init {
                $0.partitionIndex = 0
                $0.replicas = replicas
              }
            ]
          }
        ]
      }
    ).responses[0].partitions[0]
  }

  @Test func reassignmentsEndWhenTheTargetIsInSync() throws {
    var host = try makeHost()
    try host.create("t", [[1, 2]])
    #expect(try reassign(&host, [3, 4]).errorCode == 0)
    var partition = try host.partition("t")
    #expect(partition.replicas.rawIDs == [3, 4, 1, 2])
    #expect(partition.addingReplicas.rawIDs == [3, 4])
    #expect(partition.removingReplicas.rawIDs == [1, 2])
    let listed = try host.ask(ListPartitionReassignmentsRequest())
    #expect(listed.topics[0].partitions[0].addingReplicas == [3, 4])

    #expect(try host.propose("t", isr: [1, 2, 3]).errorCode == 0)
    // The last one completes it, and the leader that asked leads no longer.
    let last = try host.propose("t", isr: [1, 2, 3, 4])
    #expect(ErrorCode(last.errorCode) == .newLeaderElected)
    partition = try host.partition("t")
    #expect(partition.replicas.rawIDs == [3, 4] && partition.isr.rawIDs == [3, 4])
    #expect(partition.leader == BrokerID(3) && !partition.isReassigning)
    #expect(partition.directories.count == 2)
    #expect(try host.ask(ListPartitionReassignmentsRequest()).topics.isEmpty)
  }

  @Test func reassignmentsAreCancelled() throws {
    var host = try makeHost()
    try host.create("t", [[1, 2]])
    #expect(try ErrorCode(reassign(&host, nil).errorCode) == .noReassignmentInProgress)
    _ = try reassign(&host, [1, 3])
    _ = try host.propose("t", isr: [1, 2])
    let epoch = try host.partition("t").leaderEpoch
    #expect(try reassign(&host, nil).errorCode == 0)
    let partition = try host.partition("t")
    #expect(partition.replicas.rawIDs == [1, 2] && !partition.isReassigning)
    // The replica that leaves is fenced off by a new leader epoch.
    #expect(partition.leaderEpoch > epoch)
  }

  @Test func anOrderIsChangedAtOnce() throws {
    var host = try makeHost()
    try host.create("t", [[1, 2]])
    #expect(try reassign(&host, [2, 1]).errorCode == 0)
    let partition = try host.partition("t")
    #expect(partition.replicas.rawIDs == [2, 1] && !partition.isReassigning)
    #expect(partition.leader == BrokerID(1) && partition.leaderEpoch == LeaderEpoch(0))
  }

  @Test func reassignmentsAreChecked() throws {
    var host = try makeHost()
    try host.create("t", [[1, 2]])
    for replicas in [[], [1, 1], [1, 9]] as [[Int32]] {
      #expect(try ErrorCode(reassign(&host, replicas).errorCode) == .invalidReplicaAssignment)
    }
    let count = host.log.count
    #expect(try reassign(&host, [1, 2]).errorCode == 0)
    #expect(host.log.count == count)
  }
}
