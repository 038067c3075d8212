// `zoo.cfg`, understood.

import Platform
import Settings
import Zab

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
  /// Snapshots kept by the purge, and milliseconds between purges; 0: never.
  public var purgeRetainCount = 3
  public var purgeIntervalMs: Int64 = 0
  /// What requests may do.
  public var requests = RequestSettings()
  /// Milliseconds between looks for empty containers.
  public var containerCheckIntervalMs: Int64 = 60_000

  /// `myid`; 0 when standalone.
  public var serverID: Int64 = 0
  /// Who is in the ensemble as the files have it; a running server's view is its driver's.
  public var membership = EnsembleConfig()
  public var quorumListensOnAllIPs = false
  /// Whether a single participant needs no ensemble.
  public var standaloneEnabled = true
  /// `peerType=observer`
  public var isObserver = false
  /// Whether a leader takes clients.
  public var leaderServes = true
  public var reconfigEnabled = false
  /// Whether clients that asked for as little are served without a quorum.
  public var readOnlyModeEnabled = false
  /// How often a taken election port is tried again; 0: for ever.
  public var electionPortBindRetry = 3
  public var connectToLearnerMasterLimit: Int32 = 0
  public var electionConnectTimeoutMs: Int32 = 5000
  /// The file that was read, and the file with the server lines; nil when there is none.
  public var staticFile: String?
  public var dynamicFile: String?
  /// The last configuration that was proposed, as far as this server knows; it may be newer than
  /// `membership`.
  public var lastSeenMembership: EnsembleConfig?
  var peers = PeerTuning()
  var storage = StorageTuning()

  public var isEnsemble: Bool {
    membership.participantCount > 1 || (!standaloneEnabled && membership.participantCount > 0)
  }
  public var servers: [EnsembleServer] { membership.servers }
  public var ownServer: EnsembleServer? { membership.server(serverID) }
  /// In session ids; a lone server has ZooKeeper's 1.
  var sessionServerID: Int64 { isEnsemble ? serverID : 1 }

  public var operations = OperationsSettings()
  public var limits = LimitSettings()
  public var security = SecuritySettings()
  /// What was given, in its order; passwords are hidden.
  public var given: [(key: String, value: String)] = []

  public init() {}

  /// Reads the settings.
  ///
  /// - Parameter file: The file they come from, which a reconfiguration rewrites.
  /// - Throws: `SettingsError` naming file, line, key and value.
  /// - Returns: Also one line for each key that has no effect here.
  public static func load(
    _ sources: SettingSources, file: String? = nil
  ) throws(SettingsError) -> (config: CoordinatorConfig, warnings: [String]) {
    var reader = CoordinatorConfigReader(try CoordinatorSettings(sources), file: file)
    let config = try reader.read()
    return (config, reader.warnings)
  }
}

/// What tunes the protocols between servers.
struct PeerTuning: Sendable {
  var minNotificationMs: Int64 = 200
  var maxNotificationMs: Int64 = 60_000
  var connectRetryMs: Int64 = 100
  /// How long an election connection may take to say who opens it.
  var greetingTimeoutMs: Int64 = 0
  /// nil: `initLimit` ticks.
  var epochWaitMs: Int64?
  var maxConcurrentSnapshots = 10
  var maxConcurrentDiffs = 100
  /// Whether learners are always brought up by a snapshot.
  var forcesSnapshots = false
  /// `syncEnabled`: whether observers write what they hear to logs and snapshots.
  var observerKeepsLog = true
  /// `observer.election.DelayMs` and `observer.reconnectDelayMs`: the longest pauses.
  var observerElectionDelayMs: Int64 = 200
  var observerReconnectDelayMs: Int64 = 0
  /// `leader.ackLoggingFrequency`: of how many transactions the acknowledgements of one are timed;
  /// 0: of none.
  var ackLoggingFrequency: Int64 = 1000
  /// `messageTracker.BufferSize`, where `messageTracker.Enabled`; 0: no packets are kept.
  var trackedPackets = 0
  /// `tcpKeepAlive`, of election connections.
  var electionKeepsAlive = false
  /// `leader.nodelay` and `follower.nodelay`.
  var leaderNoDelay = true
  var followerNoDelay = true
}

/// What tunes files.
struct StorageTuning: Sendable {
  var createsDirectories = true
  var trustsMissingSnapshot = false
  var snapshotCompression = SnapshotCompression.none
  /// Bytes of log between snapshots; nil: no limit.
  var snapshotLogBytes: Int64?
  /// Bytes at which a log is closed; nil: no limit.
  var maxLogBytes: Int64?
  var slowFlushMs: Int64 = 1000
  /// `flushDelay`: milliseconds by which a flush waits for more transactions; 0: not at all.
  var flushDelayMs: Int64 = 0
  /// `maxBatchSize`: transactions that share a flush at most; 0: no limit.
  var maxBatchSize: Int64 = 1000
  /// `maxWriteQueuePollTime`: a flush waits no longer for the rest of `flushDelay` once no
  /// transaction has come for so many milliseconds; nil: a third of `flushDelay`.
  var maxIdleMs: Int64?
  /// Most of the log on disk that is sent in place of a snapshot, as a share of the newest one.
  var logToSnapshotRatio = 0.33
  /// `jute.maxbuffer.extrasize`
  var extraFrameBytes = 0xfffff
}

/// `snapshot.compression.method`
enum SnapshotCompression: String, Sendable {
  case none = "checked"
  case gzip = "gz"
  case snappy

  /// The end of a snapshot's name.
  var suffix: String { self == .none ? "" : "." + rawValue }

  /// What a snapshot of this name was written with.
  init(ofFile path: String) {
    self =
      path.hasSuffix(Self.gzip.suffix)
      ? .gzip : path.hasSuffix(Self.snappy.suffix) ? .snappy : .none
  }
}
