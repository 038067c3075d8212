import Bytes
import Foundation
import KafkaProtocol
import TestKit
import Testing

@Suite struct ErrorCodeTests {
  @Test func theTableIsTheReferences() throws {
    let url = Fixtures.reference.appending(path: "kafka-3.9/error-codes.csv")
    let rows = try String(contentsOf: url, encoding: .utf8).split(separator: "\n").dropFirst()
    // The table lacks POSITION_OUT_OF_RANGE, which Kafka's source spreads over several lines.
    #expect(ErrorCode.all.count == rows.count + 1)
    for row in rows {
      let cells = row.split(separator: ",")
      let code = ErrorCode(try #require(Int16(cells[0])))
      #expect(code.name == cells[1])
      #expect(code.isRetriable == (cells[2] == "true"))
      #expect(code == .none || !code.message.isEmpty)
    }
  }

  @Test func unknownCodesAreKept() {
    #expect(ErrorCode.positionOutOfRange.name == "POSITION_OUT_OF_RANGE")
    #expect(ErrorCode(9999).name == "ERROR_9999")
    #expect(ErrorCode(.min).name == "ERROR_-32768")
    #expect(ErrorCode(.max).isRetriable == false)
  }
}

@Suite struct ApiKeyTests {
  @Test func headersFollowTheVersions() {
    #expect(ApiKey.controlledShutdown.requestHeaderVersion(0) == 0)
    #expect(ApiKey.controlledShutdown.requestHeaderVersion(1) == 1)
    #expect(ApiKey.produce.requestHeaderVersion(8) == 1)
    #expect(ApiKey.produce.requestHeaderVersion(9) == 2)
    #expect(ApiKey.produce.responseHeaderVersion(9) == 1)
    #expect(ApiKey.apiVersions.requestHeaderVersion(3) == 2)
    #expect(ApiKey.apiVersions.responseHeaderVersion(4) == 0)
    #expect(ApiKey.saslHandshake.requestHeaderVersion(1) == 1)
  }

  @Test func rolesAndStability() {
    #expect(ApiKey.allCases.count == 88)
    #expect(ApiKey.fetch.listeners == [.zkBroker, .broker, .controller])
    #expect(ApiKey.shareFetch.schema.stableVersions == nil)
    #expect(ApiKey.produce.schema.stableVersions == 0...11)
    #expect(ApiKey.initProducerID.name == "InitProducerId")
  }
}

@Suite struct PrimitiveTests {
  @Test func textThatIsTooLongIsCutBetweenCharacters() throws {
    var writer = ByteWriter()
    writer.writeString(String(repeating: "é", count: 20_000), compact: false)
    var reader = ByteReader(writer.span)
    let text = try reader.readString(compact: false)
    #expect(text.utf8.count == 32_766)
    #expect(reader.remaining == 0)
  }

  @Test func splicedRecordsLeaveTheirLength() {
    var writer = ByteWriter()
    let mark = writer.beginFrame()
    writer.writeRecords(.splice(token: 3, count: 300), compact: true)
    writer.endFrame(mark)
    #expect(writer.array() == [0, 0, 1, 46, 0xad, 0x02])
    #expect(writer.splices.map(\.token) == [3])
  }

  @Test func recordFramesRefuseWhatTheyDoNotKnow() throws {
    var writer = ByteWriter()
    RecordFrame(type: 300, version: 2).write(to: &writer)
    #expect(writer.array() == [1, 0xac, 0x02, 2])
    var reader = ByteReader(writer.span)
    #expect(try RecordFrame(from: &reader) == RecordFrame(type: 300, version: 2))
    let other: [UInt8] = [2, 0, 0]
    var refused = false
    var second = ByteReader(other.span.bytes)
    do { _ = try RecordFrame(from: &second) } catch { refused = error == .invalidValue(2) }
    #expect(refused)
  }
}
