import Settings
import Testing
import Values

/// The rules of the keys of KRaft mode.
@Suite struct QuorumConfigTests {
  func config(_ lines: [String]) throws -> BrokerConfig {
    try BrokerConfig(
      SettingSources(
        Properties(parsing: lines.joined(separator: "\n"), file: "server.properties")))
  }

  static let broker = [
    "process.roles=broker", "node.id=1", "log.dirs=/tmp/a,/tmp/b",
    "listeners=PLAINTEXT://127.0.0.1:9092", "controller.listener.names=CONTROLLER",
    "controller.quorum.voters=100@127.0.0.1:9093,101@[::1]:9094",
  ]

  @Test func aBroker() throws {
    let config = try config(Self.broker)
    #expect(config.identity.brokerID == BrokerID(1))
    #expect(config.quorum.isBroker && !config.quorum.isController)
    #expect(config.quorum.voters.map(\.id) == [100, 101])
    #expect(config.quorum.voters[1].host == "::1" && config.quorum.voters[1].port == 9094)
    #expect(config.quorum.metadataLogDirectory == "/tmp/a")
    #expect(config.quorum.heartbeatIntervalMs == 2_000)
    #expect(config.network.listeners.map(\.name) == ["PLAINTEXT"])
    #expect(config.network.controllerListeners.isEmpty)
    #expect(config.warnings.isEmpty)
    #expect(!config.quorum.supportsUnstableFeatures && !config.quorum.keepsEligibleReplicas)
  }

  @Test func unstableFeatures() throws {
    let keys = ["unstable.feature.versions.enable=true", "eligible.leader.replicas.enable=true"]
    let config = try config(Self.broker + keys)
    #expect(config.quorum.supportsUnstableFeatures && config.quorum.keepsEligibleReplicas)
    #expect(config.warnings.isEmpty)
    // In ZooKeeper mode there are no such levels.
    let old = try self.config(["broker.id=1", "zookeeper.connect=127.0.0.1:2181"] + keys)
    for key in ["unstable.feature.versions.enable", "eligible.leader.replicas.enable"] {
      #expect(old.warnings.contains { $0.contains(key) })
    }
  }

  @Test func aController() throws {
    let config = try config([
      "process.roles=controller", "node.id=100", "metadata.log.dir=/tmp/m",
      "listeners=CONTROLLER://127.0.0.1:9093", "controller.listener.names=CONTROLLER",
      "controller.quorum.bootstrap.servers=127.0.0.1:9093",
    ])
    #expect(config.quorum.isController && !config.quorum.isBroker)
    #expect(config.quorum.bootstrapServers.map { "\($0.host):\($0.port)" } == ["127.0.0.1:9093"])
    #expect(config.quorum.metadataLogDirectory == "/tmp/m")
    #expect(config.network.listeners.isEmpty)
    #expect(config.network.advertisedControllerListeners.map(\.port) == [9093])
  }

  @Test func bothRoles() throws {
    let config = try config([
      "process.roles=broker,controller", "node.id=1", "log.dirs=/tmp/a",
      "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
      "advertised.listeners=PLAINTEXT://localhost:9092",
      "controller.listener.names=CONTROLLER", "controller.quorum.voters=1@127.0.0.1:9093",
    ])
    #expect(config.network.listeners.map(\.name) == ["PLAINTEXT"])
    #expect(config.network.advertisedListeners.map(\.host) == ["localhost"])
    #expect(config.network.advertisedControllerListeners.map(\.description) == [
      "CONTROLLER://127.0.0.1:9093"
    ])
  }

  @Test(arguments: [
    ("controller.listener.names=", "controller.listener.names: is required"),
    ("node.id=-1", "node.id: is required"),
    ("controller.quorum.voters=1@127.0.0.1:9093", "must not contain node.id=1"),
    ("controller.quorum.voters=100", "expected id@host:port in '100'"),
    ("process.roles=controller", "must contain node.id=1"),
    ("process.roles=broker,broker", "names a role twice"),
    ("process.roles=brooker", "must be one of broker, controller"),
    ("listeners=PLAINTEXT://:1,CONTROLLER://:2", "without the role controller must not have"),
    ("listener.security.protocol.map=PLAINTEXT:PLAINTEXT", "has no entry for CONTROLLER"),
    ("inter.broker.listener.name=CONTROLLER", "must not be one of controller.listener.names"),
  ])
  func rules(line: String, message: String) {
    do {
      let key = line.prefix { $0 != "=" } + "="
      _ = try config(Self.broker.filter { !$0.hasPrefix(key) } + [line])
      Issue.record("accepted \(line)")
    } catch {
      #expect("\(error)".contains(message), "\(error)")
    }
  }

  @Test func keysOfKRaftAreNamedInZooKeeperMode() throws {
    let config = try config([
      "broker.id=1", "zookeeper.connect=a", "metadata.log.dir=/tmp/x",
      "broker.heartbeat.interval.ms=5",
    ])
    #expect(config.warnings.count == 2)
    #expect(config.warnings[0].hasSuffix("metadata.log.dir has no effect in ZooKeeper mode"))
    #expect(throws: SettingsError.self) {
      _ = try self.config([
        "broker.id=1", "zookeeper.connect=a", "controller.listener.names=CONTROLLER",
      ])
    }
  }
}
