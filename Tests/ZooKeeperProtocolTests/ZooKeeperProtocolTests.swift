import Bytes
import Foundation
import TestKit
import Testing
import Values
import ZooKeeperProtocol

@Suite struct JuteTests {
  private func roundTrip<T: JuteRecord & Equatable>(_ record: T) throws {
    #expect(try T(decoding: record.encoded()) == record)
  }

  @Test func requestsRoundTrip() throws {
    try roundTrip(RequestHeader(xid: -2, type: .ping))
    try roundTrip(ReplyHeader(xid: 7, zxid: 1 << 40, error: .noNode))
    try roundTrip(CreateRequest(path: "/a", data: nil, mode: .ephemeralSequential))
    try roundTrip(CreateTTLRequest(create: CreateRequest(path: "/a", data: []), ttl: 5))
    try roundTrip(SetDataRequest(path: "/žluť", data: [1, 2], version: 3))
    try roundTrip(SetACLRequest(path: "/a", acl: ACL.creatorAll, version: 3))
    try roundTrip(PathWatchRequest(path: "/a", watch: true))
    try roundTrip(AuthPacket(scheme: "digest", auth: [1]))
    try roundTrip(WatcherEvent(.nodeDeleted, path: "/x"))
    try roundTrip(ReconfigRequest())
    try roundTrip(QuorumPacket(.proposal, zxid: 9, data: [1], authInfo: [.anyone]))
    try roundTrip(QuorumPacket(.ping, zxid: 9))
    try roundTrip(LearnerInfo(serverID: 3))
  }

  @Test func nullAndEmptyBuffersAreToldApart() throws {
    #expect(
      try GetDataResponse(decoding: GetDataResponse(data: nil, stat: Stat()).encoded()).data == nil)
    #expect(
      try GetDataResponse(decoding: GetDataResponse(data: [], stat: Stat()).encoded()).data == [])
  }

  @Test func theReadOnlyByteMayBeAbsent() throws {
    var request = ConnectRequest()
    request.password = [UInt8](repeating: 0, count: 16)
    #expect(request.encoded().count == 44)
    #expect(try ConnectRequest(decoding: request.encoded()).readOnly == nil)
    request.readOnly = false
    #expect(request.encoded().count == 45)
    #expect(try ConnectRequest(decoding: request.encoded()).readOnly == false)
  }

  @Test func multisRoundTrip() throws {
    let request = MultiRequest([
      .create(.create, CreateRequest(path: "/a", data: [1])),
      .check(PathVersionRequest(path: "/b", version: 2)),
      .setData(SetDataRequest(path: "/c", data: nil)),
      .delete(PathVersionRequest(path: "/d")),
    ])
    try roundTrip(request)
    var stat = Stat()
    stat.version = 4
    try roundTrip(
      MultiResponse([
        .create(path: "/a"), .check, .setData(stat: stat), .delete, .error(.noNode),
        .getData(nil, stat), .getChildren(["x"]),
      ]))
  }

  @Test func mixedMultisAreRefused() {
    let mixed = MultiRequest([
      .delete(PathVersionRequest(path: "/d")), .getData(PathWatchRequest(path: "/d")),
    ])
    #expect(throws: ByteError.self) { try MultiRequest(decoding: mixed.encoded()) }
  }

  @Test func transactionsRoundTrip() throws {
    let bodies: [(OpCode, TxnBody)] = [
      (.create, .create(CreateTxn(path: "/a", data: [1], acl: ACL.openUnsafe, parentCVersion: 3))),
      (.createContainer, .create(CreateTxn(path: "/a", data: nil, acl: [], parentCVersion: 3))),
      (.createTTL, .create(CreateTxn(path: "/a", data: [], acl: [], parentCVersion: 3, ttl: 10))),
      (.delete, .delete(path: "/a")),
      (.setData, .setData(path: "/a", data: nil, version: 1)),
      (.setACL, .setACL(path: "/a", acl: ACL.readUnsafe, version: 1)),
      (.createSession, .createSession(timeOutMs: 4000)),
      (.closeSession, .closeSession(paths: ["/abc"])),
      (.closeSession, .closeSession(paths: [])),
      (.closeSession, .closeSession(paths: nil)),
      (.error, .error(.badVersion)),
      (
        .multi,
        .multi([
          NestedTxn(type: .check, body: .check(path: "/q", version: 1)),
          NestedTxn(type: .error, body: .error(.runtimeInconsistency)),
        ])
      ),
    ]
    for (type, body) in bodies {
      let header = TxnHeader(clientID: 1, cxid: 2, zxid: 3, time: 4, type: type)
      try roundTrip(Txn(header: header, body: body))
      try roundTrip(Txn(header: header, body: body, digest: TxnDigest(treeDigest: -77)))
    }
  }

  @Test func electionMessagesRoundTripAndOldOnesAreRead() throws {
    let message = ElectionMessage(
      state: .leading, leader: 3, zxid: 0x1_0000_0004, electionEpoch: 9, peerEpoch: 1,
      config: Array("version=0".utf8))
    var writer = ByteWriter()
    message.write(to: &writer)
    var reader = ByteReader(writer.span)
    #expect(try ElectionMessage(from: &reader) == message)
    writer.truncate(to: 28)
    var short = ByteReader(writer.span)
    let old = try ElectionMessage(from: &short)
    #expect(old.peerEpoch == 1)
    #expect(old.version == 0)
  }

  /// Whatever the bytes, reading ends in a value or an error.
  @Test func garbageIsRefusedWithoutHarm() {
    var random = SplitMix(seed: 7)
    for _ in 0..<20_000 {
      let count = Int.random(in: 0..<80, using: &random)
      let bytes = (0..<count).map { _ in
        Bool.random(using: &random) ? 0 : UInt8.random(in: 0...255, using: &random)
      }
      _ = try? MultiRequest(decoding: bytes)
      _ = try? MultiResponse(decoding: bytes)
      _ = try? Txn(decoding: bytes)
      _ = try? QuorumPacket(decoding: bytes)
      _ = try? CreateTTLRequest(decoding: bytes)
      var reader = ByteReader(bytes.span.bytes)
      _ = try? ElectionMessage(from: &reader)
      var log = ByteReader(bytes.span.bytes)
      while case .txn = TxnLogFormat.next(in: &log) {}
    }
  }
}

@Suite struct FileFormatTests {
  /// Sixteen bytes a step and whatever is left, in pieces of any size: as one byte after another.
  @Test func adlerComesInPieces() {
    var random = SplitMix(seed: 3)
    for _ in 0..<60 {
      let count = Int.random(in: 0...12_000, using: &random)
      let bytes = (0..<count).map { _ in
        Bool.random(using: &random) ? 255 : UInt8.random(in: 0...255, using: &random)
      }
      var (low, high) = (1, 0)
      for byte in bytes {
        low = (low + Int(byte)) % 65521
        high = (high + low) % 65521
      }
      var sum = Adler32()
      var start = 0
      while start < count {
        let end = min(count, start + Int.random(in: 1...7000, using: &random))
        let piece = Array(bytes[start..<end])
        sum.update(piece.span.bytes)
        start = end
      }
      #expect(sum.value == Int64(high << 16 | low))
    }
  }

  @Test func adlerIsAdler() {
    #expect(Adler32.checksum("Wikipedia".utf8Span.span.bytes) == 0x11e6_0398)
    let long = [UInt8](repeating: 0xff, count: 100_000)
    #expect(Adler32.checksum(long.span.bytes) == 0x149a_302c)
  }

  @Test func entriesOfALogAreFoundAndDamageIsTold() {
    var writer = ByteWriter()
    let txn: [UInt8] = [1, 2, 3, 4, 5]
    TxnLogFormat.write(txn.span.bytes, to: &writer)
    writer.writeZeros(40)
    var bytes = writer.array()
    #expect(entries(bytes) == [.txn(12..<17), .end])
    #expect(entries(Array(bytes[..<15])) == [.torn])
    bytes[13] ^= 1
    #expect(entries(bytes) == [.corrupt])
  }

  private func entries(_ bytes: [UInt8]) -> [TxnLogFormat.Entry] {
    var reader = ByteReader(bytes.span.bytes)
    var found: [TxnLogFormat.Entry] = []
    while true {
      let entry = TxnLogFormat.next(in: &reader)
      found.append(entry)
      guard case .txn = entry else { return found }
    }
  }

  /// Every log of a real server decodes and encodes to the very bytes it had.
  @Test(arguments: [
    "zookeeper-3.8-datadir.tar.gz", "kafka-3.9.0-zookeeper-mode-zookeeper-datadir.tar.gz",
  ])
  func logsOfRealServersRoundTrip(_ fixture: String) throws {
    let folder = try Fixtures.unpack(fixture)
    defer { try? FileManager.default.removeItem(at: folder) }
    var seen = 0
    for case let url as URL in FileManager.default.enumerator(
      at: folder, includingPropertiesForKeys: nil)!
    {
      guard url.lastPathComponent.hasPrefix("log.") else { continue }
      let bytes = [UInt8](try Data(contentsOf: url))
      var reader = ByteReader(bytes.span.bytes)
      #expect(try FileHeader(from: &reader) == .log)
      while case .txn(let range) = TxnLogFormat.next(in: &reader) {
        let raw = Array(bytes[range])
        let txn = try Txn(decoding: raw)
        #expect(txn.encoded() == raw)
        // A request refused outright never got as far as a digest.
        #expect((txn.digest == nil) == (txn.header.type == .error))
        seen += 1
      }
      #expect(TxnLogFormat.next(in: &reader) == .end)
    }
    #expect(seen > 10)
  }
}
