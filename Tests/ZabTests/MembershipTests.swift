import Testing
import Values
import ZooKeeperProtocol

@testable import Zab

@Suite struct MembershipTests {
  static func config(
    _ ids: Int64..., observers: [Int64] = [], version: Int64 = 0
  ) -> EnsembleConfig {
    EnsembleConfig(
      servers: (ids + observers).map { id in
        EnsembleServer(
          id: id, host: "s\(id)", quorumPort: 2888, electionPort: 3888,
          isObserver: observers.contains(id))
      }, version: version)
  }

  private func servers(_ ids: Int64...) -> Set<ServerID> { Set(ids.map { ServerID($0) }) }

  @Test func aChangeUnderWayNeedsBothQuorums() {
    var membership = Membership(Self.config(1, 2, 3), isChangeable: true)
    let next = Self.config(3, 4, 5, version: 0x1_0000_0005)
    let seen = [membership.see(next), membership.see(next)]
    #expect(seen == [true, false])
    #expect(!membership.isQuorum(servers(1, 2)))
    #expect(!membership.isQuorum(servers(4, 5)))
    #expect(membership.isQuorum(servers(1, 3, 4)))
    // What was proposed before the change does not wait for the new members.
    let (before, after) = (Zxid(epoch: 1, counter: 4), Zxid(epoch: 1, counter: 5))
    #expect(membership.isQuorum(for: before) { servers(1, 2).contains($0) })
    #expect(!membership.isQuorum(for: after) { servers(1, 2).contains($0) })
    let activated = membership.activate(next)
    #expect(activated)
    #expect(membership.next == nil)
    #expect(membership.isQuorum(servers(4, 5)))
    let wentBack = membership.activate(Self.config(1, version: 1))
    #expect(!wentBack)
  }

  @Test func withoutReconfigurationNothingChanges() {
    var membership = Membership(Self.config(1, 2, 3))
    let listened = membership.see(Self.config(4, version: 9))
    let obeyed = membership.activate(Self.config(4, version: 9))
    #expect(!listened && !obeyed)
    #expect(membership.current == Self.config(1, 2, 3))
  }

  private func request(
    joining: String? = nil, leaving: String? = nil, members: String? = nil
  ) -> ReconfigRequest {
    var request = ReconfigRequest()
    (request.joiningServers, request.leavingServers) = (joining, leaving)
    request.newMembers = members
    return request
  }

  @Test func serversJoinLeaveAndChangeRoles() throws {
    let old = Self.config(1, 2, 3)
    let joined = try old.changed(by: request(joining: "server.4=h:1:2:observer;5", leaving: "1"))
    #expect(joined.servers.map(\.id) == [2, 3, 4])
    #expect(joined.servers[2].text == "h:1:2:observer;0.0.0.0:5")
    let replaced = try old.changed(
      by: request(members: "server.7=h:1:2;3,server.8=h:4:5;6\nserver.9=h:7:8;9"))
    #expect(replaced.servers.map(\.id) == [7, 8, 9])
  }

  @Test(arguments: [
    "server.4=h:1:2", "server.4", "server.x=h:1:2;3", "server.4=s2:2888:7;3", "4=h:1:2;3",
  ])
  func joinersThatCannotBe(_ joining: String) {
    #expect(throws: ZooKeeperError.badArguments) {
      _ = try Self.config(1, 2, 3).changed(by: request(joining: joining))
    }
  }

  @Test func aHierarchyIsReplacedAsAWhole() throws {
    let lines = "server.1=a:1:2;3\nserver.2=b:1:2;3\ngroup.1=1:2"
    let hierarchy = try EnsembleConfig(text: lines)
    #expect(throws: ZooKeeperError.badArguments) {
      _ = try hierarchy.changed(by: request(leaving: "1"))
    }
    #expect(try hierarchy.changed(by: request(members: lines)).isHierarchical)
  }

  @Test func aReconfigurationIsToldFromOtherTransactions() {
    let config = Self.config(1, 2, version: 0x1_0000_0007)
    var header = TxnHeader(clientID: 1, cxid: 2, zxid: 0x1_0000_0007, time: 3, type: .reconfig)
    let body = TxnBody.setData(path: "/zookeeper/config", data: config.bytes, version: -1)
    let zxid = Zxid(rawValue: header.zxid)
    func proposal() -> Proposal {
      Proposal(zxid: zxid, data: Txn(header: header, body: body).encoded())
    }
    #expect(proposal().newConfig == config)
    header.type = .setData
    #expect(proposal().newConfig == nil)
    #expect(Proposal(zxid: zxid, data: []).newConfig == nil)
  }
}
