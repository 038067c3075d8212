import Bytes
import Testing
import Values
import ZooKeeperProtocol

@testable import Zab

/// What observers do differently: their pauses, and doing without a log.
@Suite struct ObserverTests {
  /// Server 4 watches an ensemble of three, which server 3 leads.
  private struct Course {
    var peer: Peer
    var effects: [PeerEffect] = []
    var now = Instant.zero

    init(isObserver: Bool = true, _ change: (inout PeerConfiguration) -> Void) {
      let config = EnsembleConfig(
        servers: (1...4 as ClosedRange<Int64>).map {
          EnsembleServer(
            id: $0, host: "s\($0)", quorumPort: 2888, electionPort: 3888,
            isObserver: isObserver && $0 == 4)
        })
      var configuration = PeerConfiguration(
        own: ServerID(4), membership: Membership(config, isChangeable: true))
      configuration.seed = 7
      change(&configuration)
      peer = Peer(configuration, epochs: Epochs(), lastProcessed: .zero)
      step(.start)
    }

    mutating func step(_ event: PeerEvent) { peer.step(event, at: now, into: &effects) }

    mutating func packet(_ type: PacketType, _ zxid: Zxid, _ data: [UInt8]? = []) {
      step(.leaderPacket(QuorumPacket(type, zxid: zxid.rawValue, data: data)))
    }

    /// The others say who leads.
    mutating func hearOfTheLeader() {
      let round = peer.vote.electionEpoch
      for sender in [1, 2, 3] as [Int64] {
        let vote = Vote(
          leader: ServerID(3), zxid: Zxid(epoch: 0, counter: 9), electionEpoch: round, peerEpoch: 0)
        step(
          .notification(
            Notification(state: sender == 3 ? .leading : .following, vote: vote),
            from: ServerID(sender)))
      }
    }

    mutating func greet(epoch: Int64) {
      step(.leaderConnected)
      var version = ByteWriter()
      version.writeInt32(LearnerInfo.currentProtocolVersion)
      packet(.leaderInfo, Zxid(epoch: epoch, counter: 0), version.array())
    }

    mutating func serve(epoch: Int64) {
      greet(epoch: epoch)
      packet(.diff, .zero)
      packet(.newLeader, Zxid(epoch: epoch, counter: 0))
      packet(.upToDate, .zero)
    }

    var votes: Int {
      effects.count { if case .notify = $0 { true } else { false } }
    }
    var attempts: Int { effects.count { $0 == .connectToLeader(ServerID(3)) } }
  }

  /// `observer.election.DelayMs`
  @Test func anObserverWaitsBeforeItLooksAgain() {
    var course = Course { $0.observerElectionDelayMs = 1000 }
    #expect(course.votes == 3)
    course.hearOfTheLeader()
    course.serve(epoch: 1)
    #expect(course.peer.isServing)
    let votes = course.votes
    course.step(.leaderDisconnected)
    #expect(course.peer.state == .looking && !course.peer.isServing)
    #expect(course.effects.last == .roleChanged(.looking, leader: nil))
    let due = course.peer.nextDeadline
    #expect((1..<1000).contains(due.milliseconds(since: course.now)))
    // It neither asks nor decides before its time.
    course.step(.electionLinkUp(ServerID(1)))
    course.hearOfTheLeader()
    course.step(.timer)
    #expect(course.votes == votes && course.peer.state == .looking)
    course.now = due
    course.step(.timer)
    #expect(course.votes == votes + 3)
    course.hearOfTheLeader()
    #expect(course.peer.state == .observing)
  }

  /// `observer.reconnectDelayMs`
  @Test(arguments: [true, false])
  func anObserverWaitsBeforeItConnects(_ isObserver: Bool) {
    var course = Course(isObserver: isObserver) { $0.observerReconnectDelayMs = 1000 }
    course.hearOfTheLeader()
    // The others do not wait.
    guard isObserver else {
      #expect(course.attempts == 1)
      return
    }
    #expect(course.peer.state == .observing && course.attempts == 0)
    let due = course.peer.nextDeadline
    #expect((1..<1000).contains(due.milliseconds(since: course.now)))
    course.now = due
    course.step(.timer)
    #expect(course.attempts == 1)
  }

  /// `syncEnabled=false`: nothing is logged, and no epoch is claimed beyond what a restart finds.
  @Test func anObserverMayKeepNoLog() {
    var course = Course { $0.observerKeepsLog = false }
    course.hearOfTheLeader()
    course.greet(epoch: 1)
    course.packet(.diff, Zxid(epoch: 1, counter: 1))
    course.packet(.proposal, Zxid(epoch: 1, counter: 1))
    course.packet(.commit, Zxid(epoch: 1, counter: 1))
    course.packet(.newLeader, Zxid(epoch: 1, counter: 0))
    course.packet(.upToDate, .zero)
    course.packet(.inform, Zxid(epoch: 1, counter: 2))
    #expect(course.peer.isServing && !course.peer.keepsLog)
    #expect(course.peer.history.lastProcessed == Zxid(epoch: 1, counter: 2))
    for effect in course.effects {
      switch effect {
      case .append, .persistCurrentEpoch, .saveTree: Issue.record("\(effect)")
      default: break
      }
    }
    #expect(course.peer.history.written == .zero)
    // It was asked to go back to where no log of its own leads: it comes again with what it has.
    course.step(.leaderDisconnected)
    course.hearOfTheLeader()
    course.greet(epoch: 2)
    course.packet(.trunc, Zxid(epoch: 1, counter: 1))
    #expect(course.effects.contains(.truncate(to: .zero)))
    #expect(course.peer.state == .looking)
    #expect(course.peer.history.lastLogged == .zero)
  }

  /// Made a voter, it has on disk all that it votes with, and claims the epoch, before it follows.
  @Test func aVoteTakesALog() throws {
    var course = Course { $0.observerKeepsLog = false }
    course.hearOfTheLeader()
    course.serve(epoch: 1)
    course.packet(.inform, Zxid(epoch: 1, counter: 1))
    let zxid = Zxid(epoch: 1, counter: 2)
    var members = course.peer.membership.current.servers
    members[3].isObserver = false
    let config = EnsembleConfig(servers: members, version: zxid.rawValue)
    let txn = Txn(
      header: TxnHeader(clientID: 1, cxid: 1, zxid: zxid.rawValue, time: 0, type: .reconfig),
      body: .setData(path: "/zookeeper/config", data: config.bytes, version: -1))
    var leader = ByteWriter()
    leader.writeInt64(3)
    course.effects = []
    course.packet(.informAndActivate, zxid, leader.array() + txn.encoded())
    #expect(course.peer.state == .following && course.peer.keepsLog)
    let order = course.effects.filter {
      switch $0 {
      case .commit, .saveTree, .persistCurrentEpoch, .connectToLeader: true
      default: false
      }
    }
    #expect(
      order == [
        .commit(Proposal(zxid: zxid, data: txn.encoded())), .saveTree(at: zxid),
        .connectToLeader(ServerID(3)),
      ])
    #expect(!course.peer.history.hasUnwritten)
    course.greet(epoch: 1)
    course.packet(.diff, zxid)
    course.packet(.newLeader, Zxid(epoch: 1, counter: 0))
    course.packet(.upToDate, .zero)
    let next = Proposal(zxid: Zxid(epoch: 1, counter: 3), data: [1])
    course.packet(.proposal, next.zxid, next.data)
    #expect(course.effects.contains(.append(next)))
  }
}
