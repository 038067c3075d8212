// What opens, keeps and closes a client's connection: handshake, headers, authentication.

import Bytes

/// The first frame a client sends. Old clients leave the `readOnly` byte out.
public struct ConnectRequest: JuteRecord, Hashable, Sendable {
  public var protocolVersion: Int32 = 0
  /// The newest transaction the client has seen: it must not be served by a server that is behind.
  public var lastZxidSeen: Int64 = 0
  /// The session timeout that the client wishes, in milliseconds.
  public var timeOut: Int32 = 0
  /// 0 asks for a new session.
  public var sessionID: Int64 = 0
  public var password: [UInt8]?
  /// Nil when the client did not send the byte, and must not be sent one.
  public var readOnly: Bool?

  public init() {}

  public init(from reader: inout ByteReader) throws(ByteError) {
    protocolVersion = try reader.readInt32()
    lastZxidSeen = try reader.readInt64()
    timeOut = try reader.readInt32()
    sessionID = try reader.readInt64()
    password = try reader.readJuteBuffer()
    readOnly = reader.isAtEnd ? nil : try reader.readBool()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt32(protocolVersion)
    writer.writeInt64(lastZxidSeen)
    writer.writeInt32(timeOut)
    writer.writeInt64(sessionID)
    writer.writeJuteBuffer(password)
    if let readOnly { writer.writeBool(readOnly) }
  }
}

/// The answer to a handshake. A timeout of 0 says that the session has expired.
public struct ConnectResponse: JuteRecord, Hashable, Sendable {
  public var protocolVersion: Int32 = 0
  /// The negotiated session timeout, in milliseconds.
  public var timeOut: Int32 = 0
  public var sessionID: Int64 = 0
  public var password: [UInt8]?
  /// Nil leaves the byte out, for clients that did not send it.
  public var readOnly: Bool?

  public init() {}

  public init(from reader: inout ByteReader) throws(ByteError) {
    protocolVersion = try reader.readInt32()
    timeOut = try reader.readInt32()
    sessionID = try reader.readInt64()
    password = try reader.readJuteBuffer()
    readOnly = reader.isAtEnd ? nil : try reader.readBool()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt32(protocolVersion)
    writer.writeInt32(timeOut)
    writer.writeInt64(sessionID)
    writer.writeJuteBuffer(password)
    if let readOnly { writer.writeBool(readOnly) }
  }
}

/// In front of every request after the handshake.
public struct RequestHeader: JuteRecord, Hashable, Sendable {
  /// The client's number of the request; see `SpecialXid`.
  public var xid: Int32
  public var type: OpCode

  public init(xid: Int32, type: OpCode) {
    self.xid = xid
    self.type = type
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    xid = try reader.readInt32()
    type = OpCode(rawValue: try reader.readInt32())
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt32(xid)
    writer.writeInt32(type.rawValue)
  }
}

/// In front of every reply and notification.
public struct ReplyHeader: JuteRecord, Hashable, Sendable {
  public var xid: Int32
  /// The newest transaction that the answering server has applied.
  public var zxid: Int64
  /// Anything but `ok` means that no body follows (a failed multi has one all the same).
  public var error: ZooKeeperError

  public init(xid: Int32, zxid: Int64, error: ZooKeeperError = .ok) {
    self.xid = xid
    self.zxid = zxid
    self.error = error
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    xid = try reader.readInt32()
    zxid = try reader.readInt64()
    error = ZooKeeperError(rawValue: try reader.readInt32())
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt32(xid)
    writer.writeInt64(zxid)
    writer.writeInt32(error.rawValue)
  }
}

/// Adds an identity to a connection.
public struct AuthPacket: JuteRecord, Hashable, Sendable {
  public var type: Int32 = 0
  public var scheme: String
  public var auth: [UInt8]?

  public init(scheme: String, auth: [UInt8]) {
    self.scheme = scheme
    self.auth = auth
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    type = try reader.readInt32()
    scheme = try reader.readJuteString()
    auth = try reader.readJuteBuffer()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt32(type)
    writer.writeJuteString(scheme)
    writer.writeJuteBuffer(auth)
  }
}

/// The body of a notification (xid −1).
public struct WatcherEvent: JuteRecord, Hashable, Sendable {
  public var type: Int32
  public var state: Int32
  public var path: String

  public init(_ type: WatchEventType, state: SessionState = .syncConnected, path: String) {
    self.type = type.rawValue
    self.state = state.rawValue
    self.path = path
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    type = try reader.readInt32()
    state = try reader.readInt32()
    path = try reader.readJuteString()
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt32(type)
    writer.writeInt32(state)
    writer.writeJuteString(path)
  }
}

/// A SASL token, in requests and responses alike.
public struct SASLToken: JuteRecord, Hashable, Sendable {
  public var token: [UInt8]?

  public init(_ token: [UInt8]?) { self.token = token }

  public init(from reader: inout ByteReader) throws(ByteError) {
    token = try reader.readJuteBuffer()
  }

  public func write(to writer: inout ByteWriter) { writer.writeJuteBuffer(token) }
}
