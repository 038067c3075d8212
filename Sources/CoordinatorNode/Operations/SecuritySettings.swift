// Keys of `zoo.cfg` about who is let in.

/// How clients prove who they are. Names are ZooKeeper's.
public struct SecuritySettings: Sendable {
  /// `secureClientPort`; nil: none.
  public var securePort: UInt16?

  public init() {}
}
