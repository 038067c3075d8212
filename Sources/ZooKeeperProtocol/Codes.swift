// The numbers of ZooKeeper's client protocol: operations, errors, events, flags.

/// What a request asks, and what a transaction does. Raw because a peer may send any number.
public struct OpCode: RawRepresentable, Hashable, Sendable {
  public var rawValue: Int32
  @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let notification = OpCode(rawValue: 0)
  public static let create = OpCode(rawValue: 1)
  public static let delete = OpCode(rawValue: 2)
  public static let exists = OpCode(rawValue: 3)
  public static let getData = OpCode(rawValue: 4)
  public static let setData = OpCode(rawValue: 5)
  public static let getACL = OpCode(rawValue: 6)
  public static let setACL = OpCode(rawValue: 7)
  public static let getChildren = OpCode(rawValue: 8)
  public static let sync = OpCode(rawValue: 9)
  public static let ping = OpCode(rawValue: 11)
  public static let getChildren2 = OpCode(rawValue: 12)
  public static let check = OpCode(rawValue: 13)
  public static let multi = OpCode(rawValue: 14)
  public static let create2 = OpCode(rawValue: 15)
  public static let reconfig = OpCode(rawValue: 16)
  public static let checkWatches = OpCode(rawValue: 17)
  public static let removeWatches = OpCode(rawValue: 18)
  public static let createContainer = OpCode(rawValue: 19)
  public static let deleteContainer = OpCode(rawValue: 20)
  public static let createTTL = OpCode(rawValue: 21)
  public static let multiRead = OpCode(rawValue: 22)
  public static let auth = OpCode(rawValue: 100)
  public static let setWatches = OpCode(rawValue: 101)
  public static let sasl = OpCode(rawValue: 102)
  public static let getEphemerals = OpCode(rawValue: 103)
  public static let getAllChildrenNumber = OpCode(rawValue: 104)
  public static let setWatches2 = OpCode(rawValue: 105)
  public static let addWatch = OpCode(rawValue: 106)
  public static let whoAmI = OpCode(rawValue: 107)
  public static let createSession = OpCode(rawValue: -10)
  public static let closeSession = OpCode(rawValue: -11)
  public static let error = OpCode(rawValue: -1)

  /// Whether the request is answered by a transaction of its own; multi counts.
  public var isWrite: Bool {
    switch self {
    case .create, .create2, .createContainer, .createTTL, .delete, .deleteContainer, .setData,
      .setACL, .multi, .reconfig, .check, .createSession, .closeSession:
      true
    default: false
    }
  }
}

/// An error code of ZooKeeper; also thrown by whatever decides about a request.
public struct ZooKeeperError: RawRepresentable, Error, Hashable, Sendable {
  public var rawValue: Int32
  @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let ok = ZooKeeperError(rawValue: 0)
  public static let systemError = ZooKeeperError(rawValue: -1)
  public static let runtimeInconsistency = ZooKeeperError(rawValue: -2)
  public static let dataInconsistency = ZooKeeperError(rawValue: -3)
  public static let connectionLoss = ZooKeeperError(rawValue: -4)
  public static let marshallingError = ZooKeeperError(rawValue: -5)
  public static let unimplemented = ZooKeeperError(rawValue: -6)
  public static let operationTimeout = ZooKeeperError(rawValue: -7)
  public static let badArguments = ZooKeeperError(rawValue: -8)
  public static let unknownSession = ZooKeeperError(rawValue: -12)
  public static let newConfigNoQuorum = ZooKeeperError(rawValue: -13)
  public static let reconfigInProgress = ZooKeeperError(rawValue: -14)
  public static let apiError = ZooKeeperError(rawValue: -100)
  public static let noNode = ZooKeeperError(rawValue: -101)
  public static let noAuth = ZooKeeperError(rawValue: -102)
  public static let badVersion = ZooKeeperError(rawValue: -103)
  public static let noChildrenForEphemerals = ZooKeeperError(rawValue: -108)
  public static let nodeExists = ZooKeeperError(rawValue: -110)
  public static let notEmpty = ZooKeeperError(rawValue: -111)
  public static let sessionExpired = ZooKeeperError(rawValue: -112)
  public static let invalidCallback = ZooKeeperError(rawValue: -113)
  public static let invalidACL = ZooKeeperError(rawValue: -114)
  public static let authFailed = ZooKeeperError(rawValue: -115)
  public static let sessionMoved = ZooKeeperError(rawValue: -118)
  public static let notReadOnly = ZooKeeperError(rawValue: -119)
  public static let ephemeralOnLocalSession = ZooKeeperError(rawValue: -120)
  public static let noWatcher = ZooKeeperError(rawValue: -121)
  public static let requestTimeout = ZooKeeperError(rawValue: -122)
  public static let reconfigDisabled = ZooKeeperError(rawValue: -123)
  public static let sessionClosedRequireSASLAuth = ZooKeeperError(rawValue: -124)
  public static let quotaExceeded = ZooKeeperError(rawValue: -125)
  public static let throttled = ZooKeeperError(rawValue: -127)
}

/// Request ids below zero that mean something to both sides.
public enum SpecialXid {
  public static let notification: Int32 = -1
  public static let ping: Int32 = -2
  public static let auth: Int32 = -4
  public static let setWatches: Int32 = -8
}

/// What a watch event tells.
public enum WatchEventType: Int32, Sendable {
  case none = -1
  case nodeCreated = 1
  case nodeDeleted = 2
  case nodeDataChanged = 3
  case nodeChildrenChanged = 4
  case dataWatchRemoved = 5
  case childWatchRemoved = 6
  case persistentWatchRemoved = 7
}

/// The client's standing, as carried by every watch event.
public enum SessionState: Int32, Sendable {
  case disconnected = 0
  case syncConnected = 3
  case authFailed = 4
  case connectedReadOnly = 5
  case saslAuthenticated = 6
  case expired = -112
}

/// Kinds of watch that `removeWatches` and `checkWatches` name.
public enum WatcherType: Int32, Sendable {
  case children = 1
  case data = 2
  case any = 3
}

/// How a watch that `addWatch` sets behaves.
public enum AddWatchMode: Int32, Sendable {
  case persistent = 0
  case persistentRecursive = 1
}

/// The kinds of znode a create request can ask for.
public enum CreateMode: Int32, Sendable {
  case persistent = 0
  case ephemeral = 1
  case persistentSequential = 2
  case ephemeralSequential = 3
  case container = 4
  case persistentWithTTL = 5
  case persistentSequentialWithTTL = 6

  public var isEphemeral: Bool { self == .ephemeral || self == .ephemeralSequential }
  public var isSequential: Bool {
    self == .persistentSequential || self == .ephemeralSequential
      || self == .persistentSequentialWithTTL
  }
  public var hasTTL: Bool { self == .persistentWithTTL || self == .persistentSequentialWithTTL }
}

/// What an ACL entry allows.
public struct Permissions: OptionSet, Hashable, Sendable {
  public var rawValue: Int32
  @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }
  public static let read = Permissions(rawValue: 1)
  public static let write = Permissions(rawValue: 2)
  public static let create = Permissions(rawValue: 4)
  public static let delete = Permissions(rawValue: 8)
  public static let admin = Permissions(rawValue: 16)
  public static let all = Permissions(rawValue: 31)
}
