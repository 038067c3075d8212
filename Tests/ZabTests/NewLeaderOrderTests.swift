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
    /// The leader's tree is on disk, in place of what was there.
    case installed(Zxid)
  }

  /// What a crash leaves, and what others have heard by then.
  private struct Remains {
    var accepted: Int64 = 0
    var current: Int64 = 0
    var durable = Zxid.zero
    var snapshot = Zxid.zero
    var sent: [QuorumPacket] = []
  }

  private static let epoch: Int64 = 1
  private static let last = Zxid(epoch: epoch, counter: 3)
  /// Where the tree ends that a leader sends; two transactions follow it.
  private static let snapshot = Zxid(epoch: epoch, counter: 1)

  private static func membership() -> Membership {
    Membership(
      EnsembleConfig(
        servers: (1...3 as ClosedRange<Int64>).map {
          EnsembleServer(id: $0, host: "s\($0)", quorumPort: 2888, electionPort: 3888)
        }))
  }

  /// The zxid that DIFF, TRUNC or SNAP carries.
  private static func opened(by opening: PacketType) -> Int64 {
    switch opening {
    case .trunc: 0
    case .snap: snapshot.rawValue
    default: last.rawValue
    }
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
    step(.leaderPacket(QuorumPacket(opening, zxid: opened(by: opening))))
    if opening == .snap {
      moments.append(.installed(snapshot))
      step(.snapshotInstalled(snapshot))
    }
    // What a snapshot holds is not sent again.
    for counter in (opening == .snap ? 2 : 1)...3 as ClosedRange<Int64> {
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

  @Test(arguments: [PacketType.diff, .trunc, .snap], [false, true])
  func aCrashAtAnyStepLeavesTheTruth(_ opening: PacketType, _ flushesAtOnce: Bool) {
    let moments = Self.course(opening: opening, flushesAtOnce: flushesAtOnce)
    var hasEntered = false
    for end in 0...moments.count {
      var remains = Remains()
      for moment in moments[..<end] {
        switch moment {
        case .flushed(let zxid): remains.durable = zxid
        case .installed(let zxid): (remains.snapshot, remains.durable) = (zxid, zxid)
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
        #expect(remains.snapshot == (opening == .snap ? Self.snapshot : .zero))
      }
      if sent.contains(where: { $0.type == .ack }) {
        #expect(remains.current == Self.epoch, "acknowledged after \(end) moments")
        #expect(remains.durable >= Self.last)
      }
    }
    #expect(hasEntered)
  }

  /// A crash while the tree comes in, or before it stands on disk, leaves a server of the epoch
  /// before: it has promised the new one and entered nothing.
  @Test func aTreeThatIsNotInstalledEntersNoEpoch() {
    let moments = Self.course(opening: .snap, flushesAtOnce: true)
    let installed = moments.firstIndex { if case .installed = $0 { true } else { false } }
    let asked = moments.firstIndex {
      if case .effect(.receiveSnapshot) = $0 { true } else { false }
    }
    guard let installed, let asked else {
      Issue.record("no snapshot was asked for and installed")
      return
    }
    #expect(asked < installed)
    for moment in moments[..<installed] {
      switch moment {
      case .effect(.persistCurrentEpoch), .effect(.append), .effect(.commit), .flushed:
        Issue.record("\(moment) before the tree was installed")
      default: break
      }
    }
  }
}
