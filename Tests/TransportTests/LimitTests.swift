import Bytes
import Glibc
import Platform
import Synchronization
import Testing
import Values

@testable import Transport

/// A blocking socket that sends what a well-behaved client would not.
final class RawClient {
  let descriptor: Int32

  init(to address: SocketAddress) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = address.port.bigEndian
    name.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let result = withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { throw SystemError("connect") }
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  @discardableResult
  func send(_ bytes: [UInt8]) -> Int {
    Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  /// Up to `count` bytes; empty at the end, nil when nothing came for ten seconds.
  func receive(_ count: Int = 65_536) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    let received = recv(descriptor, &bytes, count, 0)
    if received < 0 { return errno == ECONNRESET ? [] : nil }
    return Array(bytes[..<received])
  }

  func finishWriting() { shutdown(descriptor, Int32(SHUT_WR)) }
}

@Suite struct LimitTests {
  @Test(arguments: [[0xff, 0xff, 0xff, 0xff], [0x7f, 0xff, 0xff, 0xff], [0, 1, 0, 1]] as [[UInt8]])
  func lengthsThatCannotBeAreRefusedAtOnce(_ length: [UInt8]) async throws {
    let handler = Scripted { _, _ in }
    var options = ServerOptions()
    options.limits.maxFrameBytes = 65_536
    let bench = try Bench(handler, options: options)
    defer { bench.stop() }
    let raw = try RawClient(to: bench.server.address)
    raw.send(length)
    #expect(raw.receive() == [])
    let reason = try await eventually { handler.reasons.withLock { $0.first } }
    #expect(reason.isViolation)
  }

  @Test func anAnnouncedLengthAllocatesNothing() async throws {
    let bench = try Bench(EchoHandler())
    defer { bench.stop() }
    let before = ProcessInformation.residentBytes
    let clients = try (0..<32).map { _ in try RawClient(to: bench.server.address) }
    // 100 MB each, announced; a few bytes sent.
    for client in clients { client.send([0x06, 0, 0, 0, 1, 2, 3]) }
    try await Task.sleep(for: .milliseconds(50))
    let client = bench.client(Collector())
    client.send(frame: [1])
    #expect(ProcessInformation.residentBytes - before < 256 << 20)
  }

  @Test func framesCutAnywhereArriveWhole() async throws {
    let bench = try Bench(EchoHandler())
    defer { bench.stop() }
    let raw = try RawClient(to: bench.server.address)
    var random = SplitMix(seed: 21)
    var stream = ByteWriter()
    for _ in 0..<50 {
      let shift = Int.random(in: 0...17, using: &random)
      let count = Int.random(in: 0..<200_000, using: &random) >> shift
      stream.writeFrame([UInt8](repeating: UInt8(truncatingIfNeeded: count), count: count))
    }
    let bytes = stream.array()
    var position = 0
    var answer: [UInt8] = []
    while position < bytes.count {
      let count = min(bytes.count - position, Int.random(in: 1...60_000, using: &random))
      raw.send(Array(bytes[position..<(position + count)]))
      position += count
      // Reading along keeps both sides' buffers from filling up.
      while answer.count < position - 200_004 { answer += raw.receive() ?? [] }
    }
    while answer.count < bytes.count {
      guard let more = raw.receive(), !more.isEmpty else { break }
      answer += more
    }
    #expect(answer == bytes)
  }

  @Test func garbageNeverCrashes() async throws {
    let frames = Mutex(0)
    let handler = Scripted { _, _ in frames.withLock { $0 += 1 } }
    var options = ServerOptions()
    options.limits.maxFrameBytes = 1 << 16
    let bench = try Bench(handler, options: options)
    defer { bench.stop() }
    var random = SplitMix(seed: 4)
    for _ in 0..<300 {
      let raw = try RawClient(to: bench.server.address)
      let count = Int.random(in: 0...5_000, using: &random)
      var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      // Half of them begin like something sensible.
      if Bool.random(using: &random), count > 4 { bytes.replaceSubrange(0..<2, with: [0, 0]) }
      raw.send(bytes)
    }
    let client = bench.client(Collector())
    client.send(frame: [1, 2])
    try await eventually { bench.server.connectionCount == 1 ? true : nil }
  }

  @Test func aReaderThatDoesNotReadIsNotReadFrom() async throws {
    var options = ServerOptions()
    options.limits.highWaterBytes = 64 << 10
    options.limits.lowWaterBytes = 16 << 10
    options.limits.sendBufferBytes = 64 << 10
    let served = Mutex(0)
    let handler = Scripted { frame, connection in
      served.withLock { $0 += 1 }
      connection.output.writeFrame([UInt8](repeating: 7, count: 32 << 10))
    }
    let bench = try Bench(handler, options: options)
    defer { bench.stop() }
    let raw = try RawClient(to: bench.server.address)
    let requests = 2_000
    for _ in 0..<requests { raw.send([0, 0, 0, 1, 1]) }
    try await Task.sleep(for: .milliseconds(100))
    let first = served.withLock { $0 }
    try await Task.sleep(for: .milliseconds(100))
    // 64 MB of answers were asked for; only what the buffers take was made, and then nothing.
    #expect(first < 1_000)
    #expect(served.withLock { $0 } == first)
    let connection = try #require(handler.connections.withLock { $0.first })
    #expect(connection.loop.perform { connection.unsentBytes } < 1 << 20)
    var received = 0
    while received < requests * (4 + 32 << 10) {
      guard let bytes = raw.receive(1 << 20), !bytes.isEmpty else { break }
      received += bytes.count
      if served.withLock({ $0 }) == requests, received >= requests * ((32 << 10) + 4) { break }
    }
    #expect(received == requests * ((32 << 10) + 4))
  }

  @Test func tooManyParkedRepliesStopReading() async throws {
    var options = ServerOptions()
    options.limits.maxParkedReplies = 8
    let slots = Mutex<[ReplySlot]>([])
    let handler = Scripted { _, connection in
      let slot = connection.park()
      slots.withLock { $0.append(slot) }
    }
    let bench = try Bench(handler, options: options)
    defer { bench.stop() }
    let collector = Collector()
    let client = bench.client(collector)
    for index in 0..<100 { client.send(frame: [UInt8(index)]) }
    try await eventually { slots.withLock { $0.count == 8 ? true : nil } }
    let connection = try #require(handler.connections.withLock { $0.first })
    let turns = connection.loop.perform { connection.loop.turns }
    try await Task.sleep(for: .milliseconds(30))
    #expect(slots.withLock { $0.count } == 8)
    // The loop sleeps meanwhile.
    #expect(connection.loop.perform { connection.loop.turns } - turns < 5)
    for index in 0..<100 {
      let slot = try await eventually { slots.withLock { $0.count > index ? $0[index] : nil } }
      connection.loop.execute { connection.complete(slot) { $0.writeFrame([UInt8(index)]) } }
    }
    #expect(try await collector.frames(atLeast: 100) == (0..<100).map { [UInt8($0)] })
  }

  @Test func limitsMayChangeWhileListening() async throws {
    let bench = try Bench(EchoHandler(), options: ServerOptions(), loops: 2)
    defer { bench.stop() }
    let kept = try (0..<3).map { _ in try RawClient(to: bench.server.address) }
    try await eventually { bench.server.connectionCount == 3 ? true : nil }
    bench.server.setLimits(maxConnections: 3, perIP: .max, overrides: [:])
    #expect(try RawClient(to: bench.server.address).receive() == [])
    bench.server.setLimits(maxConnections: 4, perIP: .max, overrides: [:])
    let welcome = try RawClient(to: bench.server.address)
    welcome.send([0, 0, 0, 1, 9])
    #expect(welcome.receive() == [0, 0, 0, 1, 9])
    #expect(kept.count == 3)
  }

  /// The third waits and the fourth behind it; the fifth is turned away.
  @Test func whoComesTooFastWaitsOrIsTurnedAway() async throws {
    let asked = Mutex(0)
    var options = ServerOptions()
    options.admission = { _, _ in
      let number = asked.withLock { asked in
        asked += 1
        return asked
      }
      return number == 3 ? .wait(ms: 300) : number == 5 ? .turnAway(afterMs: 100) : .serve
    }
    let bench = try Bench(EchoHandler(), options: options, loops: 2)
    defer { bench.stop() }
    let start = ContinuousClock.now
    var clients: [RawClient] = []
    for _ in 0..<4 {
      let client = try RawClient(to: bench.server.address)
      client.send([0, 0, 0, 1, 9])
      clients.append(client)
    }
    for client in clients.prefix(2) { #expect(client.receive() == [0, 0, 0, 1, 9]) }
    for client in clients.suffix(2) { #expect(client.receive() == [0, 0, 0, 1, 9]) }
    #expect(ContinuousClock.now - start >= .milliseconds(290))
    #expect(try RawClient(to: bench.server.address).receive() == [])
    try await eventually { bench.server.connectionCount == 4 ? true : nil }
  }

  @Test func connectionsAreCountedAndRefused() async throws {
    var options = ServerOptions()
    options.maxConnectionsPerIP = 3
    let bench = try Bench(EchoHandler(), options: options, loops: 2)
    defer { bench.stop() }
    var kept = try (0..<3).map { _ in try RawClient(to: bench.server.address) }
    try await eventually { bench.server.connectionCount == 3 ? true : nil }
    let refused = try RawClient(to: bench.server.address)
    #expect(refused.receive() == [])
    #expect(bench.server.refusedTotal == 1)
    kept.removeLast()
    try await eventually { bench.server.connectionCount == 2 ? true : nil }
    let welcome = try RawClient(to: bench.server.address)
    welcome.send([0, 0, 0, 1, 9])
    #expect(welcome.receive() == [0, 0, 0, 1, 9])
  }

  // Never suspends: other tests hold the pool's threads, and a sleep could come back too late.
  @Test func idleConnectionsAreClosed() throws {
    var options = ServerOptions()
    options.limits.idleTimeoutMs = 500
    let handler = Scripted { frame, connection in connection.output.writeFrame(Array(frame)) }
    let bench = try Bench(handler, options: options)
    defer { bench.stop() }
    let raw = try RawClient(to: bench.server.address)
    for _ in 0..<4 {
      usleep(200_000)
      raw.send([0, 0, 0, 1, 9])
      #expect(raw.receive() == [0, 0, 0, 1, 9])
    }
    #expect(raw.receive() == [])
    bench.group.loops[0].perform {}
    #expect(handler.reasons.withLock { $0 } == [.idle])
  }

  @Test func answersReachAPeerThatHasFinishedWriting() async throws {
    let bench = try Bench(EchoHandler())
    defer { bench.stop() }
    let raw = try RawClient(to: bench.server.address)
    let body = [UInt8](repeating: 5, count: 2_000_000)
    var frame = ByteWriter()
    frame.writeFrame(body)
    let bytes = frame.array()
    var sent = 0
    while sent < bytes.count { sent += raw.send(Array(bytes[sent...])) }
    raw.finishWriting()
    var received = 0
    while let more = raw.receive(), !more.isEmpty { received += more.count }
    #expect(received == bytes.count)
  }

  @Test func refusedAndSilentPeersAreReported() async throws {
    let loop = try EventLoop(name: "client")
    defer {
      loop.stop()
      loop.join()
    }
    let collector = Collector()
    let nobody = try Socket.listening(at: .loopback())
    let address = try nobody.localAddress()
    _ = consume nobody
    _ = loop.client(to: address, collector)
    guard case .failed(let error) = try await collector.reason() else {
      Issue.record("not refused")
      return
    }
    #expect(error.code == ECONNREFUSED)
    #expect(collector.seen.withLock { $0.opened } == 0)
  }
}
