import Bytes
import KafkaProtocol
import KafkaRecords
import Testing
import Values

@Suite struct MetadataRecordTests {
  @Test func framedRecordsSayWhatTheyAre() throws {
    let topic = TopicRecord {
      $0.name = "quotes"
      $0.topicID = Uuid(high: 1, low: 2)
    }
    var writer = ByteWriter()
    MetadataRecord.topic(topic).write(to: &writer, version: 0)
    #expect(writer.array().prefix(3) == [1, 2, 0])
    var reader = ByteReader(writer.span)
    let (record, version) = try MetadataRecord.read(from: &reader)
    #expect(version == 0 && record.name == "TopicRecord" && record.recordType == 2)
    guard case .topic(let again) = record else {
      Issue.record("not a topic")
      return
    }
    #expect(again.name == "quotes" && again.topicID == topic.topicID)
  }

  @Test func unknownTypesAreRefused() {
    let bytes: [UInt8] = [1, 6, 0]
    var reader = ByteReader(bytes.span.bytes)
    var failure: ByteError?
    do { _ = try MetadataRecord.read(from: &reader) } catch { failure = error }
    #expect(failure == .invalidValue(6))
  }
}
