// Bodies of replies to client requests.

import Bytes

/// create2 (and createContainer, createTTL).
public struct Create2Response: JuteRecord, Hashable, Sendable {
  public var path: String
  public var stat: Stat

  public init(path: String, stat: Stat) {
    self.path = path
    self.stat = stat
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    path = try reader.readJuteString()
    stat = try Stat(from: &reader)
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeJuteString(path)
    stat.write(to: &writer)
  }
}

public struct GetDataResponse: JuteRecord, Hashable, Sendable {
  public var data: [UInt8]?
  public var stat: Stat

  public init(data: [UInt8]?, stat: Stat) {
    self.data = data
    self.stat = stat
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    data = try reader.readJuteBuffer()
    stat = try Stat(from: &reader)
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeJuteBuffer(data)
    stat.write(to: &writer)
  }
}

/// getChildren; getEphemerals has the same layout.
public struct GetChildrenResponse: JuteRecord, Hashable, Sendable {
  public var children: [String]

  public init(children: [String]) { self.children = children }

  public init(from reader: inout ByteReader) throws(ByteError) {
    children = try reader.readJuteStrings()
  }

  public func write(to writer: inout ByteWriter) { writer.writeJuteStrings(children) }
}

public struct GetChildren2Response: JuteRecord, Hashable, Sendable {
  public var children: [String]
  public var stat: Stat

  public init(children: [String], stat: Stat) {
    self.children = children
    self.stat = stat
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    children = try reader.readJuteStrings()
    stat = try Stat(from: &reader)
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeJuteStrings(children)
    stat.write(to: &writer)
  }
}

public struct GetACLResponse: JuteRecord, Hashable, Sendable {
  public var acl: [ACL]
  public var stat: Stat

  public init(acl: [ACL], stat: Stat) {
    self.acl = acl
    self.stat = stat
  }

  public init(from reader: inout ByteReader) throws(ByteError) {
    acl = try reader.readJuteVector(of: ACL.self)
    stat = try Stat(from: &reader)
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeJuteVector(acl)
    stat.write(to: &writer)
  }
}

/// A bare int: getAllChildrenNumber's answer, and an error inside a multi.
public struct IntRecord: JuteRecord, Hashable, Sendable {
  public var value: Int32

  public init(_ value: Int32) { self.value = value }

  public init(from reader: inout ByteReader) throws(ByteError) { value = try reader.readInt32() }

  public func write(to writer: inout ByteWriter) { writer.writeInt32(value) }
}

public struct WhoAmIResponse: JuteRecord, Hashable, Sendable {
  /// Scheme and user of every identity of the connection.
  public var clientInfo: [AuthID]

  public init(clientInfo: [AuthID]) { self.clientInfo = clientInfo }

  public init(from reader: inout ByteReader) throws(ByteError) {
    clientInfo = try reader.readJuteVector(of: AuthID.self)
  }

  public func write(to writer: inout ByteWriter) { writer.writeJuteVector(clientInfo) }
}
