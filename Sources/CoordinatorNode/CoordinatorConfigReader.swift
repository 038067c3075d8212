// From the keys of `zoo.cfg` to a configuration: every key of 3.8 is honoured, warned about or
// refused by its name.

import Platform
import Settings

struct CoordinatorConfigReader {
  private let sources: SettingSources
  private(set) var warnings: [String] = []
  private var config = CoordinatorConfig()
  private var hasPrometheus = false
  private var metricsPort: UInt16 = 7000

  init(_ sources: SettingSources) { self.sources = sources }

  /// Keys that tune what does not exist here, or what needs no tuning. Given, they are named once.
  private static let ignored: Set<String> = [
    "electionAlg", "leaderServes", "cnxTimeout", "standaloneEnabled", "syncEnabled",
    "admin.enableServer", "admin.serverPort", "admin.serverAddress", "admin.idleTimeout",
    "admin.commandURL", "admin.portUnification", "clientPortListenBacklog", "DigestAuthProvider",
    "reconfigEnabled",
    "dynamicConfigFile", "snapshot.trust.empty", "snapshot.compression.method",
    "fsync.warningthresholdms", "serverCnxnFactory", "txnLogSizeLimitInKb", "snapSizeLimitInKb",
    "learner.asyncSending", "learner.closeSocketAsync", "leader.closeSocketAsync",
    "quorum.enableSasl", "quorumListenOnAllIPs", "jvm.pause.info-threshold.ms",
    "jvm.pause.warn-threshold.ms", "jvm.pause.monitor", "audit.enable",
    "maxResponseCacheSize", "maxGetChildrenResponseCacheSize",
    "flushDelay", "maxWriteQueuePollTime",
    "maxBatchSize", "requestThrottleLimit", "requestThrottleStallTime",
    "advancedFlowControlEnabled", "watchManagerName", "multiAddress.enabled",
    "multiAddress.reachabilityCheckTimeoutMs", "multiAddress.reachabilityCheckEnabled",
    "clearOldSnapshots", "learner.initLimit", "nio.numSelectorThreads", "nio.numWorkerThreads",
    "commitProcessor.numWorkerThreads", "nio.sessionlessCnxnTimeout", "tcpKeepAlive",
    "electionPortBindRetry", "observer.syncEnabled", "zookeeper.observerMasterPort",
    "connectToLearnerMasterLimit", "metricsProvider.exportJvmInfo",
    "leader.snapPingIntervalInSeconds",
  ]

  /// Keys that ask for something that would be missed in silence.
  private static let refused: [String: String] = [
    "secureClientPort": "TLS for clients is not there yet",
    "sslQuorum": "TLS between servers is not there yet",
    "portUnification": "TLS between servers is not there yet",
    "observerMasterPort": "observer masters are not supported",
    "oraclePath": "the quorum oracle is not supported",
    "group": "hierarchical quorums are not supported",
    "sessionRequireClientSASLAuth": "SASL is not there yet",
    "enforce.auth.enabled": "enforced authentication is not there yet",
    "quorum.auth.enableSasl": "SASL between servers is not there yet",
  ]

  mutating func read() throws(SettingsError) -> CoordinatorConfig {
    for setting in sources.settings { try take(setting) }
    guard !config.dataDir.isEmpty else { throw SettingsError("dataDir is not set", key: "dataDir") }
    if config.dataLogDir.isEmpty { config.dataLogDir = config.dataDir }
    if config.minSessionTimeoutMs <= 0 { config.minSessionTimeoutMs = config.tickTimeMs * 2 }
    if config.maxSessionTimeoutMs <= 0 { config.maxSessionTimeoutMs = config.tickTimeMs * 20 }
    guard config.minSessionTimeoutMs <= config.maxSessionTimeoutMs else {
      throw SettingsError(
        "must not be above maxSessionTimeout", key: "minSessionTimeout",
        value: "\(config.minSessionTimeoutMs)", origin: sources["minSessionTimeout"]?.origin)
    }
    if hasPrometheus { config.metricsPort = metricsPort }
    config.servers.sort { $0.id < $1.id }
    if config.isEnsemble { try completeEnsemble() }
    return config
  }

  private mutating func completeEnsemble() throws(SettingsError) {
    for (key, value) in [("initLimit", config.initLimit), ("syncLimit", config.syncLimit)]
    where value <= 0 {
      throw SettingsError("is not set, and an ensemble needs it", key: key)
    }
    let path = config.dataDir + "/myid"
    let bytes: [UInt8]?
    do { bytes = try FileSystem.readFile(path) } catch {
      throw SettingsError("\(error)", key: "myid")
    }
    guard let bytes else { throw SettingsError("\(path) is missing", key: "myid") }
    let text = String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
    guard let id = Int64(text), (0...255).contains(id) else {
      throw SettingsError("\(path) must hold a number from 0 to 255", key: "myid", value: text)
    }
    config.serverID = id
    guard let own = config.ownServer else {
      throw SettingsError("no server.\(id) line for this server", key: "myid", value: text)
    }
    if own.isObserver { config.isObserver = true }
    if let port = own.clientPort {
      config.clientPort = port
      if let host = own.clientHost { config.clientHost = host }
    }
  }

  // MARK: Keys

  private mutating func take(_ setting: SettingSources.Setting) throws(SettingsError) {
    // System properties may be given with the prefix that Java gives them.
    let key =
      setting.key.hasPrefix("zookeeper.") ? String(setting.key.dropFirst(10)) : setting.key
    if try takeBasic(key, setting) { return }
    if try takeTuning(key, setting) { return }
    if try config.requests.take(key, setting) { return }
    if let number = Self.suffix(of: key, after: "server.") {
      return config.servers.append(try server(number, setting))
    }
    if Self.suffix(of: key, after: "weight.") != nil {
      throw SettingsError("weights are not supported", setting)
    }
    if let reason = Self.refused[key] ?? (key.hasPrefix("group.") ? Self.refused["group"] : nil) {
      if (key == "sslQuorum" || key == "portUnification"), setting.value == "false" { return }
      throw SettingsError(reason, setting)
    }
    let isKnown =
      Self.ignored.contains(key) || key.hasPrefix("ssl.")
      || key.hasPrefix("quorum.auth.") || key.hasPrefix("metricsProvider.")
    warnings.append(
      "\(setting.origin): \(setting.key)=\(setting.value): "
        + (isKnown ? "has no effect here" : "unknown key"))
  }

  private mutating func takeBasic(
    _ key: String, _ setting: SettingSources.Setting
  ) throws(SettingsError) -> Bool {
    switch key {
    case "dataDir": config.dataDir = setting.value
    case "dataLogDir": config.dataLogDir = setting.value
    case "clientPort": config.clientPort = UInt16(try integer(setting, 0...65535))
    case "clientPortAddress": config.clientHost = setting.value
    case "tickTime": config.tickTimeMs = Int32(try integer(setting, 1...3_600_000))
    case "initLimit": config.initLimit = Int32(try integer(setting, 1...1_000_000))
    case "syncLimit": config.syncLimit = Int32(try integer(setting, 1...1_000_000))
    case "maxClientCnxns": config.maxClientConnections = try integer(setting, 0...1_000_000)
    case "maxCnxns": config.maxConnections = try integer(setting, 0...10_000_000)
    case "minSessionTimeout":
      config.minSessionTimeoutMs = Int32(try integer(setting, -1...Int(Int32.max)))
    case "maxSessionTimeout":
      config.maxSessionTimeoutMs = Int32(try integer(setting, -1...Int(Int32.max)))
    case "peerType":
      guard ["observer", "participant"].contains(setting.value) else {
        throw SettingsError("must be observer or participant", setting)
      }
      config.isObserver = setting.value == "observer"
    case "4lw.commands.whitelist": config.allowedWords = try words(setting)
    case "quorumListenOnAllIPs": config.quorumListensOnAllIPs = try boolean(setting)
    default: return false
    }
    return true
  }

  private mutating func takeTuning(
    _ key: String, _ setting: SettingSources.Setting
  ) throws(SettingsError) -> Bool {
    switch key {
    case "snapCount": config.snapCount = try integer(setting, 2...Int(Int32.max))
    case "preAllocSize":
      config.preallocation = Int64(try integer(setting, 0...(1 << 22))) << 10
    case "forceSync": config.forceSync = setting.value == "yes"
    case "globalOutstandingLimit":
      config.globalOutstandingLimit = try integer(setting, 1...10_000_000)
    case "jute.maxbuffer": config.maxFrameBytes = try integer(setting, 1024...(1 << 30))
    case "commitLogCount": config.commitLogCount = try integer(setting, 1...10_000_000)
    case "digest.enabled": config.digestEnabled = try boolean(setting)
    case "extendedTypesEnabled": config.extendedTypesEnabled = try boolean(setting)
    case "DigestAuthenticationProvider.superDigest": config.superDigest = setting.value
    case "autopurge.snapRetainCount":
      config.purgeRetainCount = max(3, try integer(setting, 0...1_000_000))
    case "autopurge.purgeInterval": config.purgeIntervalHours = try integer(setting, 0...100_000)
    case "znode.container.checkIntervalMs":
      config.containerCheckIntervalMs = Int64(try integer(setting, 1...Int(Int32.max)))
    case "metricsProvider.className":
      hasPrometheus = setting.value.hasSuffix("PrometheusMetricsProvider")
    case "metricsProvider.httpPort": metricsPort = UInt16(try integer(setting, 0...65535))
    case "metricsProvider.httpHost": config.metricsHost = setting.value
    default: return false
    }
    return true
  }

  // MARK: Values

  private static func suffix(of key: String, after prefix: String) -> String? {
    key.hasPrefix(prefix) ? String(key.dropFirst(prefix.count)) : nil
  }

  private func integer(
    _ setting: SettingSources.Setting, _ range: ClosedRange<Int>
  ) throws(SettingsError) -> Int {
    let text = String(setting.value.filter { $0 != " " && $0 != "\t" })
    guard let number = Int(text), range.contains(number) else {
      throw SettingsError(
        "must be a whole number from \(range.lowerBound) to \(range.upperBound)", setting)
    }
    return number
  }

  private func boolean(_ setting: SettingSources.Setting) throws(SettingsError) -> Bool {
    switch setting.value.lowercased() {
    case "true": true
    case "false": false
    default: throw SettingsError("must be true or false", setting)
    }
  }

  private func words(
    _ setting: SettingSources.Setting
  ) throws(SettingsError) -> Set<FourLetterWord> {
    var words: Set<FourLetterWord> = []
    for part in setting.value.split(separator: ",") {
      let name = String(part.filter { $0 != " " })
      if name == "*" { return Set(FourLetterWord.allCases) }
      // `hash` and words of later versions are allowed by some, and are not there.
      if let word = FourLetterWord(rawValue: name) { words.insert(word) }
    }
    return words
  }

  private func server(
    _ number: String, _ setting: SettingSources.Setting
  ) throws(SettingsError) -> EnsembleServer {
    guard let id = Int64(number), (0...255).contains(id) else {
      throw SettingsError("the number after 'server.' must be from 0 to 255", setting)
    }
    if config.servers.contains(where: { $0.id == id }) {
      throw SettingsError("given twice", setting)
    }
    guard !setting.value.contains("|") else {
      throw SettingsError("several addresses for one server are not supported", setting)
    }
    let halves = setting.value.split(separator: ";", maxSplits: 1).map(String.init)
    guard let first = halves.first, let quorum = Self.addressParts(first), quorum.count >= 3,
      let quorumPort = UInt16(quorum[1]), let electionPort = UInt16(quorum[2])
    else { throw SettingsError("expected host:port:port[:participant|observer]", setting) }
    var server = EnsembleServer(
      id: id, host: quorum[0], quorumPort: quorumPort, electionPort: electionPort)
    if quorum.count > 3 {
      guard ["observer", "participant"].contains(quorum[3].lowercased()) else {
        throw SettingsError("expected participant or observer after the ports", setting)
      }
      server.isObserver = quorum[3].lowercased() == "observer"
    }
    if halves.count > 1 {
      let parts = Self.addressParts(halves[1]) ?? []
      guard let last = parts.last, let port = UInt16(last), parts.count <= 2 else {
        throw SettingsError("expected [address:]clientPort after the semicolon", setting)
      }
      server.clientPort = port
      server.clientHost = parts.count == 2 ? parts[0] : nil
    }
    return server
  }

  /// The parts between colons; a v6 address in brackets is one of them.
  private static func addressParts(_ text: String) -> [String]? {
    guard text.hasPrefix("[") else { return text.split(separator: ":").map(String.init) }
    guard let close = text.firstIndex(of: "]") else { return nil }
    let host = String(text[text.index(after: text.startIndex)..<close])
    let rest = text[text.index(after: close)...].split(separator: ":").map(String.init)
    return [host] + rest
  }
}

extension SettingsError {
  fileprivate init(_ reason: String, _ setting: SettingSources.Setting) {
    self.init(reason, key: setting.key, value: setting.value, origin: setting.origin)
  }
}
