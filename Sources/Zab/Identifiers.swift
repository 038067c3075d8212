// The identities of ZAB: servers, connections, transactions.

import ZooKeeperProtocol

/// `myid`: a server of the ensemble.
public struct ServerID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: Int64
  @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }
  @inlinable public init(_ value: Int64) { rawValue = value }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  public var description: String { "\(rawValue)" }
}

/// One accepted connection of a learner, numbered by whoever accepts; never used again.
public struct LearnerID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: Int
  @inlinable public init(rawValue: Int) { self.rawValue = rawValue }
  @inlinable public init(_ value: Int) { rawValue = value }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  public var description: String { "#\(rawValue)" }
}

/// A transaction as it travels and is logged.
public struct Proposal: Hashable, Sendable {
  public var zxid: Zxid
  /// TxnHeader, record and, if there is one, TxnDigest: the bytes of PROPOSAL and of the log.
  public var data: [UInt8]

  public init(zxid: Zxid, data: [UInt8]) {
    self.zxid = zxid
    self.data = data
  }
}
