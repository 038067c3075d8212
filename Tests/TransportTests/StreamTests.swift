import Bytes
import Platform
import Synchronization
import Testing
import Values

@testable import Transport

/// Reads lines; `frames` makes the connection framed, what it does not know comes back.
final class LineHandler: StreamHandler, Sendable {
  func opened(_ connection: Connection) {}
  func closed(_ connection: Connection, because reason: CloseReason) {}
  func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) -> Int {
    guard let end = bytes.firstIndex(of: 10) else { return 0 }
    let line = Array(bytes[...end])
    if line == Array("frames\n".utf8) {
      connection.become(.frames(EchoHandler()))
    } else if line == Array("later\n".utf8) {
      let slot = connection.park()
      connection.loop.schedule(afterMs: 20) {
        connection.complete(slot) { $0.writeText("now\n") }
      }
    } else if line == Array("bye\n".utf8) {
      connection.output.writeText("bye\n")
      connection.closeAfterFlush(.local("asked to"))
    } else {
      connection.output.writeBytes(line)
    }
    return line.count
  }
}

@Suite struct StreamTests {
  private func withClient(_ body: (RawClient) throws -> Void) throws {
    let group = try EventLoopGroup(count: 1, name: "stream")
    var options = ServerOptions()
    options.limits.maxFrameBytes = 10_000
    let server = try Server(on: group, options: options) { _ in .stream(LineHandler()) }
    defer {
      server.stop()
      group.stop()
    }
    try body(try RawClient(to: server.address))
  }

  /// Everything until so many bytes have come, or the end.
  private func collect(_ client: RawClient, _ count: Int = .max) -> String {
    var bytes: [UInt8] = []
    while bytes.count < count, let more = client.receive(), !more.isEmpty { bytes += more }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test func whatIsNotConsumedComesAgain() throws {
    try withClient { client in
      for piece in ["he", "ll", "o\nwor"] { client.send(Array(piece.utf8)) }
      #expect(collect(client, 6) == "hello\n")
      client.send(Array("ld\n".utf8))
      #expect(collect(client, 6) == "world\n")
    }
  }

  @Test func aStreamBecomesFramedInTheMiddleOfARead() throws {
    try withClient { client in
      client.send(Array("x\nframes\n".utf8) + [0, 0, 0, 2, 65, 66])
      #expect(collect(client, 8) == "x\n\0\0\0\u{2}AB")
    }
  }

  @Test func aPeerThatHasFinishedWritingGetsItsLateAnswer() throws {
    try withClient { client in
      client.send(Array("later\n".utf8))
      client.finishWriting()
      #expect(collect(client) == "now\n")
    }
  }

  @Test func closingAfterTheLastAnswerWaitsForParkedOnes() throws {
    try withClient { client in
      client.send(Array("later\nbye\nnever read\n".utf8))
      #expect(collect(client) == "now\nbye\n")
    }
  }

  @Test func aLineWithoutEndIsRefused() throws {
    try withClient { client in
      client.send([UInt8](repeating: 65, count: 20_000))
      #expect(collect(client) == "")
    }
  }
}
