// What servers of an ensemble say to each other: election messages and quorum packets.

import Bytes

/// The kind of a `QuorumPacket`. Raw because a peer may send any number.
public struct PacketType: RawRepresentable, Hashable, Sendable {
  public var rawValue: Int32
  @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let request = PacketType(rawValue: 1)
  public static let proposal = PacketType(rawValue: 2)
  public static let ack = PacketType(rawValue: 3)
  public static let commit = PacketType(rawValue: 4)
  public static let ping = PacketType(rawValue: 5)
  public static let revalidate = PacketType(rawValue: 6)
  public static let sync = PacketType(rawValue: 7)
  public static let inform = PacketType(rawValue: 8)
  public static let commitAndActivate = PacketType(rawValue: 9)
  public static let newLeader = PacketType(rawValue: 10)
  public static let followerInfo = PacketType(rawValue: 11)
  public static let upToDate = PacketType(rawValue: 12)
  public static let diff = PacketType(rawValue: 13)
  public static let trunc = PacketType(rawValue: 14)
  public static let snap = PacketType(rawValue: 15)
  public static let observerInfo = PacketType(rawValue: 16)
  public static let leaderInfo = PacketType(rawValue: 17)
  public static let ackEpoch = PacketType(rawValue: 18)
  public static let informAndActivate = PacketType(rawValue: 19)
}

/// The one packet that leader and learners exchange, back to back on the stream, unframed.
public struct QuorumPacket: JuteRecord, Hashable, Sendable {
  public var type: PacketType
  public var zxid: Int64
  public var data: [UInt8]?
  public var authInfo: [AuthID]?

  public init(
    _ type: PacketType, zxid: Int64, data: [UInt8]? = nil, authInfo: [AuthID]? = nil
  ) {
    self.type = type
    self.zxid = zxid
    self.data = data
    self.authInfo = authInfo
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    type = PacketType(rawValue: try reader.readInt32())
    zxid = try reader.readInt64()
    data = try reader.readJuteBuffer()
    authInfo = try reader.readOptionalJuteVector(of: AuthID.self)
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt32(type.rawValue)
    writer.writeInt64(zxid)
    writer.writeJuteBuffer(data)
    writer.writeJuteVector(authInfo)
  }
}

/// A learner's introduction, in FOLLOWERINFO and OBSERVERINFO.
public struct LearnerInfo: JuteRecord, Hashable, Sendable {
  /// The version this and every current server speaks.
  public static let currentProtocolVersion: Int32 = 0x10000

  public var serverID: Int64
  public var protocolVersion: Int32
  public var configVersion: Int64

  public init(
    serverID: Int64, protocolVersion: Int32 = currentProtocolVersion, configVersion: Int64 = 0
  ) {
    self.serverID = serverID
    self.protocolVersion = protocolVersion
    self.configVersion = configVersion
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    serverID = try reader.readInt64()
    // Servers before 3.5 sent no config version, and the oldest nothing but the id.
    protocolVersion = reader.remaining >= 4 ? try reader.readInt32() : 0
    configVersion = reader.remaining >= 8 ? try reader.readInt64() : 0
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt64(serverID)
    writer.writeInt32(protocolVersion)
    writer.writeInt64(configVersion)
  }
}

/// A server's role, as election messages carry it.
public enum PeerState: Int32, Sendable {
  case looking = 0
  case following = 1
  case leading = 2
  case observing = 3
}

/// One vote on its way: the body of a frame between election ports.
public struct ElectionMessage: Hashable, Sendable {
  /// What current servers write.
  public static let currentVersion: Int32 = 2
  /// Longest configuration text that is believed, in bytes.
  static let maxConfigLength = 1 << 20

  public var state: PeerState
  /// The server voted for.
  public var leader: Int64
  /// That server's last logged transaction.
  public var zxid: Int64
  /// The sender's round of election.
  public var electionEpoch: Int64
  /// The epoch of the server voted for.
  public var peerEpoch: Int64
  public var version: Int32
  /// The sender's view of the ensemble, as in a dynamic configuration file.
  public var config: [UInt8]

  public init(
    state: PeerState, leader: Int64, zxid: Int64, electionEpoch: Int64, peerEpoch: Int64,
    version: Int32 = currentVersion, config: [UInt8] = []
  ) {
    self.state = state
    self.leader = leader
    self.zxid = zxid
    self.electionEpoch = electionEpoch
    self.peerEpoch = peerEpoch
    self.version = version
    self.config = config
  }

  /// Reads the whole frame. Messages of old servers end after the election epoch (28 bytes) or
  /// after the peer epoch (40 bytes).
  public init(from reader: inout ByteReader) throws(ByteError) {
    let length = reader.remaining
    let raw = try reader.readInt32()
    guard let state = PeerState(rawValue: raw) else { throw .invalidValue(Int64(raw)) }
    self.state = state
    leader = try reader.readInt64()
    zxid = try reader.readInt64()
    electionEpoch = try reader.readInt64()
    peerEpoch = length > 28 ? try reader.readInt64() : zxid >> 32
    version = length >= 40 ? try reader.readInt32() : 0
    config = []
    guard version > 1, length >= 44 else { return }
    let count = Int(try reader.readInt32())
    guard count <= Self.maxConfigLength else { throw .invalidLength(Int64(count)) }
    config = try reader.readBytes(count)
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt32(state.rawValue)
    writer.writeInt64(leader)
    writer.writeInt64(zxid)
    writer.writeInt64(electionEpoch)
    writer.writeInt64(peerEpoch)
    writer.writeInt32(version)
    guard version > 1 else { return }
    writer.writeInt32(Int32(config.count))
    writer.writeBytes(config)
  }
}
