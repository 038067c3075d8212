import Bytes
import Testing
import ZooKeeperProtocol

@testable import CoordinatorNode

@Suite struct ElectionGreetingTests {
  private func read(_ bytes: [UInt8]) throws -> (ElectionGreeting, Int)? {
    try bytes.withUnsafeBytes { raw in
      guard let (greeting, length) = try ElectionGreeting.read(raw) else { return nil }
      return (greeting, length)
    }
  }

  @Test func itComesInPieces() throws {
    let greeting = ElectionGreeting(server: 3, address: "127.0.0.1:3888")
    var writer = ByteWriter()
    greeting.write(to: &writer)
    let bytes = writer.array()
    #expect(bytes.prefix(8) == [255, 255, 255, 255, 255, 255, 0, 0])
    for count in bytes.indices { #expect(try read(Array(bytes[..<count])) == nil) }
    let whole = try #require(try read(bytes + [1, 2, 3]))
    #expect(whole.0 == greeting)
    #expect(whole.1 == bytes.count)
  }

  @Test func oldServersSendTheirNumberOnly() throws {
    var writer = ByteWriter()
    writer.writeInt64(7)
    let (greeting, length) = try #require(try read(writer.array()))
    #expect(greeting.server == 7)
    #expect(length == 8)
  }

  @Test(arguments: [Int32(0), -1, 2049, .max])
  func lengthsAreBounded(_ length: Int32) {
    var writer = ByteWriter()
    writer.writeInt64(ElectionGreeting.version)
    writer.writeInt64(1)
    writer.writeInt32(length)
    #expect(throws: ByteError.invalidLength(Int64(length))) { try read(writer.array()) }
  }

  @Test func otherVersionsAreRefused() {
    var writer = ByteWriter()
    writer.writeInt64(-1)
    #expect(throws: ByteError.invalidValue(-1)) { try read(writer.array()) }
  }
}

@Suite struct PacketStreamTests {
  private let packets = [
    QuorumPacket(.diff, zxid: 0x1_0000_0005),
    QuorumPacket(
      .request, zxid: -1, data: [1, 2, 3], authInfo: [AuthID(scheme: "ip", id: "127.0.0.1")]),
    QuorumPacket(.ping, zxid: 7, data: []),
  ]

  /// Whatever the network makes of the stream, the packets come out whole and in order.
  @Test func packetsComeInPieces() throws {
    let bytes = packets.flatMap { $0.encoded() }
    for piece in 1...bytes.count {
      var unread: [UInt8] = []
      var read: [QuorumPacket] = []
      var sent = 0
      while sent < bytes.count {
        let end = min(sent + piece, bytes.count)
        unread += bytes[sent..<end]
        sent = end
        var position = 0
        try unread.withUnsafeBytes { raw in
          while let (packet, end) = try PacketStream.next(in: raw, at: position, maxData: 100) {
            read.append(packet)
            position = end
          }
        }
        unread.removeFirst(position)
      }
      #expect(read == packets)
      #expect(unread.isEmpty)
    }
  }

  @Test(arguments: [Int32(-2), 101, .max, .min])
  func lengthsAreBounded(_ length: Int32) {
    var writer = ByteWriter()
    writer.writeInt32(PacketType.proposal.rawValue)
    writer.writeInt64(1)
    writer.writeInt32(length)
    let bytes = writer.array()
    #expect(throws: (any Error).self) {
      try bytes.withUnsafeBytes { _ = try PacketStream.next(in: $0, at: 0, maxData: 100) }
    }
  }
}
