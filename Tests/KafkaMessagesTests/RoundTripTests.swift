import Bytes
import Foundation
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import TestKit
import Testing

/// Reads a message to the end of its bytes and writes it again.
func reencoded<M: KafkaMessage>(
  _ type: M.Type, _ bytes: [UInt8], version: Int16
) throws -> [UInt8] {
  var reader = ByteReader(bytes.span.bytes)
  var message = try M(from: &reader, version: version)
  let left = reader.remaining
  #expect(left == 0, "\(type) v\(version)")
  message.copyRecords(from: bytes.span.bytes)
  var writer = ByteWriter()
  message.write(to: &writer, version: version)
  return writer.array()
}

@Suite struct RoundTripTests {
  static let types = KafkaMessagesCatalogue.byName.merging(KafkaRecordsCatalogue.byName) { a, _ in a
  }

  @Test(arguments: ["messages", "records"])
  func everyVersionOfEveryMessageRoundTrips(folder: String) throws {
    let messages = try SchemaNotation.messages(in: folder)
    #expect(messages.count == (folder == "messages" ? 177 : 61))
    for (index, message) in messages.enumerated() {
      let type = try #require(Self.types[message.name], "\(message.name) is not generated")
      #expect(
        type.validVersions == Int16(
          message.versions.lowerBound)...Int16(message.versions.upperBound))
      for version in message.versions {
        for round in 0..<20 {
          let seed = UInt64(index * 1_000_000 + version * 1000 + round)
          let bytes = RandomMessage.bytes(of: message, version: version, seed: seed)
          let again = try reencoded(type, bytes, version: Int16(version))
          guard again == bytes else {
            Issue.record("\(message.name) v\(version), seed \(seed): bytes differ")
            break
          }
        }
      }
    }
  }

  @Test func defaultsRoundTripInEveryVersion() throws {
    func check<M: KafkaMessage>(_ type: M.Type) throws {
      for version in M.validVersions {
        var writer = ByteWriter()
        M().write(to: &writer, version: version)
        let bytes = writer.array()
        #expect(try reencoded(type, bytes, version: version) == bytes, "\(type) v\(version)")
      }
    }
    for name in Self.types.keys.sorted() where name != "FetchSnapshotResponse" {
      try check(Self.types[name]!)
    }
  }

  @Test func versionsThatDoNotExistAreRefused() {
    for name in Self.types.keys.sorted() {
      let type = Self.types[name]!
      for version in [type.validVersions.lowerBound - 1, type.validVersions.upperBound + 1] {
        #expect(throws: ByteError.invalidValue(Int64(version))) {
          try reencoded(type, [], version: version)
        }
      }
    }
  }

  @Test func headersAreWhatTheirSchemaSays() throws {
    let text = try String(
      contentsOf: Fixtures.checkout.appending(path: "Sources/KafkaProtocol/Schemas/headers.kafka"),
      encoding: .utf8)
    let schema = try #require(SchemaNotation.read(text).first { $0.name == "RequestHeader" })
    for key in ApiKey.allCases {
      for version in key.versions {
        let headerVersion = Int(key.requestHeaderVersion(version))
        var bytes = RandomMessage.bytes(of: schema, version: headerVersion, seed: UInt64(version))
        bytes.replaceSubrange(0..<4, with: [0, UInt8(key.rawValue), 0, UInt8(version)])
        var reader = ByteReader(bytes.span.bytes)
        let header = try RequestHeader(from: &reader)
        #expect(reader.remaining == 0)
        var writer = ByteWriter()
        header.write(to: &writer)
        #expect(writer.array() == bytes)
      }
    }
  }
}
