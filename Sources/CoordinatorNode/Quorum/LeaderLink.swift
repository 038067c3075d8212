// A learner's connection to its leader: packets, and in between a snapshot.

import Bytes
import Platform
import Transport
import Zab
import ZooKeeperProtocol
import Znodes

/// The connection to the leader, on the coordinator's loop. Acknowledgements pass the durability
/// gate on their way out.
final class LeaderLink {
  private let loop: EventLoop
  private let maxData: Int
  private let tls: TLSContext?
  private let extendedTypes: Bool
  private let noDelay: Bool
  private var tracker: PacketTracker
  private var connection: Connection?
  private var gate: DurabilityGate
  /// A snapshot is coming in; packets follow behind it.
  private var snapshot: (loader: SnapshotLoader, zxid: Zxid, isRead: Bool)?
  /// Rises with every attempt, so that an address that comes late is not connected to.
  private var attempt = 0

  var onConnected: (() -> Void)?
  var onPacket: ((QuorumPacket) -> Void)?
  /// A whole snapshot has come; false: it could not be installed.
  var onSnapshot: ((Database) -> Bool)?
  /// The connection could not be made, or is gone.
  var onDisconnected: (() -> Void)?

  /// Follows a whole snapshot.
  static let signature = "BenWasHere"
  /// The largest item of a snapshot (a node with its data), and room for others.
  private static let maxUnconsumed = 64 << 20

  init(
    on loop: EventLoop, durable: Zxid, maxData: Int, extendedTypes: Bool, tls: TLSContext?,
    tuning: PeerTuning
  ) {
    noDelay = tuning.followerNoDelay
    tracker = PacketTracker(limit: tuning.trackedPackets)
    self.tls = tls
    self.loop = loop
    self.maxData = maxData
    self.extendedTypes = extendedTypes
    gate = DurabilityGate(durable: durable)
  }

  // MARK: Connecting

  /// Begins an attempt; ends with `onConnected` or `onDisconnected`.
  func connect(to member: EnsembleServer, timeoutMs: Int64) {
    attempt += 1
    let attempt = attempt
    QuorumAddress.resolve(member.host, port: member.quorumPort, on: loop) { address in
      guard self.attempt == attempt else { return }
      guard let address else {
        self.onDisconnected?()
        return
      }
      var limits = ConnectionLimits()
      limits.maxFrameBytes = max(self.maxData + (1 << 20), Self.maxUnconsumed)
      limits.connectTimeoutMs = timeoutMs
      limits.noDelay = self.noDelay
      limits.keepAlive = false
      self.connection = Connection.connect(
        to: address, on: self.loop, .stream(self), limits: limits, tls: self.tls,
        host: member.host)
    }
  }

  /// Ends the connection, with all that waits for it; nothing more is heard of it.
  func close() {
    attempt += 1
    gate.dropAll()
    snapshot = nil
    let former = connection
    connection = nil
    if let former { tracker.dump(former.peer) }
    former?.close(.local("leader given up"))
  }

  // MARK: Sending

  /// Sends once the log is durable as far as the packet needs it, and behind all sent before.
  func send(_ packet: QuorumPacket, after durability: Durability) {
    guard let packet = gate.pass(packet, after: durability) else { return }
    write(packet)
  }

  private func write(_ packet: QuorumPacket) {
    guard let connection else { return }
    tracker.noteSent(packet.type, at: loop.wallNow)
    packet.write(to: &connection.output)
  }

  /// The log is durable up to here; acknowledgements that waited for it leave.
  func flushed(_ zxid: Zxid) { gate.flushed(zxid, write) }
  func reset(durable zxid: Zxid) { gate.reset(durable: zxid) }

  // MARK: Snapshots

  /// What comes next is a tree.
  func expectSnapshot(_ zxid: Zxid) {
    snapshot = (SnapshotLoader(extendedTypes: extendedTypes), zxid, false)
  }

  /// Takes what is there of a snapshot; the position behind it, and whether it is complete.
  private func takeSnapshot(
    _ bytes: UnsafeRawBufferPointer, at position: Int
  ) throws(CloseReason) -> (end: Int, isComplete: Bool) {
    let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
    var reader = ByteReader(rest.bytes)
    guard var incoming = snapshot else { return (position, true) }
    snapshot = nil  // so that the loader is not copied while it grows
    if !incoming.isRead {
      do { incoming.isRead = try incoming.loader.consume(&reader) } catch {
        throw .malformed("snapshot from the leader: \(error)")
      }
    }
    guard incoming.isRead, reader.remaining >= 4 + Self.signature.utf8.count else {
      snapshot = incoming
      return (position + reader.position, false)
    }
    guard (try? reader.readJuteString()) == Self.signature else {
      throw .malformed("snapshot without its signature")
    }
    let database = incoming.loader.finish(zxid: incoming.zxid.rawValue)
    guard onSnapshot?(database) == true else {
      throw .local("snapshot could not be installed")
    }
    return (position + reader.position, true)
  }
}

extension LeaderLink: StreamHandler {
  func opened(_ connection: Connection) {
    if connection === self.connection { onConnected?() }
  }

  func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) -> Int {
    let bytes = UnsafeRawBufferPointer(bytes)
    var position = 0
    while connection === self.connection {
      if snapshot != nil {
        let (end, isComplete) = try takeSnapshot(bytes, at: position)
        position = end
        if !isComplete { break }
      } else if let (packet, end) = try PacketStream.next(
        in: bytes, at: position, maxData: maxData)
      {
        position = end
        tracker.noteReceived(packet.type, at: loop.wallNow)
        onPacket?(packet)
      } else {
        break
      }
    }
    return position
  }

  func closed(_ connection: Connection, because reason: CloseReason) {
    guard connection === self.connection else { return }
    self.connection = nil
    gate.dropAll()
    snapshot = nil
    tracker.dump(connection.peer)
    // A leader that does not listen yet is nothing to talk about.
    if connection.receivedBytes > 0 {
      CoordinatorLog.quorum.info("disconnected from the leader", ["reason": reason])
    }
    onDisconnected?()
  }
}
