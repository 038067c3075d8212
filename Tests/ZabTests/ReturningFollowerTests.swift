import Bytes
import Testing
import Values
import ZooKeeperProtocol

@testable import Zab

/// A follower that comes back with a transaction that it has acknowledged and that is not committed
/// has to cut it off: until it has it again, its acknowledgement must not count.
@Suite struct ReturningFollowerTests {
  private static let first = Zxid(epoch: 1, counter: 1)

  private final class Leading {
    var peer: Peer
    var effects: [PeerEffect] = []

    /// Server 5 of five leads, and 1 and 2 follow it on connections of their numbers.
    init() {
      let servers = (1...5 as ClosedRange<Int64>).map {
        EnsembleServer(id: $0, host: "s\($0)", quorumPort: 2888, electionPort: 3888)
      }
      peer = Peer(
        PeerConfiguration(
          own: ServerID(5), membership: Membership(EnsembleConfig(servers: servers))),
        epochs: Epochs(), lastProcessed: .zero)
      step(.start)
      let vote = Vote(leader: ServerID(5), zxid: .zero, electionEpoch: 1, peerEpoch: 0)
      for sender in 1...4 as ClosedRange<Int64> {
        step(.notification(Notification(state: .looking, vote: vote), from: ServerID(sender)))
      }
      for server in [1, 2] as [Int64] { connect(server, as: LearnerID(Int(server))) }
      for server in [1, 2] { acknowledgeEpoch(LearnerID(server), lastLogged: .zero) }
      for server in [1, 2] { acknowledge(Zxid(epoch: 1, counter: 0), LearnerID(server)) }
    }

    func step(_ event: PeerEvent) {
      effects = []
      peer.step(event, at: .zero, into: &effects)
    }

    func connect(_ server: Int64, as id: LearnerID) {
      step(.learnerConnected(id))
      let info = LearnerInfo(serverID: server).encoded()
      step(.learnerPacket(id, QuorumPacket(.followerInfo, zxid: 0, data: info)))
    }

    func acknowledgeEpoch(_ id: LearnerID, lastLogged: Zxid) {
      var writer = ByteWriter()
      writer.writeInt32(lastLogged == .zero ? 0 : -1)
      step(
        .learnerPacket(
          id, QuorumPacket(.ackEpoch, zxid: lastLogged.rawValue, data: writer.array())))
    }

    func acknowledge(_ zxid: Zxid, _ id: LearnerID) {
      step(.learnerPacket(id, QuorumPacket(.ack, zxid: zxid.rawValue)))
    }

    var commits: Bool { effects.contains { if case .commit = $0 { true } else { false } } }
  }

  @Test func whatItCutsOffIsNotCounted() {
    let leading = Leading()
    #expect(leading.peer.nextZxid == Self.first)
    leading.step(.propose(Proposal(zxid: Self.first, data: [1])))
    leading.step(.flushed(Self.first))
    leading.acknowledge(Self.first, LearnerID(1))
    #expect(!leading.commits)

    leading.connect(1, as: LearnerID(9))
    // Nothing more is heard from its earlier connection.
    #expect(leading.effects.contains(.close(LearnerID(1))))
    leading.acknowledgeEpoch(LearnerID(9), lastLogged: Self.first)
    #expect(leading.effects.contains(.send(QuorumPacket(.trunc, zxid: 0), to: LearnerID(9))))
    leading.acknowledge(Self.first, LearnerID(1))
    #expect(!leading.commits)

    leading.acknowledge(Self.first, LearnerID(2))
    #expect(!leading.commits, "durable on 2 and 5 only")
    leading.acknowledge(Zxid(epoch: 1, counter: 0), LearnerID(9))
    leading.acknowledge(Self.first, LearnerID(9))
    #expect(leading.commits)
  }
}
