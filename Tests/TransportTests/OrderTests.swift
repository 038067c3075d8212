import Bytes
import Platform
import Synchronization
import TestKit
import Testing
import Values

@testable import Transport

/// A handler made of closures; its closures run on the loop.
final class Scripted: FrameHandler, @unchecked Sendable {
  typealias OnFrame = (UnsafeMutableRawBufferPointer, Connection) throws(CloseReason) -> Void
  let onFrame: OnFrame
  let onOpen: (Connection) -> Void
  let connections = Mutex<[Connection]>([])
  let reasons = Mutex<[CloseReason]>([])

  init(onOpen: @escaping (Connection) -> Void = { _ in }, _ onFrame: @escaping OnFrame) {
    self.onFrame = onFrame
    self.onOpen = onOpen
  }

  func opened(_ connection: Connection) {
    connections.withLock { $0.append(connection) }
    onOpen(connection)
  }
  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    try onFrame(frame, connection)
  }
  func closed(_ connection: Connection, because reason: CloseReason) {
    reasons.withLock { $0.append(reason) }
  }
}

extension ByteWriter {
  mutating func writeFrame(_ bytes: [UInt8]) {
    let mark = beginFrame()
    writeBytes(bytes)
    endFrame(mark)
  }
}

/// One server of one loop, and a loop for clients.
final class Bench {
  let group: EventLoopGroup
  let clients: EventLoop
  let server: Server

  init(
    _ handler: any FrameHandler & Sendable, options: ServerOptions = ServerOptions(),
    loops: Int = 1
  ) throws {
    group = try EventLoopGroup(count: loops, name: "server")
    clients = try EventLoop(name: "client")
    server = try Server(on: group, options: options) { _ in .frames(handler) }
  }

  func client(
    _ handler: any FrameHandler & Sendable, limits: ConnectionLimits = ConnectionLimits()
  ) -> Connection { clients.client(to: server.address, handler, limits: limits) }

  func stop() {
    server.stop()
    group.stop()
    clients.stop()
    clients.join()
  }
}

@Suite struct OrderTests {
  /// Frames [k, …]: an even k is parked and answered in random order, an odd one at once.
  @Test(arguments: 0..<8)
  func repliesLeaveInRequestOrder(_ seed: UInt64) async throws {
    struct Parked { var slots: [(ReplySlot, UInt8)] = [] }
    let parked = Mutex(Parked())
    let handler = Scripted { frame, connection in
      let bytes = Array(frame)
      if bytes[0] % 2 == 0 {
        let slot = connection.park()
        parked.withLock { $0.slots.append((slot, bytes[0])) }
      } else {
        connection.output.writeFrame(bytes)
      }
    }
    let bench = try Bench(handler)
    defer { bench.stop() }
    let collector = Collector()
    let client = bench.client(collector)
    var random = SplitMix(seed: seed)
    let kinds = (0..<100).map { _ in UInt8.random(in: 0...255, using: &random) }
    for kind in kinds { client.send(frame: [kind]) }
    let evens = kinds.count { $0 % 2 == 0 }
    try await eventually { parked.withLock { $0.slots.count == evens ? true : nil } }
    let connection = try #require(handler.connections.withLock { $0.first })
    for (slot, kind) in parked.withLock({ $0.slots }).shuffled(using: &random) {
      connection.loop.execute {
        connection.complete(slot) { $0.writeFrame([kind]) }
        // A second answer is ignored.
        connection.complete(slot) { $0.writeFrame([0xff, 0xff]) }
      }
    }
    let frames = try await collector.frames(atLeast: kinds.count)
    #expect(frames == kinds.map { [$0] })
    #expect(connection.loop.perform { connection.parkedReplies } == 0)
  }

  @Test(arguments: [false, true])
  func fileRegionsAreSentInPlace(_ cold: Bool) async throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileSystem.removeTree(folder.path) }
    let file = try File(folder.path + "/log", [.read, .write, .create])
    let content = Array(repeating: Array(0...250 as ClosedRange<UInt8>), count: 6_000)
      .flatMap(\.self)
    try file.write(content, at: 0)
    // Frame: position and count; the answer is those bytes between two marks.
    let handler = Scripted { frame, connection in
      let position = Int(Int32(bigEndian: frame.loadUnaligned(as: Int32.self)))
      let count = Int(Int32(bigEndian: frame.loadUnaligned(fromByteOffset: 4, as: Int32.self)))
      let region = FileRegion(file: file, position: Int64(position), count: count)
      func answer(_ writer: inout ByteWriter, _ token: Int) {
        let mark = writer.beginFrame()
        writer.writeInt8(1)
        if count > 0 { writer.writeSplice(token: token, count: count) }
        writer.writeInt8(2)
        writer.endFrame(mark)
      }
      if position % 3 == 0 {
        let slot = connection.park()
        connection.loop.schedule(afterMs: Int64(position % 7)) {
          let token = connection.spliceToken(for: region)
          connection.complete(slot) { answer(&$0, token) }
        }
      } else {
        let token = connection.spliceToken(for: region)
        answer(&connection.output, token)
      }
    }
    var options = ServerOptions()
    let pool = try IOPool(threads: 1)
    if cold {
      try file.sync()
      file.dropFromCache()
      options.limits.coldReads = pool
    }
    let bench = try Bench(handler, options: options)
    defer {
      bench.stop()
      pool.stop()
    }
    let collector = Collector()
    let client = bench.client(collector)
    var random = SplitMix(seed: 9)
    var expected: [[UInt8]] = []
    for _ in 0..<40 {
      let position = Int.random(in: 0..<1_000_000, using: &random)
      let shift = Int.random(in: 0...20, using: &random)
      let count = Int.random(in: 0..<500_000, using: &random) >> shift
      var request = ByteWriter()
      request.writeInt32(Int32(position))
      request.writeInt32(Int32(count))
      client.send(frame: request.array())
      expected.append([1] + content[position..<(position + count)] + [2])
    }
    let frames = try await collector.frames(atLeast: expected.count)
    #expect(frames == expected)
  }

  @Test func aFileThatBecameShorterEndsTheConnection() async throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileSystem.removeTree(folder.path) }
    let file = try File(folder.path + "/log", [.read, .write, .create])
    try file.write([1, 2, 3], at: 0)
    let handler = Scripted { frame, connection in
      let mark = connection.output.beginFrame()
      connection.writeRegion(FileRegion(file: file, position: 0, count: 10))
      connection.output.endFrame(mark)
    }
    let bench = try Bench(handler)
    defer { bench.stop() }
    let collector = Collector()
    bench.client(collector).send(frame: [1])
    #expect(try await collector.reason() == .peerClosed)
    #expect(handler.reasons.withLock { $0 } == [.local("file region ended early")])
  }

  @Test func repliesToAClosedConnectionGoNowhere() async throws {
    let slots = Mutex<[ReplySlot]>([])
    let handler = Scripted { _, connection in
      let slot = connection.park()
      slots.withLock { $0.append(slot) }
    }
    let bench = try Bench(handler)
    defer { bench.stop() }
    let client = bench.client(Collector())
    client.send(frame: [1])
    try await eventually { slots.withLock { $0.isEmpty ? nil : true } }
    bench.clients.perform { client.close(.local("done")) }
    try await eventually { handler.reasons.withLock { $0.isEmpty ? nil : true } }
    let connection = try #require(handler.connections.withLock { $0.first })
    let ran = connection.loop.perform {
      var ran = false
      connection.complete(slots.withLock { $0[0] }) { _ in ran = true }
      return ran
    }
    #expect(!ran)
  }
}
