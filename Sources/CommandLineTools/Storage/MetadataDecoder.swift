import Bytes
import KafkaProtocol
import KafkaRecords
import LogStorage
import Records

/// Records of the metadata log and of its snapshots as JSON, in the form of Kafka's own decoder.
enum MetadataDecoder {
  static func decode(_ record: RecordView) -> (key: String?, payload: String?) {
    guard let value = record.value else { return (nil, nil) }
    var reader = ByteReader(RawSpan(_unsafeBytes: value))
    do throws(ByteError) {
      let (decoded, version) = try MetadataRecord.read(from: &reader)
      let fields = [
        JSONText.field("type", JSONText.value(typeName(decoded.name))),
        JSONText.field("version", JSONText.value(version)),
        JSONText.field("data", decoded.json(version: version)),
      ]
      return (nil, JSONText.object(fields))
    } catch {
      return (nil, "Error at \(record.offset), skipping. \(error)")
    }
  }

  /// `BrokerRegistrationChangeRecord` is called `BROKER_REGISTRATION_CHANGE_RECORD`.
  private static func typeName(_ name: String) -> String {
    var spelled = ""
    for letter in name {
      if letter.isUppercase, !spelled.isEmpty { spelled += "_" }
      spelled += letter.uppercased()
    }
    return spelled
  }

  /// What a control record of the metadata log says, with or without the decoder; nil for types
  /// that the tool shows by name only.
  static func describe(_ type: ControlRecordType, _ record: RecordView) -> String? {
    guard let value = record.value else { return nil }
    func text<M: KafkaMessage & JSONShowable>(_ name: String, _ message: M.Type) -> String? {
      var reader = ByteReader(RawSpan(_unsafeBytes: value))
      return (try? M(from: &reader, version: 0)).map { " \(name) \($0.json(version: 0))" }
    }
    switch type {
    case .snapshotHeader: return text("SnapshotHeader", SnapshotHeaderRecord.self)
    case .snapshotFooter: return text("SnapshotFooter", SnapshotFooterRecord.self)
    case .kraftVersion: return text("KRaftVersion", KRaftVersionRecord.self)
    case .kraftVoters: return text("KRaftVoters", VotersRecord.self)
    case .abort, .commit, .leaderChange: return nil
    }
  }
}
