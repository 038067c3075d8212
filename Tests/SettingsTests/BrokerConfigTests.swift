import Settings
import Testing
import Values

@Suite struct BrokerConfigTests {
  func config(_ text: String) throws -> BrokerConfig {
    try BrokerConfig(SettingSources(Properties(parsing: text, file: "server.properties")))
  }

  static let minimal = "broker.id=1\nzookeeper.connect=localhost:2181\nlog.dirs=/tmp/a\n"

  @Test func aMinimalBroker() throws {
    let broker = try config(Self.minimal)
    #expect(broker.identity.brokerID == BrokerID(1))
    #expect(broker.identity.interBrokerProtocolVersion == .latest)
    #expect(broker.network.listeners.map(\.description) == ["PLAINTEXT://127.0.0.1:9092"])
    #expect(broker.network.interBrokerListenerName == "PLAINTEXT")
    #expect(broker.zooKeeper.servers == ["localhost:2181"] && broker.zooKeeper.chroot == "")
    #expect(broker.zooKeeper.connectionTimeoutMs == 18000)
    #expect(broker.log.directories == ["/tmp/a"])
    #expect(broker.topicDefaults == .defaults)
    #expect(broker.warnings.isEmpty)
    #expect(broker.metrics.port == nil)
  }

  @Test func listenersOfTwoKinds() throws {
    let broker = try config(
      Self.minimal + """
        listeners=INTERNAL://0.0.0.0:9092, EXTERNAL://[::1]:0
        advertised.listeners=internal://b1:9092,EXTERNAL://[fe80::1]:19092
        listener.security.protocol.map=INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT
        inter.broker.listener.name=INTERNAL
        zookeeper.connect=a:1,b,[::1]:3/kafka/x
        max.connections.per.ip.overrides=10.0.0.1:5,::1:7
        """)
    let listeners = broker.network.listeners.map(\.description)
    #expect(listeners == ["INTERNAL://0.0.0.0:9092", "EXTERNAL://[::1]:0"])
    #expect(broker.network.advertisedListeners[1].host == "fe80::1")
    #expect(broker.network.interBrokerListenerName == "INTERNAL")
    #expect(broker.zooKeeper.servers == ["a:1", "b:2181", "[::1]:3"])
    #expect(broker.zooKeeper.chroot == "/kafka/x")
    #expect(broker.network.maxConnectionsPerIPOverrides == ["10.0.0.1": 5, "::1": 7])
  }

  @Test(arguments: [
    ("num.partitions=many", "server.properties:4: num.partitions=many: not a 32-bit integer value"),
    ("num.partitions=0", "server.properties:4: num.partitions=0: must be at least 1"),
    (
      "compression.type=rar",
      "server.properties:4: compression.type=rar: must be one of uncompressed, zstd, lz4, snappy, "
        + "gzip, producer"
    ),
    (
      "process.roles=broker",
      "controller.listener.names: is required when process.roles is set"
    ),
    (
      "ssl.keystore.password=hush",
      "server.properties:4: ssl.keystore.password=[hidden]: TLS listeners are not served yet: "
        + "remove this key"
    ),
    (
      "listeners=X://a:1",
      "listeners=X://a:1: listener.security.protocol.map has no entry for X in 'X://a:1'"
    ),
    ("node.id=2", "node.id=2: must equal broker.id=1"),
    (
      "inter.broker.protocol.version=4.1",
      "server.properties:4: inter.broker.protocol.version=4.1: not a version of Kafka up to 3.9"
    ),
  ])
  func errorsAreOneClearLine(line: String, message: String) {
    do {
      _ = try config(Self.minimal + line)
      Issue.record("accepted \(line)")
    } catch {
      #expect("\(error)" == message)
    }
  }

  @Test func zooKeeperIsRequired() {
    #expect(throws: SettingsError.self) { try config("broker.id=1") }
  }

  @Test func nothingIsIgnoredInSilence() throws {
    let broker = try config(
      Self.minimal + "queued.max.requests=7\nfoo.bar=1\nlog.message.format.version=3.0-IV1\n"
        + "remote.log.storage.system.enable=false\n")
    #expect(broker.warnings.count == 2)
    #expect(broker.warnings[0].contains("server.properties:4: queued.max.requests has no effect"))
    #expect(broker.warnings[1] == "server.properties:5: unknown key foo.bar has no effect")
  }

  @Test func unitsOfTime() throws {
    let hours = try config(Self.minimal + "log.retention.hours=2")
    #expect(hours.topicDefaults.retentionMs == 7_200_000)
    let minutes = try config(Self.minimal + "log.retention.hours=2\nlog.retention.minutes=3")
    #expect(minutes.topicDefaults.retentionMs == 180_000)
    let ms = try config(Self.minimal + "log.retention.minutes=3\nlog.retention.ms=-1")
    #expect(ms.topicDefaults.retentionMs == -1)
    #expect(try config(Self.minimal + "log.roll.hours=1").topicDefaults.segmentMs == 3_600_000)
  }

  @Test func topicsOverrideBrokers() throws {
    let broker = try config(Self.minimal + "message.max.bytes=500\nmin.insync.replicas=2")
    let topic = TopicConfig(
      overrides: ["cleanup.policy": "compact", "min.insync.replicas": "3", "segment.ms": "broken"],
      broker: broker)
    #expect(topic.isCompacted && !topic.isDeleted)
    #expect(topic.maxMessageBytes == 500 && topic.minInSyncReplicas == 3)
    #expect(topic.segmentMs == 604_800_000)
    #expect(throws: SettingsError.self) {
      try TopicConfig.validate(overrides: ["segment.ms": "broken"], broker: broker)
    }
    #expect(throws: SettingsError.self) {
      try TopicConfig.validate(overrides: ["nonsense": "1"], broker: broker)
    }
    #expect(throws: SettingsError.self) {
      try TopicConfig.validate(
        overrides: ["min.compaction.lag.ms": "5", "max.compaction.lag.ms": "4"], broker: broker)
    }
  }

  @Test func topicDescriptionNamesEverySource() throws {
    let broker = try config(Self.minimal + "log.retention.hours=2").applying(
      dynamicDefaults: ["log.retention.ms": "99"], dynamicBroker: [:])
    let described = TopicConfig.describe(
      overrides: ["retention.ms": "5"], broker: broker, keys: ["retention.ms", "segment.bytes"])
    #expect(described.map(\.name) == ["retention.ms", "segment.bytes"])
    #expect(described[0].value == "5" && described[0].source == .dynamicTopic)
    #expect(
      described[0].synonyms.map { "\($0.name)=\($0.value ?? "-") \($0.source)" } == [
        "retention.ms=5 dynamicTopic", "log.retention.ms=99 dynamicDefaultBroker",
        "log.retention.hours=2 staticBroker", "log.retention.hours=168 defaultConfig",
      ])
    #expect(described[1].source == .defaultConfig && described[1].value == "1073741824")
    #expect(broker.topicDefaults.retentionMs == 99)
  }

  @Test func brokerDescription() throws {
    let broker = try config(Self.minimal).applying(
      dynamicDefaults: ["log.cleaner.threads": "2", "message.max.bytes": "9"],
      dynamicBroker: ["message.max.bytes": "10", "broker.id": "4", "min.insync.replicas": "x"])
    #expect(broker.identity.brokerID == BrokerID(1))
    #expect(broker.warnings.count == 2)
    let described = broker.describe(keys: ["message.max.bytes", "broker.id", "ssl.key.password"])
    #expect(described.map(\.name) == ["broker.id", "message.max.bytes", "ssl.key.password"])
    #expect(described[0].isReadOnly && described[0].source == .staticBroker)
    #expect(described[1].value == "10" && described[1].source == .dynamicBroker)
    #expect(described[1].synonyms.map(\.value) == ["10", "9", "1048588"])
    #expect(described[2].isSensitive && described[2].value == nil)
    let defaults = broker.describeDynamicDefaults().map(\.name)
    #expect(defaults == ["log.cleaner.threads", "message.max.bytes"])
    #expect(broker.log.cleanerThreads == 2)
  }

  @Test func dynamicChangesAreChecked() {
    #expect(throws: SettingsError.self) {
      try BrokerConfig.validateDynamic(["broker.id": "3"], isPerBroker: true)
    }
    #expect(throws: SettingsError.self) {
      try BrokerConfig.validateDynamic(["listeners": "PLAINTEXT://:1"], isPerBroker: false)
    }
    #expect(throws: Never.self) {
      try BrokerConfig.validateDynamic(["message.max.bytes": "3", "x.y": "1"], isPerBroker: false)
    }
  }

  /// Each mode has its own authorizer, and a cluster must not seem to be guarded when it is not.
  @Test func authorizersOfBothModes() throws {
    let zooKeeper = "zookeeper.connect=h:1\nauthorizer.class.name="
    let ours = BrokerConfig.Authorization.aclAuthorizer
    let guarded = try config(zooKeeper + ours + "\nsuper.users=User:a;User:b")
    #expect(guarded.authorization.isEnabled && guarded.authorization.isAclAuthorizer)
    #expect(guarded.authorization.superUsers == ["User:a", "User:b"])
    for text in [
      zooKeeper + BrokerConfig.Authorization.standardAuthorizer, zooKeeper + "com.example.Mine",
      zooKeeper + ours + "\nauthorizer.zookeeper.url=other:2181",
    ] {
      #expect(throws: SettingsError.self) { try config(text) }
    }
    #expect(try !config("zookeeper.connect=h:1").authorization.isEnabled)
  }
}
