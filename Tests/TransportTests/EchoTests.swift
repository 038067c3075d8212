import Bytes
import Platform
import Synchronization
import Testing

@testable import Transport

/// Answers every frame with itself.
final class EchoHandler: FrameHandler, Sendable {
  func opened(_ connection: Connection) {}
  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    let mark = connection.output.beginFrame()
    connection.output.writeBytes(UnsafeRawBufferPointer(frame))
    connection.output.endFrame(mark)
  }
  func closed(_ connection: Connection, because reason: CloseReason) {}
}

/// Collects frames and the end, for a test to wait for.
final class Collector: FrameHandler, @unchecked Sendable {
  struct Seen {
    var opened = 0
    var frames: [[UInt8]] = []
    var reason: CloseReason?
  }
  let seen = Mutex(Seen())

  func opened(_ connection: Connection) { seen.withLock { $0.opened += 1 } }
  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    let bytes = Array(frame)
    seen.withLock { $0.frames.append(bytes) }
  }
  func closed(_ connection: Connection, because reason: CloseReason) {
    seen.withLock { $0.reason = reason }
  }

  func frames(atLeast count: Int) async throws -> [[UInt8]] {
    try await eventually { self.seen.withLock { $0.frames.count >= count ? $0.frames : nil } }
  }
  func reason() async throws -> CloseReason {
    try await eventually { self.seen.withLock { $0.reason } }
  }
}

struct NotInTime: Error {}

/// Waits until the body gives something, up to ten seconds.
@discardableResult
func eventually<T>(_ body: () -> T?) async throws -> T {
  for _ in 0..<10_000 {
    if let value = body() { return value }
    try await Task.sleep(for: .milliseconds(1))
  }
  throw NotInTime()
}

extension EventLoop {
  /// A client connection for tests.
  func client(
    to address: SocketAddress, _ handler: any FrameHandler & Sendable,
    limits: ConnectionLimits = ConnectionLimits()
  ) -> Connection {
    perform { [self] in
      Connection.connect(to: address, on: self, .frames(handler), limits: limits)
    }
  }
}

extension Connection {
  func send(frame: [UInt8]) {
    loop.perform { [self] in
      let mark = output.beginFrame()
      output.writeBytes(frame)
      output.endFrame(mark)
    }
  }
}

@Suite struct EchoTests {
  @Test func framesOfEverySizeComeBack() async throws {
    let group = try EventLoopGroup(count: 2, name: "echo")
    defer { group.stop() }
    let server = try Server(on: group) { _ in .frames(EchoHandler()) }
    let collector = Collector()
    let client = group.loops[1].client(to: server.address, collector)
    let sizes = [0, 1, 3, 4, 100, 65_535, 262_144, 262_145, 1_500_000, 7]
    for (index, size) in sizes.enumerated() {
      client.send(frame: [UInt8](repeating: UInt8(index), count: size))
    }
    let frames = try await collector.frames(atLeast: sizes.count)
    #expect(frames.map(\.count) == sizes)
    for (index, frame) in frames.enumerated() {
      #expect(frame == [UInt8](repeating: UInt8(index), count: frame.count))
    }
    #expect(server.connectionCount == 1)
    server.stop()
    #expect(try await collector.reason() == .peerClosed)
    #expect(server.connectionCount == 0)
  }
}
