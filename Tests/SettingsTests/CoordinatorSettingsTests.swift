import Settings
import Testing

@Suite struct CoordinatorSettingsTests {
  private func read(_ text: String) throws -> CoordinatorSettings {
    try CoordinatorSettings(SettingSources(Properties(parsing: text, file: "zoo.cfg")))
  }

  @Test func everyKeyHasAWordAndAUsableDefault() {
    for key in ConfigTable.coordinator.keys {
      #expect(!key.documentation.isEmpty, "\(key.name)")
      #expect(key.validity.accepts(key.defaultValue), "\(key.name)")
    }
  }

  /// The keys that QuorumPeerConfig of 3.8 knows itself; everything else is a system property.
  @Test func theFilesOwnKeysAreThere() {
    let keys = """
      dataDir dataLogDir clientPort localSessionsEnabled localSessionsUpgradingEnabled
      clientPortAddress secureClientPort secureClientPortAddress observerMasterPort
      clientPortListenBacklog tickTime maxClientCnxns minSessionTimeout maxSessionTimeout
      initLimit syncLimit connectToLearnerMasterLimit electionAlg quorumListenOnAllIPs peerType
      syncEnabled dynamicConfigFile autopurge.snapRetainCount autopurge.purgeInterval
      standaloneEnabled reconfigEnabled sslQuorum portUnification sslQuorumReloadCertFiles
      quorum.auth.enableSasl quorum.auth.serverRequireSasl quorum.auth.learnerRequireSasl
      quorum.auth.learner.saslLoginContext quorum.auth.server.saslLoginContext
      quorum.auth.kerberos.servicePrincipal quorum.cnxn.threads.size
      jvm.pause.info-threshold.ms jvm.pause.warn-threshold.ms jvm.pause.sleep.time.ms
      jvm.pause.monitor metricsProvider.className multiAddress.enabled
      multiAddress.reachabilityCheckTimeoutMs multiAddress.reachabilityCheckEnabled oraclePath
      """
    for key in keys.split(whereSeparator: \.isWhitespace) {
      #expect(ConfigTable.coordinator[String(key)] != nil, "\(key)")
    }
  }

  @Test func systemPropertiesMayHaveTheirPrefix() throws {
    let settings = try read("zookeeper.snapCount=7\nforceSync=no\nobserver.syncEnabled=false\n")
    #expect(settings.int("snapCount") == 7)
    #expect(!settings.bool("forceSync"))
    #expect(!settings.bool("syncEnabled"))
    #expect(settings.bool("leaderServes"))
    #expect(settings.warnings.isEmpty)
  }

  /// What only tunes threads is accepted, and said to do nothing, by the name that was given.
  @Test func whatHasNoEffectIsSaid() throws {
    let settings = try read("zookeeper.nio.numWorkerThreads=4\nnio.numSelectorThreads=2\n")
    #expect(
      settings.warnings.map { $0.contains("has no effect: one event loop serves all clients") }
        == [true, true])
    #expect(settings.warnings.first?.contains("zookeeper.nio.numWorkerThreads") == true)
    #expect(throws: SettingsError.self) { _ = try read("serverCnxnFactory=my.Factory\n") }
    #expect(throws: SettingsError.self) { _ = try read("watchManagerName=my.Manager\n") }
    let netty = "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n"
    #expect(try read(netty).warnings.count == 1)
  }

  /// `zookeeper.observer.syncEnabled` is asked first, and the file's `syncEnabled` only without it.
  @Test(arguments: [
    "observer.syncEnabled=false\nsyncEnabled=true\n",
    "syncEnabled=true\nzookeeper.observer.syncEnabled=false\n",
  ])
  func theSystemPropertyPrevails(_ text: String) throws {
    let settings = try read(text)
    #expect(!settings.bool("syncEnabled"))
  }

  /// Keys that have an observable meaning in ZooKeeper 3.8, and have it here.
  @Test(arguments: [
    "syncEnabled", "observer.election.DelayMs", "observer.reconnectDelayMs", "tcpKeepAlive",
    "clientTcpKeepAlive", "leader.nodelay", "follower.nodelay", "leader.ackLoggingFrequency",
    "maxWriteQueuePollTime", "jvm.pause.monitor", "jvm.pause.info-threshold.ms",
    "jvm.pause.warn-threshold.ms", "jvm.pause.sleep.time.ms", "closeSessionTxn.enabled",
    "SASLAuthenticationProvider.superPassword", "messageTracker.Enabled",
    "messageTracker.BufferSize",
  ])
  func theseAreHonoured(_ key: String) {
    #expect(ConfigTable.coordinator[key]?.status == .honoured)
  }

  @Test func whatIsRefusedMayBeTurnedOff() throws {
    #expect(try read("sslQuorum=false\nskipACL=no\n").warnings.isEmpty)
    #expect(throws: SettingsError.self) { _ = try read("ssl.quorum.crl=true\n") }
    #expect(throws: SettingsError.self) { _ = try read("enableEagerACLCheck=true\n") }
    #expect(try read("enableEagerACLCheck=false\n").warnings.isEmpty)
  }

  @Test func passwordsAreNotShown() throws {
    let settings = try read("DigestAuthenticationProvider.superDigest=super:secret\n")
    let complaint = settings.error("no", "DigestAuthenticationProvider.superDigest")
    #expect(!"\(complaint)".contains("secret"))
  }
}
