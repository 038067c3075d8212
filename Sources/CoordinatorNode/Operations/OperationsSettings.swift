// Keys of `zoo.cfg` about looking at a server: the AdminServer and the metrics.

import Settings

/// Where and how a server shows itself over HTTP. Names are ZooKeeper's.
public struct OperationsSettings: Sendable {
  /// `admin.enableServer`
  public var adminEnabled = true
  /// `admin.serverPort`; 0 lets the kernel choose.
  public var adminPort: UInt16 = 8080
  /// `admin.serverAddress`. Loopback unless given: the commands need no password.
  public var adminHost = "127.0.0.1"
  /// `admin.commandURL`, without a slash at its end.
  public var commandURL = "/commands"
  /// `admin.idleTimeout` in milliseconds; 0: none.
  public var adminIdleTimeoutMs: Int64 = 30_000
  /// Port of the Prometheus endpoint; nil unless `metricsProvider.className` names its provider.
  public var metricsPort: UInt16?
  /// `metricsProvider.httpHost`
  public var metricsHost = "127.0.0.1"

  /// `jvm.pause.*`
  public var pauses = PauseMonitorSettings()

  private static let package = "org.apache.zookeeper.metrics."

  public init() {}

  init(_ settings: CoordinatorSettings) throws(SettingsError) {
    adminEnabled = settings.bool("admin.enableServer")
    adminPort = settings.port("admin.serverPort") ?? 8080
    adminHost = settings.text("admin.serverAddress") ?? "127.0.0.1"
    adminIdleTimeoutMs = settings.int64("admin.idleTimeout")
    commandURL = settings.text("admin.commandURL") ?? "/commands"
    guard commandURL.hasPrefix("/") else {
      throw settings.error("must begin with a slash", "admin.commandURL")
    }
    while commandURL.utf8.count > 1, commandURL.hasSuffix("/") { commandURL.removeLast() }
    metricsHost = settings.text("metricsProvider.httpHost") ?? "127.0.0.1"
    pauses = PauseMonitorSettings(settings)
    switch settings.text("metricsProvider.className") {
    case nil, Self.package + "impl.DefaultMetricsProvider",
      Self.package + "impl.NullMetricsProvider":
      break
    case Self.package + "prometheus.PrometheusMetricsProvider":
      metricsPort = settings.port("metricsProvider.httpPort") ?? 7000
    default:
      // What scrapes this server would find nothing, and nobody would know why.
      throw settings.error(
        "must be \(Self.package)prometheus.PrometheusMetricsProvider or"
          + " \(Self.package)impl.DefaultMetricsProvider", "metricsProvider.className")
    }
  }
}
