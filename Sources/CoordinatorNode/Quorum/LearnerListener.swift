// The quorum port of a leader: learners' connections come in here.

import Bytes
import Platform
import Transport
import Zab
import ZooKeeperProtocol
import Znodes

/// Learners' connections, on the coordinator's loop. Open only while this server leads: a learner
/// that comes too early is refused and tries again.
final class LearnerListener {
  private final class Context {
    let id: LearnerID
    var tracker: PacketTracker
    init(_ id: LearnerID, trackedPackets: Int) {
      self.id = id
      tracker = PacketTracker(limit: trackedPackets)
    }
  }

  private let address: SocketAddress
  private let group: EventLoopGroup
  private let loop: EventLoop
  private let limits: ConnectionLimits
  private let maxData: Int
  private let trackedPackets: Int
  private let tls: QuorumTLS
  private var server: Server?
  private var isWanted = false
  private var learners: [LearnerID: Connection] = [:]
  private var accepted = 0
  /// Trees on their way, each with what has to wait behind it.
  private var streams: [LearnerID: SnapshotStream] = [:]

  private struct SnapshotStream {
    var writer: SnapshotWriter
    var waiting: [QuorumPacket] = []
  }

  var onConnected: ((LearnerID) -> Void)?
  var onPacket: ((LearnerID, QuorumPacket) -> Void)?
  var onDisconnected: ((LearnerID) -> Void)?
  /// Called when a snapshot begins to leave and when it has left, with how many are under way.
  var onStreams: ((Int) -> Void)?

  init(
    at address: SocketAddress, on group: EventLoopGroup, maxData: Int, tls: QuorumTLS,
    tuning: PeerTuning
  ) {
    trackedPackets = tuning.trackedPackets
    self.tls = tls
    self.address = address
    self.group = group
    loop = group.loops[0]
    self.maxData = maxData
    var limits = ConnectionLimits()
    limits.maxFrameBytes = maxData + (1 << 20)
    // A learner that is slow to take its snapshot still has to be listened to.
    limits.highWaterBytes = Int.max
    limits.noDelay = tuning.leaderNoDelay
    limits.keepAlive = false
    self.limits = limits
  }

  subscript(_ id: LearnerID) -> Connection? { learners[id] }

  // MARK: Listening

  /// Begins to listen. The port may still be held by the last moments of a former life; what fails
  /// is tried again while this server leads.
  func open() {
    isWanted = true
    guard server == nil else { return }
    var options = ServerOptions()
    options.limits = limits
    options.name = "quorum"
    options.tls = tls.server
    options.isTLSOptional = tls.isOptional
    let handler = LoopConfined(self)
    do {
      server = try Server(at: address, on: group, options: options) { _ in .stream(handler.value) }
    } catch {
      CoordinatorLog.quorum.error("cannot listen for learners", ["reason": error])
      loop.schedule(afterMs: 200) { [weak self] in
        if self?.isWanted == true { self?.open() }
      }
    }
  }

  /// Stops listening and ends all connections; nothing more is heard of them.
  func close() {
    isWanted = false
    server?.stopListening()
    server = nil
    for id in learners.keys.sorted() { close(id) }
  }

  /// Ends a learner's connection; nothing more is heard of it.
  func close(_ id: LearnerID) {
    streams[id] = nil
    guard let connection = learners.removeValue(forKey: id) else { return }
    (connection.context as? Context)?.tracker.dump(connection.peer)
    connection.close(.local("closed by the leader"))
  }

  func send(_ packet: QuorumPacket, to id: LearnerID) {
    guard let connection = learners[id] else { return }
    (connection.context as? Context)?.tracker.noteSent(packet.type, at: loop.wallNow)
    if streams[id] != nil {
      streams[id]?.waiting.append(packet)
    } else {
      packet.write(to: &connection.output)
    }
  }

  // MARK: Snapshots

  private static let pieceBytes = 1 << 20
  private static let maxUnsentBytes = 4 << 20

  /// Sends a tree piece by piece, as the learner takes it: a large one is not held in memory as
  /// bytes, and does not hold up the clients of this server.
  func sendSnapshot(_ database: Database, zxid: Int64, to id: LearnerID) {
    guard let connection = learners[id] else { return }
    (connection.context as? Context)?.tracker.noteSent(.snap, at: loop.wallNow)
    QuorumPacket(.snap, zxid: zxid).write(to: &connection.output)
    streams[id] = SnapshotStream(writer: SnapshotWriter(database))
    onStreams?(streams.count)
    sendPiece(to: id)
  }

  private func sendPiece(to id: LearnerID) {
    guard let connection = learners[id], var stream = streams.removeValue(forKey: id) else {
      return
    }
    if connection.unsentBytes < Self.maxUnsentBytes,
      !stream.writer.write(to: &connection.output, atLeast: Self.pieceBytes)
    {
      connection.output.writeJuteString(LeaderLink.signature)
      for packet in stream.waiting { packet.write(to: &connection.output) }
      onStreams?(streams.count)
      return
    }
    streams[id] = stream
    loop.schedule(afterMs: 1) { [weak self] in self?.sendPiece(to: id) }
  }

  /// Nil once the leader has given the learner up: what was still on its way does not count.
  private func id(of connection: Connection) -> LearnerID? {
    guard let id = (connection.context as? Context)?.id, learners[id] === connection else {
      return nil
    }
    return id
  }
}

extension LearnerListener: StreamHandler {
  func opened(_ connection: Connection) {
    guard isWanted else { return connection.close(.local("not leading")) }
    accepted += 1
    let id = LearnerID(accepted)
    connection.context = Context(id, trackedPackets: trackedPackets)
    learners[id] = connection
    onConnected?(id)
  }

  func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) -> Int {
    var position = 0
    while let id = id(of: connection),
      let (packet, end) = try PacketStream.next(
        in: UnsafeRawBufferPointer(bytes), at: position, maxData: maxData)
    {
      position = end
      (connection.context as? Context)?.tracker.noteReceived(packet.type, at: loop.wallNow)
      onPacket?(id, packet)
    }
    return position
  }

  func closed(_ connection: Connection, because reason: CloseReason) {
    guard let id = id(of: connection) else { return }
    learners[id] = nil
    streams[id] = nil
    CoordinatorLog.quorum.info("learner disconnected", ["reason": reason])
    (connection.context as? Context)?.tracker.dump(connection.peer)
    onDisconnected?(id)
  }
}
