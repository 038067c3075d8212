import Foundation
import Settings
import TestKit
import Testing

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
      4lw.commands.whitelist=ruok, mntr
      """)
    #expect(config.serverID == 2)
    #expect(config.clientPort == 2182)
    #expect(config.ownServer?.host == "::1")
    #expect(config.servers.map(\.isObserver) == [false, false, true])
    #expect(config.servers[2].text == "h:2890:3890:observer;0.0.0.0:2183")
    #expect(config.allowedWords == [.ruok, .mntr])
  }

  @Test(arguments: [
    ("clientPort=1", "dataDir is not set"),
    ("dataDir=/d\nclientPort=x", "zoo.cfg:2: clientPort=x: must be a whole number"),
    ("dataDir=/d\nsecureClientPort=2281", "zoo.cfg:2: secureClientPort=2281: TLS"),
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
    let (_, warnings) = try load("dataDir=/d\nskipACL=yes\nfoo=bar\n")
    #expect(
      warnings == [
        "zoo.cfg:2: skipACL=yes: has no effect here", "zoo.cfg:3: foo=bar: unknown key",
      ])
  }
}
