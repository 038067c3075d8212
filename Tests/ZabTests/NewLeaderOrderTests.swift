import Bytes
import Testing
import Values
import ZooKeeperProtocol

@testable import Zab

/// The order at NEWLEADER: transactions durable, then `currentEpoch`, then the ACK. A crash may
/// come after any effect and before any flush; what is on disk then must not claim more than it
/// holds.
@Suite struct NewLeaderOrderTests {
  private enum Moment {
    case effect(PeerEffect)
    case flushed(Zxid)
  }

  /// What a crash leaves, and what others have heard by then.
  private struct Remains {
    var accepted: Int64 = 0
    var current: Int64 = 0
    var durable = Zxid.zero
    var sent: [QuorumPacket] = []
  }

  private static let epoch: Int64 = 1
  private static let last = Zxid(epoch: epoch, counter: 3)

  private static func membership() -> Membership {
    Membership(
      EnsembleConfig(
        servers: (1...3 as ClosedRange<Int64>).map {
          EnsembleServer(id: $0, host: "s\($0)", quorumPort: 2888, electionPort: 3888)
        }))
  }

  /// A follower from its election to its service, with flushes as late as possible, or at once.
  private static func course(
    opening: PacketType, flushesAtOnce: Bool
  ) -> [Moment] {
    var peer = Peer(
      PeerConfiguration(own: ServerID(1), membership: membership()), epochs: Epochs(),
      lastProcessed: .zero)
    var moments: [Moment] = []
    var unflushed = Zxid.zero
    func flush() {
      guard unflushed > .zero else { return }
      let zxid = unflushed
      unflushed = .zero
      moments.append(.flushed(zxid))
      step(.flushed(zxid))
    }
    func step(_ event: PeerEvent) {
      var effects: [PeerEffect] = []
      peer.step(event, at: .zero, into: &effects)
      for effect in effects {
        moments.append(.effect(effect))
        if case .append(let proposal) = effect { unflushed = proposal.zxid }
      }
      if flushesAtOnce { flush() }
    }
    step(.start)
    for sender in [2, 3] as [Int64] {
      let vote = Vote(
        leader: ServerID(3), zxid: Zxid(epoch: 0, counter: 9), electionEpoch: 1, peerEpoch: 0)
      step(
        .notification(
          Notification(state: sender == 3 ? .leading : .following, vote: vote),
          from: ServerID(sender)))
    }
    step(.leaderConnected)
    let zero = Zxid(epoch: epoch, counter: 0).rawValue
    var version = ByteWriter()
    version.writeInt32(LearnerInfo.currentProtocolVersion)
    step(.leaderPacket(QuorumPacket(.leaderInfo, zxid: zero, data: version.array())))
    step(.leaderPacket(QuorumPacket(opening, zxid: opening == .trunc ? 0 : last.rawValue)))
    for counter in 1...3 as ClosedRange<Int64> {
      let zxid = Zxid(epoch: epoch, counter: counter)
      step(.leaderPacket(QuorumPacket(.proposal, zxid: zxid.rawValue, data: [UInt8(counter)])))
      // The last one is proposed and not committed yet.
      if counter < 3 { step(.leaderPacket(QuorumPacket(.commit, zxid: zxid.rawValue))) }
    }
    step(.leaderPacket(QuorumPacket(.newLeader, zxid: zero, data: [])))
    flush()
    step(.leaderPacket(QuorumPacket(.upToDate, zxid: -1)))
    #expect(peer.isServing)
    return moments
  }

  @Test(arguments: [PacketType.diff, .trunc], [false, true])
  func aCrashAtAnyStepLeavesTheTruth(_ opening: PacketType, _ flushesAtOnce: Bool) {
    let moments = Self.course(opening: opening, flushesAtOnce: flushesAtOnce)
    var hasEntered = false
    for end in 0...moments.count {
      var remains = Remains()
      for moment in moments[..<end] {
        switch moment {
        case .flushed(let zxid): remains.durable = zxid
        case .effect(.persistAcceptedEpoch(let epoch)): remains.accepted = epoch
        case .effect(.persistCurrentEpoch(let epoch)): remains.current = epoch
        case .effect(.sendToLeader(let packet, after: .none)): remains.sent.append(packet)
        case .effect(.sendToLeader(let packet, after: .flushed(let zxid))):
          if remains.durable >= zxid { remains.sent.append(packet) }
        default: break
        }
      }
      let sent = remains.sent
      if sent.contains(where: { $0.type == .ackEpoch }) { #expect(remains.accepted == Self.epoch) }
      if remains.current == Self.epoch {
        hasEntered = true
        #expect(remains.durable >= Self.last, "after \(end) moments")
        #expect(remains.accepted == Self.epoch)
      }
      if sent.contains(where: { $0.type == .ack }) {
        #expect(remains.current == Self.epoch, "acknowledged after \(end) moments")
        #expect(remains.durable >= Self.last)
      }
    }
    #expect(hasEntered)
  }
}
