import Glibc
import Platform
import TestKit
import Testing

@Suite struct ProcessTests {
  @Test func childrenAreStartedWatchedAndEnded() throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileSystem.removeTree(folder.path) }
    let output = folder.path + "/out"
    let child = try ChildProcess.start(
      "sh", ["-c", "echo $GREETING; pwd; echo oops >&2; exit 3"],
      environment: ["GREETING": "hello", "PATH": "/usr/bin:/bin"], directory: folder.path,
      output: output)
    #expect(child.wait(upToMs: 10_000) == 3)
    #expect(!child.signal(SIGTERM))
    let text = String(decoding: try #require(try FileSystem.readFile(output)), as: UTF8.self)
    #expect(text == "hello\n\(folder.path)\noops\n")

    let sleeper = try ChildProcess.start("sleep", ["100"])
    #expect(sleeper.poll() == nil)
    #expect(ProcessInformation.residentBytes(of: sleeper.id) ?? 0 > 0)
    #expect(sleeper.terminate(graceMs: 5_000) == 128 + SIGTERM)
    #expect(throws: SystemError.self) { try ChildProcess.start("/no/such/program", []) }
  }

  @Test func theProcessKnowsItself() throws {
    #expect(ProcessInformation.id == getpid())
    #expect(ProcessInformation.residentBytes > 1 << 20)
    #expect(ProcessInformation.openDescriptors > 2)
    #expect(ProcessInformation.descriptorLimit > 0)
    #expect(ProcessInformation.environment("PATH") == ProcessInformation.environment["PATH"])
    #expect(ProcessInformation.executablePath?.hasPrefix("/") == true)
    #expect(SystemRandom.bytes(32) != SystemRandom.bytes(32))
    #expect(!Hosts.localName.isEmpty)
  }

  @Test func addressesReadAndShow() throws {
    #expect(IPAddress("127.0.0.1") == .loopback)
    #expect(IPAddress("[::1]")?.description == "::1")
    #expect(IPAddress("::ffff:10.1.2.3")?.description == "10.1.2.3")
    #expect(IPAddress("host") == nil)
    #expect(SocketAddress.loopback(port: 9092).description == "127.0.0.1:9092")
    let six = try #require(IPAddress("fe80::1"))
    #expect(SocketAddress(six, port: 1).description == "[fe80::1]:1")
    #expect(try Hosts.resolve("localhost", port: 5).contains(.loopback(port: 5)))
    #expect(throws: Hosts.ResolutionError.self) {
      try Hosts.resolve("no-such-host.invalid", port: 1)
    }
  }

  @Test func namesSplit() {
    #expect(FileSystem.parent(of: "/a/b/c") == "/a/b")
    #expect(FileSystem.parent(of: "/a/") == "/")
    #expect(FileSystem.parent(of: "a") == nil)
    #expect(FileSystem.name(of: "/a/b.log") == "b.log")
  }
}
