import Testing
import Values
import ZooKeeperProtocol

@testable import Zab

@Suite struct EnsembleTests {
  @Test func aQuorumIsMoreThanHalf() {
    let three = Ensemble(voters: [3, 1, 2].map { ServerID($0) }, observers: [ServerID(9)])
    #expect(three.voters == [1, 2, 3].map { ServerID($0) })
    #expect(!three.isQuorum([ServerID(1)]))
    #expect(three.isQuorum([ServerID(1), ServerID(3)]))
    #expect(!three.isQuorum([ServerID(1), ServerID(9)]))
    let four = Ensemble(voters: (1...4).map { ServerID($0) })
    #expect(!four.isQuorum([ServerID(1), ServerID(2)]))
  }

  @Test func weightsCount() {
    let weighted = Ensemble(
      voters: (1...3).map { ServerID($0) }, weights: [ServerID(1): 3, ServerID(3): 0])
    #expect(weighted.isQuorum([ServerID(1)]))
    #expect(!weighted.isQuorum([ServerID(2), ServerID(3)]))
    #expect(weighted.weight(of: ServerID(7)) == 0)
  }
}

@Suite struct LinkRuleTests {
  @Test func theHigherServerOpens() {
    let (one, two) = (ServerID(1), ServerID(2))
    #expect(ElectionLinkRule.incoming(from: two, to: one) == .keep)
    #expect(ElectionLinkRule.incoming(from: one, to: two) == .closeAndConnect)
    #expect(ElectionLinkRule.incoming(from: one, to: one) == .refuse)
    #expect(ElectionLinkRule.keepsOutgoing(to: one, from: two))
    #expect(!ElectionLinkRule.keepsOutgoing(to: two, from: one))
  }
}

@Suite struct DurabilityGateTests {
  @Test func nothingOvertakes() {
    var gate = DurabilityGate(durable: .zero)
    let first = QuorumPacket(.ack, zxid: 1)
    let second = QuorumPacket(.ping, zxid: 2)
    #expect(gate.pass(first, after: .flushed(Zxid(rawValue: 1))) == nil)
    #expect(gate.pass(second, after: .none) == nil)
    var sent: [QuorumPacket] = []
    gate.flushed(Zxid(rawValue: 1)) { sent.append($0) }
    #expect(sent == [first, second])
    #expect(gate.pass(first, after: .flushed(Zxid(rawValue: 1))) == first)
  }

  @Test func aLostConnectionTakesItsPacketsAlong() {
    var gate = DurabilityGate(durable: .zero)
    _ = gate.pass(QuorumPacket(.ack, zxid: 1), after: .flushed(Zxid(rawValue: 1)))
    gate.dropAll()
    gate.flushed(Zxid(rawValue: 1)) { _ in Issue.record("sent on another connection") }
  }
}

@Suite struct SyncPlanTests {
  static func proposals(_ zxids: [Zxid]) -> [Proposal] {
    zxids.map { Proposal(zxid: $0, data: []) }
  }
  static func zxid(_ epoch: Int64, _ counter: Int64) -> Zxid {
    Zxid(epoch: epoch, counter: counter)
  }

  /// 1:3 … 1:5, 2:1, 2:2 at hand; what is older is on disk.
  let history = TransactionHistory(
    lastProcessed: zxid(2, 2),
    recent: proposals([zxid(1, 3), zxid(1, 4), zxid(1, 5), zxid(2, 1), zxid(2, 2)]))

  func ready(_ last: Zxid) -> SyncPlan? {
    guard case .ready(let plan) = SyncPlan.step(learnerLast: last, history: history) else {
      return nil
    }
    return plan
  }

  @Test func nothingMissing() {
    let plan = ready(Self.zxid(2, 2))
    #expect(plan?.opening == .diff(through: Self.zxid(2, 2)))
    #expect(plan?.proposals.isEmpty == true)
  }

  @Test func someMissing() {
    let plan = ready(Self.zxid(1, 5))
    #expect(plan?.opening == .diff(through: Self.zxid(2, 2)))
    #expect(plan?.proposals.map(\.zxid) == [Self.zxid(2, 1), Self.zxid(2, 2)])
    #expect(plan?.lastSent == Self.zxid(2, 2))
  }

  @Test func tooMuch() {
    #expect(ready(Self.zxid(2, 7))?.opening == .truncate(to: Self.zxid(2, 2)))
    #expect(ready(Self.zxid(3, 1))?.opening == .truncate(to: Self.zxid(2, 2)))
  }

  @Test func partedLogs() {
    // 1:9 was never committed; what else of epoch 1 the learner has that we lack is unknown.
    #expect(ready(Self.zxid(1, 9))?.opening == .snapshot)
    // A claim without transactions is not a parting.
    #expect(ready(Self.zxid(2, 0))?.opening == .diff(through: Self.zxid(2, 2)))
    #expect(ready(Self.zxid(5, 0))?.opening == .snapshot)
  }

  @Test func olderThanMemory() {
    let last = Self.zxid(1, 1)
    #expect(
      SyncPlan.step(learnerLast: last, history: history)
        == .needsLog(from: last, through: Self.zxid(2, 2)))
    let log = Self.proposals([Self.zxid(1, 1), Self.zxid(1, 2), Self.zxid(1, 3)])
    let plan = SyncPlan.step(learnerLast: last, log: log, history: history)
    #expect(plan.opening == .diff(through: Self.zxid(2, 2)))
    #expect(plan.proposals.map(\.zxid.counter) == [2, 3, 4, 5, 1, 2])
    // A log that ends before memory begins leaves a gap; one that begins too late does not help.
    let short = Self.proposals([Self.zxid(1, 1), Self.zxid(1, 2)])
    #expect(
      SyncPlan.step(learnerLast: last, log: short, history: history).opening == .snapshot)
    let late = Self.proposals([Self.zxid(1, 2), Self.zxid(1, 3)])
    #expect(SyncPlan.step(learnerLast: last, log: late, history: history).opening == .snapshot)
    #expect(SyncPlan.step(learnerLast: last, log: nil, history: history).opening == .snapshot)
  }
}

@Suite struct TransactionHistoryTests {
  @Test func theEndOfTheLogIsWhatIsLogged() {
    var history = TransactionHistory(lastProcessed: Zxid(epoch: 1, counter: 2), limit: 2)
    for counter in 3...6 {
      history.append(Proposal(zxid: Zxid(epoch: 1, counter: Int64(counter)), data: []))
    }
    #expect(history.lastLogged == Zxid(epoch: 1, counter: 6))
    #expect(!history.isDurable)
    history.flushed(through: Zxid(epoch: 1, counter: 9))
    #expect(history.isDurable)
    #expect(history.commitFirst()?.zxid.counter == 3)
    history.fastForward()
    #expect(history.recent.elements.map(\.zxid.counter) == [5, 6])
    history.truncate(to: Zxid(epoch: 1, counter: 5))
    #expect(history.lastLogged == Zxid(epoch: 1, counter: 5))
    #expect(history.durable == Zxid(epoch: 1, counter: 5))
  }
}

@Suite struct HierarchyTests {
  private func servers(_ ids: Int64...) -> [ServerID] { ids.map { ServerID($0) } }

  /// The example of ZooKeeper's documentation: three groups of three.
  @Test func aHierarchyNeedsMostOfMostGroups() {
    let ensemble = Ensemble(
      voters: servers(1, 2, 3, 4, 5, 6, 7, 8, 9),
      groups: [servers(1, 2, 3), servers(4, 5, 6), servers(7, 8, 9)])
    #expect(ensemble.isQuorum(Set(servers(1, 2, 4, 5))))
    #expect(!ensemble.isQuorum(Set(servers(1, 2, 3, 4, 7))))
    #expect(!ensemble.isQuorum(Set(servers(1, 2, 3))))
  }

  @Test func weightsCountWithinAGroup() {
    let ensemble = Ensemble(
      voters: servers(1, 2, 3, 4), weights: [ServerID(1): 3, ServerID(4): 0],
      groups: [servers(1, 2, 3), servers(4)])
    #expect(ensemble.isQuorum(Set(servers(1))))
    #expect(!ensemble.isQuorum(Set(servers(2, 3, 4))))
  }
}
