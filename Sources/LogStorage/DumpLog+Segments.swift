import Bytes
import Platform
import Records
import Values

/// Segments and snapshots: a line for each batch, and on request one for each record.
extension DumpLog {
  /// Stops at the first batch that cannot be read; what is behind it is told as invalid bytes.
  mutating func dumpLog(_ path: String, _ name: String, _ emit: (String) -> Void) throws {
    emit(Self.title(name))
    let file = try File(path)
    let size = Int(try file.size())
    let end = min(size, options.maxBytes)
    var scanner = SegmentScanner(file, from: 0, to: end, piece: 1 << 18)
    var scratch = ByteWriter()
    var lastOffset: Offset = -1
    while let (batch, position) = try scanner.next() {
      emit(Self.line(for: batch, at: position))
      guard options.isDeep || options.printsData else { continue }
      var records = try batch.records(scratch: &scratch)
      while let record = try records.next() {
        if lastOffset != -1, record.offset != lastOffset + 1 {
          gaps.append((path, lastOffset, record.offset))
        }
        lastOffset = record.offset
        emit(try line(for: record, of: batch.header))
      }
    }
    if scanner.position < end, options.maxBytes == .max {
      emit("Found \(size - scanner.position) invalid bytes at the end of \(name)")
    }
  }

  /// The line that says what the file holds, by its name.
  private static func title(_ name: String) -> String {
    if let start = FileNames.offset(in: name, suffix: FileNames.log) {
      return "Log starting offset: \(start)"
    }
    // `<offset>-<epoch>.checkpoint`, or `bootstrap.checkpoint`.
    let parts = name.dropLast(".checkpoint".utf8.count).split(separator: "-")
    if parts.count == 2, let offset = Offset(parts[0]), let epoch = Int32(parts[1]) {
      return "Snapshot end offset: \(offset), epoch: \(epoch)"
    }
    return name == "bootstrap.checkpoint" ? "KRaft bootstrap snapshot" : "Log starting offset: 0"
  }

  /// Format 0 has no timestamps, which the tool gives a name of its own.
  private static func timestampType(_ header: BatchHeader) -> String {
    header.magic == 0 ? "NoTimestampType" : header.timestampType.name
  }

  /// What the batch's header says. Formats 0 and 1 have less to say.
  static func line(for batch: RecordBatch, at position: Int) -> String {
    let header = batch.header
    var line: String
    if header.magic == 2 {
      let horizon = header.deleteHorizonMs.map { "OptionalLong[\($0)]" } ?? "OptionalLong.empty"
      line =
        "baseOffset: \(header.baseOffset) lastOffset: \(header.lastOffset)"
        + " count: \(header.recordCount) baseSequence: \(header.baseSequence)"
        + " lastSequence: \(header.lastSequence) producerId: \(header.producerID)"
        + " producerEpoch: \(header.producerEpoch)"
        + " partitionLeaderEpoch: \(header.partitionLeaderEpoch)"
        + " isTransactional: \(header.isTransactional) isControl: \(header.isControl)"
        + " deleteHorizonMs: \(horizon)"
    } else {
      line = "offset: \(header.lastOffset)"
    }
    line += " position: \(position) \(timestampType(header)): \(header.maxTimestamp)"
    line += " size: \(header.sizeInBytes) magic: \(header.magic)"
    line += " compresscodec: \(header.compression?.name ?? "unknown") crc: \(header.crc)"
    return line + " isvalid: \(batch.hasValidChecksum)"
  }

  /// What a record is; the brace behind an old record's checksum is the tool's own.
  private func line(for record: RecordView, of header: BatchHeader) throws -> String {
    var line = "|"
    if !options.skipsRecordMetadata {
      line += " offset: \(record.offset) \(Self.timestampType(header)): \(record.timestamp)"
      line += " keySize: \(record.key?.count ?? -1) valueSize: \(record.value?.count ?? -1)"
      if header.magic == 2 {
        var names: [String] = []
        var headers = record.headers
        while let header = try headers.next() { names.append(Self.text(header.name) ?? "") }
        line += " sequence: \(record.sequence) headerKeys: [\(names.joined(separator: ","))]"
      } else {
        line += " isValid: true crc: \(record.checksum ?? 0)}"
      }
      if header.isControl { line += try controlPart(record) }
    }
    guard options.printsData, !header.isControl else { return line }
    let (key, payload) = decode(record)
    if let key { line += " key: \(key)" }
    if let payload { line += " payload: \(payload)" }
    return line
  }

  /// What a control record marks: markers in full, other types by the tool's decoder or by name.
  private func controlPart(_ record: RecordView) throws -> String {
    if let marker = try EndTransactionMarker(record) {
      let kind = marker.isCommit ? "COMMIT" : "ABORT"
      return " endTxnMarker: \(kind) coordinatorEpoch: \(marker.coordinatorEpoch)"
    }
    guard let type = ControlRecordType(key: record.key) else { return " controlType: UNKNOWN(-1)" }
    if let text = describeControl(type, record) { return text }
    return " controlType: \(type.dumpName)(\(type.rawValue))"
  }
}

extension ControlRecordType {
  /// The type's name in the tool's output.
  var dumpName: String {
    switch self {
    case .abort: "ABORT"
    case .commit: "COMMIT"
    case .leaderChange: "LEADER_CHANGE"
    case .snapshotHeader: "SNAPSHOT_HEADER"
    case .snapshotFooter: "SNAPSHOT_FOOTER"
    case .kraftVersion: "KRAFT_VERSION"
    case .kraftVoters: "KRAFT_VOTERS"
    }
  }
}
