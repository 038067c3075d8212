// `zoo.cfg`, understood.

import Platform
import Settings

/// One `server.N` line:
/// `host:quorumPort:electionPort[:participant|observer][;[address:]clientPort]`.
public struct EnsembleServer: Hashable, Sendable {
  public var id: Int64
  public var host: String
  public var quorumPort: UInt16
  public var electionPort: UInt16
  public var isObserver = false
  /// After the semicolon: where this server takes clients.
  public var clientHost: String?
  public var clientPort: UInt16?

  /// The line's value as ZooKeeper writes it into its dynamic configuration.
  public var text: String {
    var text = "\(host):\(quorumPort):\(electionPort):\(isObserver ? "observer" : "participant")"
    if let clientPort { text += ";\(clientHost ?? "0.0.0.0"):\(clientPort)" }
    return text
  }
}

/// Everything a server is told. Names are ZooKeeper's with their units.
public struct CoordinatorConfig: Sendable {
  public var dataDir = ""
  /// Where transaction logs go; `dataDir` unless given.
  public var dataLogDir = ""
  public var clientPort: UInt16 = 2181
  /// Loopback unless `clientPortAddress` says otherwise.
  public var clientHost = "127.0.0.1"
  public var tickTimeMs: Int32 = 3000
  public var initLimit: Int32 = 0
  public var syncLimit: Int32 = 0
  public var maxClientConnections = 60
  /// Most connections at all; 0: no limit.
  public var maxConnections = 0
  public var minSessionTimeoutMs: Int32 = 0
  public var maxSessionTimeoutMs: Int32 = 0
  public var snapCount = 100_000
  /// Bytes by which logs are lengthened ahead.
  public var preallocation: Int64 = 64 << 20
  /// Whether commits wait for the disk.
  public var forceSync = true
  public var globalOutstandingLimit = 1000
  public var maxFrameBytes = 0xfffff
  public var commitLogCount = 500
  public var digestEnabled = true
  public var extendedTypesEnabled = false
  /// `user:hash` of the super user.
  public var superDigest: String?
  var allowedWords: Set<FourLetterWord> = [.srvr]
  /// Snapshots kept by the purge, and hours between purges; 0: never.
  public var purgeRetainCount = 3
  public var purgeIntervalHours = 0
  /// Port of the Prometheus endpoint; nil: none.
  public var metricsPort: UInt16?
  public var metricsHost = "127.0.0.1"
  /// Milliseconds between looks for empty containers.
  public var containerCheckIntervalMs: Int64 = 60_000

  /// `myid`; 0 when standalone.
  public var serverID: Int64 = 0
  /// By id, ascending. Empty or one participant: standalone.
  public var servers: [EnsembleServer] = []
  public var quorumListensOnAllIPs = false
  /// `peerType=observer`
  public var isObserver = false
  public var electionPortBindRetry = 3
  public var connectToLearnerMasterLimit: Int32 = 0

  public var isEnsemble: Bool { servers.count > 1 || servers.contains { $0.isObserver } }
  public var ownServer: EnsembleServer? { servers.first { $0.id == serverID } }
  /// In session ids; a lone server has ZooKeeper's 1.
  var sessionServerID: Int64 { isEnsemble ? serverID : 1 }

  /// The ensemble as a dynamic configuration file has it.
  public var ensembleText: String {
    servers.map { "server.\($0.id)=\($0.text)\n" }.joined() + "version=0"
  }

  public var operations = OperationsSettings()
  public var limits = LimitSettings()
  public var security = SecuritySettings()
  /// What was given, in its order; passwords are hidden.
  public var given: [(key: String, value: String)] = []

  public init() {}

  /// Reads the settings.
  ///
  /// - Throws: `SettingsError` naming file, line, key and value.
  /// - Returns: Also one line for each key that has no effect here.
  public static func load(
    _ sources: SettingSources
  ) throws(SettingsError) -> (config: CoordinatorConfig, warnings: [String]) {
    var reader = CoordinatorConfigReader(sources)
    let config = try reader.read()
    return (config, reader.warnings)
  }
}
