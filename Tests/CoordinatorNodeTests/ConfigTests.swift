import Foundation
import Settings
import TestKit
import Testing
import Zab

@testable import CoordinatorNode

@Suite struct ConfigTests {
  private func load(
    _ text: String
  ) throws -> (config: CoordinatorConfig, warnings: [String]) {
    try CoordinatorConfig.load(SettingSources(Properties(parsing: text, file: "zoo.cfg")))
  }

  @Test func aLoneServerNeedsLittle() throws {
    let (config, warnings) = try load("dataDir=/d\ntickTime=2000\nclientPort=0\n")
    #expect(warnings.isEmpty)
    #expect(!config.isEnsemble)
    #expect(config.dataLogDir == "/d")
    #expect(config.minSessionTimeoutMs == 4000)
    #expect(config.maxSessionTimeoutMs == 40000)
    #expect(config.allowedWords == [.srvr])
  }

  @Test func anEnsembleIsRead() throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try "2\n".write(to: folder.appending(path: "myid"), atomically: true, encoding: .utf8)
    let (config, _) = try load(
      """
      dataDir=\(folder.path)
      initLimit=10
      syncLimit=5
      server.1=127.0.0.1:2888:3888
      server.2=[::1]:2889:3889:participant;2182
      server.3=h:2890:3890:observer;0.0.0.0:2183
      group.1=1
      group.4=2
      weight.2=3
      zookeeper.leaderServes=no
      maxConcurrentSnapSyncs=2
      4lw.commands.whitelist=ruok, mntr
      """)
    #expect(config.serverID == 2)
    #expect(config.clientPort == 2182)
    #expect(config.ownServer?.host == "::1")
    #expect(config.servers.map(\.isObserver) == [false, false, true])
    #expect(config.servers[2].text == "h:2890:3890:observer;0.0.0.0:2183")
    #expect(config.allowedWords == [.ruok, .mntr])
    #expect(!config.leaderServes)
    #expect(config.peers.maxConcurrentSnapshots == 2)
    #expect(
      config.membership.text == """
        server.1=127.0.0.1:2888:3888:participant
        server.2=[::1]:2889:3889:participant;0.0.0.0:2182
        server.3=h:2890:3890:observer;0.0.0.0:2183
        group.1=1
        group.4=2
        weight.1=1
        weight.2=3
        version=0
        """)
    #expect(try EnsembleConfig(text: config.membership.text) == config.membership)
  }

  @Test(arguments: [
    ("clientPort=1", "dataDir is not set"),
    ("dataDir=/d\nclientPort=x", "zoo.cfg:2: clientPort=x: not a 32-bit integer"),
    ("dataDir=/d\nclientPort=70000", "zoo.cfg:2: clientPort=70000: must be at most 65535"),
    ("dataDir=/d\nelectionAlg=0", "zoo.cfg:2: electionAlg=0: must be"),
    ("dataDir=/d\nmultiAddress.enabled=true", "several addresses"),
    ("dataDir=/d\nzookeeper.observerMasterPort=1", "zookeeper.observerMasterPort=1: observer"),
    ("dataDir=/d\nmaxTimeToWaitForEpoch=x", "zoo.cfg:2: maxTimeToWaitForEpoch=x: not a"),
    ("dataDir=/d\nclientPortAddress=::1", "clientPortAddress=::1: is set, but clientPort is not"),
    ("dataDir=/d\nautopurge.purgeInterval=2w", "autopurge.purgeInterval=2w: must be hours"),
    ("dataDir=/d\nserver.1=a:1:2:observer", "server.1=a:1:2:observer: there are observers"),
    ("dataDir=/d\nserver.1=a:1:2\nweight.1=2", "server.1: is not in a group"),
    ("dataDir=/d\ngroup.1=1:2\ngroup.2=2", "zoo.cfg:3: group.2=2: server 2 is in more than one"),
    ("dataDir=/d\nserver.1=a:1:2\ndynamicConfigFile=x", "zoo.cfg:2: server.1=a:1:2: must be in"),
    ("dataDir=/d\ndynamicConfigFile=/nowhere/x", "dynamicConfigFile=/nowhere/x: no such file"),
    ("dataDir=/d\nsecureClientPort=2281", "ssl.keyStore.location: a server needs a key store"),
    ("dataDir=/d\nserver.1=a", "zoo.cfg:2: server.1=a: expected host:port:port"),
    ("dataDir=/d\nserver.x=a:1:2", "the number after 'server.'"),
    ("dataDir=/d\nminSessionTimeout=9\nmaxSessionTimeout=8", "minSessionTimeout=9"),
    ("dataDir=/d\nserver.1=a:1:2\nserver.2=b:1:2", "initLimit"),
  ])
  func mistakesAreNamed(_ text: String, _ complaint: String) throws {
    do {
      _ = try load(text)
      Issue.record("accepted")
    } catch {
      #expect("\(error)".contains(complaint))
    }
  }

  @Test func whatHasNoEffectIsSaid() throws {
    let (_, warnings) = try load("dataDir=/d\nnio.numWorkerThreads=4\nfoo=bar\n")
    #expect(
      warnings == [
        "zoo.cfg:2: nio.numWorkerThreads has no effect: one event loop serves all clients",
        "zoo.cfg:3: foo: unknown key, has no effect",
      ])
  }

  @Test func aDynamicFileHasTheMembers() throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try "1\n".write(to: folder.appending(path: "myid"), atomically: true, encoding: .utf8)
    let dynamic = folder.appending(path: "zoo.cfg.dynamic.100000002")
    let members = "server.1=h:1:2:participant;h:3\nserver.2=h:4:5:participant;h:6"
    try members.write(to: dynamic, atomically: true, encoding: .utf8)
    let text = "dataDir=\(folder.path)\ninitLimit=1\nsyncLimit=1\n"
    let (config, _) = try load(text + "dynamicConfigFile=\(dynamic.path)\n")
    #expect(config.membership.version == 0x1_0000_0002)
    #expect(config.clientPort == 3)
    #expect(config.clientHost == "h")
    try (members + "\ntickTime=1").write(to: dynamic, atomically: true, encoding: .utf8)
    do {
      _ = try load(text + "dynamicConfigFile=\(dynamic.path)\n")
      Issue.record("accepted")
    } catch {
      #expect("\(error)".contains("\(dynamic.path):3: tickTime=1: does not belong"))
    }
  }

  @Test(arguments: [
    ("0", Int64(0)), ("24", 86_400_000), ("1h", 3_600_000), ("5s", 5000), ("250ms", 250),
    ("2m", 120_000), ("1d", 86_400_000),
  ])
  func purgeIntervalsHaveUnits(_ text: String, _ expected: Int64) throws {
    let (config, _) = try load("dataDir=/d\nautopurge.purgeInterval=\(text)\n")
    #expect(config.purgeIntervalMs == expected)
  }
}
