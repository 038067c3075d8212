// From the keys of `zoo.cfg` to a configuration. `ConfigTable.coordinator` says which keys there
// are and what becomes of each; here is what they mean together.

import Platform
import Settings
import Zab

struct CoordinatorConfigReader {
  private let settings: CoordinatorSettings
  private(set) var warnings: [String]
  private var config = CoordinatorConfig()

  init(_ settings: CoordinatorSettings, file: String?) {
    self.settings = settings
    warnings = settings.warnings
    config.staticFile = file
  }

  mutating func read() throws(SettingsError) -> CoordinatorConfig {
    guard let dataDir = settings.text("dataDir") else {
      throw SettingsError("dataDir is not set", key: "dataDir")
    }
    config.dataDir = dataDir
    config.dataLogDir = settings.text("dataLogDir") ?? dataDir
    try readService()
    try readStorage()
    readProtocols()
    try readMembership()
    config.security = try SecuritySettings(settings, hosts: config.servers.map(\.host))
    if config.ownServer?.clientPort != nil { config.security.servesPlainClients = true }
    let security = config.security
    if security.clientTLS != nil { config.requests.authority.schemes.insert("x509") }
    if security.sasl.users != nil { config.requests.authority.schemes.insert("sasl") }
    return config
  }

  // MARK: Clients

  private mutating func readService() throws(SettingsError) {
    config.clientPort = settings.port("clientPort") ?? 2181
    config.clientHost = settings.text("clientPortAddress") ?? "127.0.0.1"
    config.tickTimeMs = settings.int32("tickTime")
    config.maxClientConnections = settings.int("maxClientCnxns")
    config.maxConnections = settings.int("maxCnxns")
    config.globalOutstandingLimit = settings.int("globalOutstandingLimit")
    config.maxFrameBytes = settings.int("jute.maxbuffer")
    try readSessionTimeouts()
    config.superDigest = settings.text("DigestAuthenticationProvider.superDigest")
    config.allowedWords = words(settings.list("4lw.commands.whitelist"))
    config.containerCheckIntervalMs = settings.int64("znode.container.checkIntervalMs")
    config.extendedTypesEnabled = settings.bool("extendedTypesEnabled")
    config.operations = try OperationsSettings(settings)
    config.limits = LimitSettings(settings)
    config.requests = try RequestSettings(settings)
    config.given = settings.given
  }

  private mutating func readSessionTimeouts() throws(SettingsError) {
    let (shortest, longest) = (
      settings.int32("minSessionTimeout"), settings.int32("maxSessionTimeout")
    )
    // A tick may be an hour: 20 of them still have to fit.
    let tick = Int64(config.tickTimeMs)
    config.minSessionTimeoutMs = shortest <= 0 ? Int32(clamping: tick * 2) : shortest
    config.maxSessionTimeoutMs = longest <= 0 ? Int32(clamping: tick * 20) : longest
    guard config.minSessionTimeoutMs <= config.maxSessionTimeoutMs else {
      let key = settings.isGiven("minSessionTimeout") ? "minSessionTimeout" : "maxSessionTimeout"
      throw settings.error("minSessionTimeout must not be above maxSessionTimeout", key)
    }
  }

  private func words(_ names: [String]) -> Set<FourLetterWord> {
    if names.contains("*") { return Set(FourLetterWord.allCases) }
    // Words of later versions are allowed by some, and are not there.
    return Set(names.compactMap { FourLetterWord(rawValue: $0) })
  }

  // MARK: Files

  private mutating func readStorage() throws(SettingsError) {
    config.snapCount = settings.int("snapCount")
    config.preallocation = settings.int64("preAllocSize") << 10
    config.forceSync = settings.bool("forceSync")
    config.commitLogCount = settings.int("commitLogCount")
    config.digestEnabled = settings.bool("digest.enabled")
    config.purgeRetainCount = max(3, settings.int("autopurge.snapRetainCount"))
    if config.purgeRetainCount != settings.int("autopurge.snapRetainCount") {
      let complaint = settings.error("3 is the least, and is used", "autopurge.snapRetainCount")
      warnings.append("\(complaint)")
    }
    guard let interval = Self.milliseconds(settings.text("autopurge.purgeInterval") ?? "0") else {
      throw settings.error(
        "must be hours, or a time with one of the units ms, s, m, h, d", "autopurge.purgeInterval")
    }
    config.purgeIntervalMs = interval
    config.storage.createsDirectories = settings.bool("datadir.autocreate")
    config.storage.trustsMissingSnapshot = settings.bool("snapshot.trust.empty")
    config.storage.snapshotCompression =
      SnapshotCompression(
        rawValue: settings.text("snapshot.compression.method")?.lowercased() ?? "") ?? .none
    config.storage.snapshotLogBytes = Self.bytes(kilobytes: settings.int64("snapSizeLimitInKb"))
    config.storage.maxLogBytes = Self.bytes(kilobytes: settings.int64("txnLogSizeLimitInKb"))
    config.storage.slowFlushMs = settings.int64("fsync.warningthresholdms")
    config.storage.flushDelayMs = settings.int64("flushDelay")
    config.storage.maxBatchSize = settings.int64("maxBatchSize")
    if settings.isGiven("maxWriteQueuePollTime") {
      config.storage.maxIdleMs = settings.int64("maxWriteQueuePollTime")
    }
    config.storage.logToSnapshotRatio = settings.double("snapshotSizeFactor")
    config.storage.extraFrameBytes =
      settings.isGiven("jute.maxbuffer.extrasize")
      ? settings.int("jute.maxbuffer.extrasize") : max(config.maxFrameBytes, 1024)
  }

  /// Nil for no limit.
  private static func bytes(kilobytes: Int64) -> Int64? {
    kilobytes < 1 ? nil : min(kilobytes, .max >> 10) << 10
  }

  /// A number of hours, or a number with a unit.
  private static func milliseconds(_ text: String) -> Int64? {
    let units: [(suffix: String, factor: Int64)] = [
      ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
      ("", 3_600_000),
    ]
    guard let unit = units.first(where: { text.hasSuffix($0.suffix) || $0.suffix.isEmpty }),
      let number = Int64(text.dropLast(unit.suffix.utf8.count)), number >= 0
    else { return nil }
    let (product, overflow) = number.multipliedReportingOverflow(by: unit.factor)
    return overflow ? nil : product
  }

  // MARK: The ensemble

  private mutating func readProtocols() {
    config.initLimit = settings.int32("initLimit")
    config.syncLimit = settings.int32("syncLimit")
    config.connectToLearnerMasterLimit = settings.int32("connectToLearnerMasterLimit")
    config.isObserver = settings.text("peerType")?.lowercased() == "observer"
    config.standaloneEnabled = settings.bool("standaloneEnabled")
    config.reconfigEnabled = settings.bool("reconfigEnabled")
    config.readOnlyModeEnabled = settings.bool("readonlymode.enabled")
    config.leaderServes = settings.bool("leaderServes")
    config.quorumListensOnAllIPs = settings.bool("quorumListenOnAllIPs")
    config.electionPortBindRetry = settings.int("electionPortBindRetry")
    config.electionConnectTimeoutMs = settings.int32("cnxTimeout")
    config.peers.minNotificationMs = settings.int64("fastleader.minNotificationInterval")
    config.peers.maxNotificationMs = settings.int64("fastleader.maxNotificationInterval")
    config.peers.connectRetryMs = settings.int64("leaderConnectDelayDuringRetryMs")
    let greeting = settings.int64("quorumCnxnTimeoutMs")
    config.peers.greetingTimeoutMs =
      greeting > 0 ? greeting : Int64(config.tickTimeMs) * Int64(config.syncLimit)
    let wait = settings.int64("leader.maxTimeToWaitForEpoch")
    config.peers.epochWaitMs = wait < 0 ? nil : wait
    config.peers.maxConcurrentSnapshots = settings.int("leader.maxConcurrentSnapSyncs")
    config.peers.maxConcurrentDiffs = settings.int("leader.maxConcurrentDiffSyncs")
    config.peers.forcesSnapshots = settings.bool("forceSnapshotSync")
    config.peers.observerKeepsLog = settings.bool("syncEnabled")
    config.peers.observerElectionDelayMs = settings.int64("observer.election.DelayMs")
    config.peers.observerReconnectDelayMs = settings.int64("observer.reconnectDelayMs")
    config.peers.ackLoggingFrequency = settings.int64("leader.ackLoggingFrequency")
    if settings.bool("messageTracker.Enabled") {
      config.peers.trackedPackets = settings.int("messageTracker.BufferSize")
    }
    config.peers.electionKeepsAlive = settings.bool("tcpKeepAlive")
    config.peers.leaderNoDelay = settings.bool("leader.nodelay")
    config.peers.followerNoDelay = settings.bool("follower.nodelay")
  }

  private mutating func readMembership() throws(SettingsError) {
    if let file = settings.text("dynamicConfigFile") {
      config.dynamicFile = file
      config.membership = try DynamicConfigFile.read(file)
      if let version = DynamicConfigFile.version(inNameOf: file) {
        config.membership.version = version
      }
    } else {
      var origins: [String: SettingOrigin] = [:]
      for member in settings.members { origins[member.key] = member.origin }
      var lines = settings.members.map { ($0.key, $0.value) }
      if let version = settings.text("version") { lines.append(("version", version)) }
      do throws(EnsembleConfig.Mistake) {
        config.membership = try EnsembleConfig(lines)
      } catch {
        throw SettingsError(
          error.reason, key: error.key, value: error.value, origin: origins[error.key])
      }
    }
    guard !config.membership.servers.isEmpty else { return }
    try checkParticipants()
    if config.isEnsemble { try completeEnsemble() }
    if let file = config.staticFile {
      config.lastSeenMembership = try DynamicConfigFile.readNext(of: file)
    }
  }

  private mutating func checkParticipants() throws(SettingsError) {
    let observers = config.membership.servers.count - config.membership.participantCount
    let example = config.membership.servers.first { $0.isObserver }
    switch config.membership.participantCount {
    case 0:
      throw SettingsError(
        "there are observers, and nobody they could follow",
        key: example.map { "server.\($0.id)" }, value: example?.text)
    case 1 where config.standaloneEnabled && observers > 0:
      throw SettingsError(
        "a single participant runs alone unless standaloneEnabled=false, without observers",
        key: example.map { "server.\($0.id)" }, value: example?.text)
    case 1 where config.standaloneEnabled:
      warnings.append("one server line is no ensemble: running standalone")
    case 2: warnings.append("two participants: the loss of either one stops the ensemble")
    default: break
    }
  }

  private mutating func completeEnsemble() throws(SettingsError) {
    for (key, value) in [("initLimit", config.initLimit), ("syncLimit", config.syncLimit)]
    where value <= 0 {
      throw settings.error("is not set, and an ensemble needs it", key)
    }
    let path = config.dataDir + "/myid"
    let bytes: [UInt8]?
    do { bytes = try FileSystem.readFile(path) } catch {
      throw SettingsError("\(error)", key: "myid")
    }
    guard let bytes else { throw SettingsError("\(path) is missing", key: "myid") }
    let text = String(decoding: bytes.prefix { $0 != 0x0a }.filter { $0 > 0x20 }, as: UTF8.self)
    guard let id = Int64(text), (0...255).contains(id) else {
      throw SettingsError("\(path) must hold a number from 0 to 255", key: "myid", value: text)
    }
    config.serverID = id
    // A server that is to join by a reconfiguration is started with what it knows, itself included.
    guard let own = config.ownServer else {
      throw SettingsError("no server.\(id) line for this server", key: "myid", value: text)
    }
    if settings.isGiven("peerType"), own.isObserver != config.isObserver {
      warnings.append("\(settings.error("the server.\(id) line says otherwise", "peerType"))")
    }
    config.isObserver = own.isObserver
    try takeClientAddress(of: own)
  }

  /// The client port may stand in either place, not differently in both.
  private mutating func takeClientAddress(of own: EnsembleServer) throws(SettingsError) {
    guard let port = own.clientPort else { return }
    if settings.isGiven("clientPort"), config.clientPort != port {
      throw settings.error("the server.\(own.id) line has another one: \(own.text)", "clientPort")
    }
    if settings.isGiven("clientPortAddress"), !["0.0.0.0", "::"].contains(config.clientHost),
      config.clientHost != own.clientHost ?? "0.0.0.0"
    {
      throw settings.error(
        "the server.\(own.id) line has another one: \(own.text)", "clientPortAddress")
    }
    config.clientPort = port
    config.clientHost = own.clientHost ?? "0.0.0.0"
  }
}
