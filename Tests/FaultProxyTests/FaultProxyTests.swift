import Bytes
import Glibc
import Platform
import Synchronization
import Testing
import Transport
import Values

@testable import FaultProxy

/// Answers every chunk with itself and counts what arrives.
private final class Echo: StreamHandler, Sendable {
  let received = Mutex<[UInt8]>([])
  func opened(_ connection: Connection) {}
  func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) -> Int {
    let copy = Array(bytes)
    received.withLock { $0 += copy }
    connection.output.writeBytes(copy)
    return copy.count
  }
  func closed(_ connection: Connection, because reason: CloseReason) {}
}

/// Collects what comes back.
private final class Reader: StreamHandler, Sendable {
  struct Seen {
    var bytes: [UInt8] = []
    var reason: CloseReason?
  }
  let seen = Mutex(Seen())
  func opened(_ connection: Connection) {}
  func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) -> Int {
    let copy = Array(bytes)
    seen.withLock { $0.bytes += copy }
    return copy.count
  }
  func closed(_ connection: Connection, because reason: CloseReason) {
    seen.withLock { $0.reason = reason }
  }
  var bytes: [UInt8] { seen.withLock { $0.bytes } }
}

private struct NotInTime: Error {}

private func eventually(_ what: () -> Bool) async throws {
  for _ in 0..<5_000 {
    if what() { return }
    try await Task.sleep(for: .milliseconds(2))
  }
  throw NotInTime()
}

/// An echo server, a proxy before it, and one client that the proxy knows as `a`.
private struct Setup {
  let group: EventLoopGroup
  let echo = Echo()
  let server: Server
  let rules = LinkTable()
  let proxy: FaultProxy
  let reader = Reader()
  let connection: Connection

  init(rule: LinkRule = .clear) throws {
    group = try EventLoopGroup(count: 1)
    let echo = echo
    server = try Server(on: group) { _ in .stream(echo) }
    rules.set([Link("a", "b")], rule)
    proxy = try FaultProxy(
      at: .loopback(), for: "b", to: server.address, rules: rules,
      sources: SourceFinder { [("a", getpid())] }, on: group)
    let (address, reader) = (proxy.address, reader)
    let loop = group.next()
    connection = loop.perform {
      Connection.connect(to: address, on: loop, .stream(reader))
    }
  }

  func send(_ text: String) {
    let connection = connection
    let bytes = Array(text.utf8)
    connection.loop.perform { connection.output.writeBytes(bytes) }
  }

  func stop() {
    proxy.stop()
    server.stop()
    group.stop()
  }
}

@Suite(.timeLimit(.minutes(1))) struct FaultProxyTests {
  @Test func passesBytesBothWays() async throws {
    let setup = try Setup()
    defer { setup.stop() }
    let text = String(repeating: "0123456789", count: 300_000)
    setup.send(text)
    try await eventually { setup.reader.bytes.count == text.utf8.count }
    #expect(setup.reader.bytes == Array(text.utf8))
  }

  @Test func cutLinkIsSilentUntilHealed() async throws {
    let setup = try Setup()
    defer { setup.stop() }
    setup.send("one")
    try await eventually { setup.reader.bytes == Array("one".utf8) }
    setup.rules.set(LinkTable.between(["a"], ["b"]), .cut)
    setup.send("two")
    try await Task.sleep(for: .milliseconds(100))
    #expect(setup.echo.received.withLock { $0 } == Array("one".utf8))
    setup.rules.heal()
    try await eventually { setup.reader.bytes == Array("onetwo".utf8) }
  }

  @Test func oneWayCutLetsRequestsThroughAndNoAnswers() async throws {
    let setup = try Setup()
    defer { setup.stop() }
    setup.send("one")
    try await eventually { setup.reader.bytes == Array("one".utf8) }
    setup.rules.set(LinkTable.oneWay(from: ["b"], to: ["a"]), .cut)
    setup.send("two")
    try await eventually { setup.echo.received.withLock { $0 } == Array("onetwo".utf8) }
    try await Task.sleep(for: .milliseconds(50))
    #expect(setup.reader.bytes == Array("one".utf8))
    setup.rules.heal()
    try await eventually { setup.reader.bytes == Array("onetwo".utf8) }
  }

  @Test func newConnectionsDoNotComeThroughACut() async throws {
    let setup = try Setup(rule: .cut)
    defer { setup.stop() }
    setup.send("one")
    try await Task.sleep(for: .milliseconds(100))
    // The proxy's own trial connection has come and gone.
    #expect(setup.server.connectionCount == 0)
    setup.rules.heal()
    try await eventually { setup.reader.bytes == Array("one".utf8) }
  }

  @Test func slowLinkDelays() async throws {
    let setup = try Setup(rule: .slow(delayMs: 120))
    defer { setup.stop() }
    let start = Clock.now()
    setup.send("one")
    try await eventually { setup.reader.bytes == Array("one".utf8) }
    #expect(Clock.now().milliseconds(since: start) >= 120)
  }

  @Test func limitedRate() async throws {
    var rule = LinkRule()
    rule.bytesPerSecond = 200_000
    let setup = try Setup(rule: rule)
    defer { setup.stop() }
    let start = Clock.now()
    setup.send(String(repeating: "x", count: 100_000))
    try await eventually { setup.reader.bytes.count == 100_000 }
    #expect(Clock.now().milliseconds(since: start) >= 400)
  }

  @Test func resetsBreakTheConnection() async throws {
    let setup = try Setup(rule: .lossy(stalls: 0, resets: 1))
    defer { setup.stop() }
    setup.send("one")
    try await eventually { setup.reader.seen.withLock { $0.reason != nil } }
    #expect(setup.echo.received.withLock { $0 }.isEmpty)
  }

  @Test func theEndOfOneSideReachesTheOther() async throws {
    let setup = try Setup()
    defer { setup.stop() }
    setup.send("one")
    try await eventually { setup.reader.bytes == Array("one".utf8) }
    let server = setup.server
    server.stop()
    try await eventually { setup.reader.seen.withLock { $0.reason != nil } }
    try await eventually { setup.proxy.connectionCount == 0 }
  }

  /// A dead member refuses, and so does its proxy, until the member is back.
  @Test func refusesWhileNobodyListensAtTheTarget() async throws {
    let group = try EventLoopGroup(count: 1)
    defer { group.stop() }
    let echo = Echo()
    let first = try Server(on: group) { _ in .stream(echo) }
    let proxy = try FaultProxy(
      at: .loopback(), for: "b", to: first.address, rules: LinkTable(),
      sources: SourceFinder { [] }, on: group)
    defer { proxy.stop() }
    func connects() async throws -> Bool {
      let reader = Reader()
      let (address, loop) = (proxy.address, group.next())
      let connection = loop.perform {
        Connection.connect(to: address, on: loop, .stream(reader))
      }
      loop.perform { connection.output.writeBytes(Array("x".utf8)) }
      try await eventually { !reader.bytes.isEmpty || reader.seen.withLock { $0.reason != nil } }
      let reason = reader.seen.withLock { $0.reason }
      loop.perform { connection.close(.local("seen")) }
      guard let reason else { return true }
      guard case .failed(let error) = reason, error.isRefused else { return true }
      return false
    }
    #expect(try await connects())
    first.stop()
    var isRefused = false
    for _ in 0..<500 where !isRefused {
      isRefused = try await !connects()
      try await Task.sleep(for: .milliseconds(2))
    }
    #expect(isRefused)
    let second = try Server(at: first.address, on: group) { _ in .stream(echo) }
    defer { second.stop() }
    var isBack = false
    for _ in 0..<500 where !isBack {
      isBack = try await connects()
      try await Task.sleep(for: .milliseconds(2))
    }
    #expect(isBack)
  }

  @Test func strangersAreClients() throws {
    let finder = SourceFinder { [("a", getpid())] }
    let nobody = SocketAddress.loopback(port: 1)
    #expect(finder.source(of: nobody, at: nobody) == SourceFinder.stranger)
  }

  /// The two ways to find a socket's inode agree, for both families of addresses.
  @Test(arguments: [IPAddress.loopback, .v6(high: 0, low: 1, scope: 0)])
  func socketsAreFoundByTheirAddresses(_ ip: IPAddress) throws {
    guard let listener = try? Socket.listening(at: SocketAddress(ip, port: 0), backlog: 4) else {
      return  // A machine without IPv6.
    }
    let client = try Socket.connecting(to: try listener.localAddress())
    let (own, server) = (try client.localAddress(), try listener.localAddress())
    let finder = SourceFinder { [] }
    let listed = try #require(finder.inode(port: own.port))
    switch SocketDiagnosis.inode(local: own, peer: server) {
    case .inode(let number): #expect("\(number)" == listed)
    case .missing: Issue.record("the socket is not found")
    case .unavailable: break  // A kernel without inet_diag: the list is used.
    }
    let other = SocketDiagnosis.inode(local: server, peer: SocketAddress(ip, port: 1))
    #expect(other == .missing || other == .unavailable)
  }
}
