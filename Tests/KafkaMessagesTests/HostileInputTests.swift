import Bytes
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Testing
import Values

@Suite struct HostileInputTests {
  static let names = [
    "ProduceRequest", "FetchRequest", "FetchResponse", "MetadataResponse", "JoinGroupRequest",
    "LeaderAndIsrRequest", "UpdateMetadataRequest", "ConsumerGroupHeartbeatResponse",
    "DescribeTopicPartitionsRequest", "OffsetCommitValue", "PartitionChangeRecord",
    "ConsumerProtocolSubscription",
  ]

  private static func refusal(_ type: any KafkaMessage.Type, _ bytes: [UInt8], _ version: Int)
    -> ByteError?
  {
    func read<M: KafkaMessage>(_ type: M.Type) -> ByteError? {
      var reader = ByteReader(bytes.span.bytes)
      do { _ = try M(from: &reader, version: Int16(version)) } catch { return error }
      return nil
    }
    return read(type)
  }

  @Test func everyTruncationIsRefused() throws {
    let schemas =
      try SchemaNotation.messages(in: "messages") + SchemaNotation.messages(in: "records")
    for name in Self.names {
      let schema = try #require(schemas.first { $0.name == name })
      let type = try #require(RoundTripTests.types[name])
      for version in schema.versions {
        let bytes = RandomMessage.bytes(of: schema, version: version, seed: UInt64(version) + 7)
        for end in bytes.indices {
          #expect(
            Self.refusal(type, Array(bytes[..<end]), version) != nil,
            "\(name) v\(version) at \(end)")
        }
      }
    }
  }

  @Test func damagedBytesNeverTrap() throws {
    let schemas =
      try SchemaNotation.messages(in: "messages") + SchemaNotation.messages(in: "records")
    var random = SplitMix(seed: 11)
    for schema in schemas {
      let type = try #require(RoundTripTests.types[schema.name])
      for version in schema.versions {
        var bytes = RandomMessage.bytes(of: schema, version: version, seed: UInt64(version) + 99)
        guard !bytes.isEmpty else { continue }
        for _ in 0..<20 {
          bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(
            in: 0...255, using: &random)
          _ = Self.refusal(type, bytes, version)
        }
      }
    }
  }

  @Test func countsThatCannotBeThereAreRefused() {
    // Metadata v0: an array of topics whose count is two thousand million.
    #expect(
      Self.refusal(MetadataRequest.self, [0x7f, 0xff, 0xff, 0xff, 0, 0], 0)
        == .invalidLength(0x7fff_ffff))
    // The same in compact form: five groups of seven bits.
    #expect(Self.refusal(MetadataRequest.self, [0xff, 0xff, 0xff, 0xff, 0x07, 0], 12) != nil)
    #expect(Self.refusal(MetadataRequest.self, [0xff, 0xff, 0xff, 0xff, 0x0f, 0], 12) != nil)
    #expect(
      Self.refusal(MetadataRequest.self, [0x80, 0, 0, 0], 1) == .invalidLength(-2_147_483_648))
  }

  @Test func nullsWhereThereMustBeAValueAreRefused() {
    #expect(Self.refusal(FindCoordinatorRequest.self, [0xff, 0xff], 0) == .unexpectedNull)
    #expect(Self.refusal(FindCoordinatorRequest.self, [0], 3) == .unexpectedNull)
    #expect(Self.refusal(MetadataRequest.self, [0xff, 0xff, 0xff, 0xff], 0) == .unexpectedNull)
  }

  @Test func taggedFieldsThatLieAboutTheirSizeAreRefused() {
    // Fetch v12 without topics, then tag 0 (cluster id) that announces three bytes and has two.
    let head: [UInt8] = Array(repeating: 0, count: 4 + 4 + 4 + 4 + 1 + 4 + 4) + [1, 1, 1]
    #expect(Self.refusal(FetchRequest.self, head + [1, 0, 2, 2, 97], 12) == nil)
    #expect(Self.refusal(FetchRequest.self, head + [1, 0, 3, 2, 97, 0], 12) == .invalidLength(-1))
    #expect(Self.refusal(FetchRequest.self, head + [1, 0, 1, 2, 97], 12) == .invalidLength(1))
    // A tag that is not known is skipped by its size.
    #expect(Self.refusal(FetchRequest.self, head + [1, 99, 2, 1, 2], 12) == nil)
    #expect(
      Self.refusal(FetchRequest.self, head + [0xff, 0xff, 0xff, 0xff, 0x0f], 12) == .endOfInput)
  }
}
