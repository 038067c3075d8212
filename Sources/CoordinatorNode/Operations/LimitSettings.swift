// Keys of `zoo.cfg` about how much clients may ask for.

import Settings

/// Limits on connections and requests. Names are ZooKeeper's; each has ZooKeeper's default.
public struct LimitSettings: Sendable {
  /// `clientPortListenBacklog`; -1: as many as the system allows.
  public var backlog: Int32 = -1
  /// `nio.sessionlessCnxnTimeout`: how long a connection may be without a session, in
  /// milliseconds.
  public var sessionlessTimeoutMs: Int64 = 10_000
  /// `clientTcpKeepAlive`: whether the kernel probes silent clients.
  public var clientKeepAlive = false
  /// `largeRequestThreshold`: requests above so many bytes are large; below 1: none are.
  public var largeRequestThreshold = -1
  /// `largeRequestMaxBytes`: bytes of all large requests that are under way.
  public var largeRequestBytes = 100 << 20
  /// `request_throttle_max_requests`: requests under way above which no more are begun; 0: no
  /// limit.
  public var throttledRequests = 0
  /// `request_throttle_stall_time`: milliseconds after which a waiting connection looks again.
  public var throttleStallMs: Int64 = 100

  var connectionThrottle = ConnectionThrottle.Limits()

  public init() {}

  init(_ settings: CoordinatorSettings) {
    backlog = settings.int32("clientPortListenBacklog")
    clientKeepAlive = settings.bool("clientTcpKeepAlive")
    sessionlessTimeoutMs = settings.int64("nio.sessionlessCnxnTimeout")
    largeRequestThreshold = settings.int("largeRequestThreshold")
    largeRequestBytes = settings.int("largeRequestMaxBytes")
    throttledRequests = settings.int("request_throttle_max_requests")
    throttleStallMs = settings.int64("request_throttle_stall_time")
    connectionThrottle = ConnectionThrottle.Limits(settings)
  }
}
