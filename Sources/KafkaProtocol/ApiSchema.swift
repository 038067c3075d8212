// What is known about an API beside its messages: versions, and who serves it.

/// The roles that list and serve an API.
public struct ListenerRoles: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// A broker whose cluster is coordinated by ZooKeeper.
  public static let zkBroker = ListenerRoles(rawValue: 1)
  /// A broker of a KRaft cluster.
  public static let broker = ListenerRoles(rawValue: 2)
  /// A KRaft controller.
  public static let controller = ListenerRoles(rawValue: 4)
}

/// One row of the API table, transcribed from the protocol of 3.9.
public struct ApiSchema: Hashable, Sendable {
  /// As the protocol spells it: `InitProducerId`.
  public var name: String
  public var versions: ClosedRange<Int16>
  /// The first version with compact lengths and tagged fields (KIP-482); `Int16.max` if none.
  public var firstFlexible: Int16
  public var listeners: ListenerRoles
  /// The last version that clients should no longer use (KIP-896); -1 if none.
  public var lastDeprecated: Int16
  /// The last version is only listed with `unstable.api.versions.enable`.
  public var latestIsUnstable: Bool

  init(
    name: String, versions: ClosedRange<Int16>, firstFlexible: Int16, listeners: ListenerRoles,
    lastDeprecated: Int16 = -1, latestIsUnstable: Bool = false
  ) {
    self.name = name
    self.versions = versions
    self.firstFlexible = firstFlexible
    self.listeners = listeners
    self.lastDeprecated = lastDeprecated
    self.latestIsUnstable = latestIsUnstable
  }

  /// The versions to list; nil when the only one is unstable.
  public var stableVersions: ClosedRange<Int16>? {
    guard latestIsUnstable else { return versions }
    return versions.count > 1 ? versions.lowerBound...(versions.upperBound - 1) : nil
  }
}

extension ApiKey {
  /// As the protocol spells it: `InitProducerId`.
  public var name: String { schema.name }
  public var versions: ClosedRange<Int16> { schema.versions }
  public var listeners: ListenerRoles { schema.listeners }

  @inlinable public func isFlexible(_ version: Int16) -> Bool { version >= schema.firstFlexible }

  /// The header version of a request: 2 with tagged fields, else 1. Version 0 of ControlledShutdown
  /// is the one request that carries no client id.
  public func requestHeaderVersion(_ version: Int16) -> Int16 {
    if self == .controlledShutdown, version == 0 { return 0 }
    return isFlexible(version) ? 2 : 1
  }

  /// The header version of a response. ApiVersions keeps version 0 throughout, because a client
  /// must be able to read the answer to a version that the server does not know (KIP-511).
  public func responseHeaderVersion(_ version: Int16) -> Int16 {
    self != .apiVersions && isFlexible(version) ? 1 : 0
  }
}
