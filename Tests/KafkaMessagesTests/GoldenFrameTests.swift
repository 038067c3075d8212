import Bytes
import Foundation
import KafkaMessages
import KafkaProtocol
import TestKit
import Testing

/// Frames that real 3.9.0 processes exchanged.
@Suite struct GoldenFrameTests {
  struct Frame: Decodable {
    var conn: String
    var dir: String
    var api_key: Int16
    var api_version: Int16
    var hex: String
    var seq: Int

    var bytes: [UInt8] {
      let digits = Array(hex.utf8)
      func value(_ digit: UInt8) -> UInt8 { digit < 58 ? digit - 48 : digit - 87 }
      return stride(from: 0, to: digits.count, by: 2).map {
        value(digits[$0]) << 4 | value(digits[$0 + 1])
      }
    }
  }

  static func frames(_ name: String) throws -> [Frame] {
    try Fixtures.data("frames-\(name).jsonl.gz").split(separator: 10).map {
      try JSONDecoder().decode(Frame.self, from: $0)
    }
  }

  @Test(arguments: [
    "kraft", "kraft-interbroker", "kraft-envelope-all", "zookeeper-mode", "zookeeper-mode-ibp26",
  ])
  func framesReadToTheEndAndWriteTheSame(name: String) throws {
    let frames = try Self.frames(name)
    #expect(!frames.isEmpty)
    for frame in frames {
      let key = try #require(ApiKey(rawValue: frame.api_key))
      let isRequest = frame.dir == "req"
      let type = try #require(
        KafkaMessagesCatalogue.byName[key.name + (isRequest ? "Request" : "Response")])
      let bytes = frame.bytes
      var reader = ByteReader(bytes.span.bytes)
      var writer = ByteWriter()
      if isRequest {
        let header = try RequestHeader(from: &reader)
        #expect(header.apiKey == frame.api_key && header.apiVersion == frame.api_version)
        header.write(to: &writer)
      } else {
        let version = key.responseHeaderVersion(frame.api_version)
        let header = try ResponseHeader(from: &reader, version: version)
        header.write(to: &writer, version: version)
      }
      let body = Array(bytes[reader.position...])
      let again = writer.array() + (try reencoded(type, body, version: frame.api_version))
      #expect(again == bytes, "\(name) seq \(frame.seq): \(key) v\(frame.api_version) \(frame.dir)")
    }
  }
}
