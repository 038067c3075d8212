import Bytes
import Foundation
import KafkaRecords
import LogStorage
import Records
import Settings

/// `jackdaw dump-log`: prints the files of a log directory.
struct DumpLogTool: Tool {
  let name = "dump-log"
  let summary = "Print segments, indexes and snapshots of a log directory."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw dump-log", summary: summary,
      flags: [
        .value("--files", "a.log,b.index,…", required: true, "The files."),
        .toggle("--deep-iteration", "Records, not only batches."),
        .toggle("--print-data-log", "Keys and payloads too."),
        .toggle("--skip-record-metadata", "Keys and payloads without what is known of them."),
        .toggle("--offsets-decoder", "Records of __consumer_offsets."),
        .toggle("--verify-index-only", "Only tell what does not fit."),
        .toggle("--index-sanity-check", "Only check that indexes are sound."),
        .value("--max-bytes", "N", "So many bytes of each log file."),
        .toggle("--cluster-metadata-decoder", "Records of __cluster_metadata and its snapshots."),
        .toggle("--transaction-log-decoder", "Needs transactions, which are not there yet."),
        .toggle("--remote-log-metadata-decoder", "Needs tiered storage, which is not there yet."),
      ])
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    for flag in ["--transaction-log-decoder", "--remote-log-metadata-decoder"]
    where line.has(flag) {
      throw SettingsError("not supported yet", key: flag)
    }
    var options = DumpLog.Options()
    options.printsData =
      line.has("--print-data-log") || line.has("--offsets-decoder")
      || line.has("--cluster-metadata-decoder")
    options.isDeep = line.has("--deep-iteration") || options.printsData
    options.skipsRecordMetadata = line.has("--skip-record-metadata")
    options.verifiesOnly = line.has("--verify-index-only")
    options.checksSanityOnly = line.has("--index-sanity-check")
    if let limit = try line.integer("--max-bytes", in: 0...Int.max) { options.maxBytes = limit }
    var dump = DumpLog(options)
    if line.has("--offsets-decoder") { dump.decode = OffsetsDecoder.decode }
    if line.has("--cluster-metadata-decoder") { dump.decode = MetadataDecoder.decode }
    dump.describeControl = MetadataDecoder.describe
    for path in try line.require("--files").split(separator: ",") {
      guard FileManager.default.fileExists(atPath: String(path)) else {
        throw ToolFailure("\(path): no such file")
      }
      try dump.dump(String(path), console.line)
    }
    console.flush()
    let problems = dump.problems
    for problem in problems { console.problem(problem) }
    return problems.isEmpty ? 0 : 1
  }
}

/// Records of `__consumer_offsets` as JSON, in the form of Kafka's own decoder.
enum OffsetsDecoder {
  static func decode(_ record: RecordView) -> (key: String?, payload: String?) {
    guard let key = record.key else { return (nil, DumpLog.text(record.value)) }
    do throws(ByteError) {
      return try decode(Array(key), record.value.map { Array($0) })
    } catch {
      return ("<UNKNOWN: \(error)>", DumpLog.text(record.value))
    }
  }

  private static func decode(
    _ key: [UInt8], _ value: [UInt8]?
  ) throws(ByteError) -> (key: String?, payload: String?) {
    var reader = ByteReader(key.span.bytes)
    let type = try reader.readInt16()
    switch type {
    case 0, 1:
      let key = try OffsetCommitKey(from: &reader, version: type)
      let fields =
        #"{"group":\#(text(key.group)),"topic":\#(text(key.topic)),"partition":\#(key.partition)}"#
      return (envelope("type", type, fields), try value.map(offset) ?? nil)
    case 2:
      let key = try GroupMetadataKey(from: &reader, version: type)
      let payload = try value.map(group) ?? nil
      return (envelope("type", type, #"{"group":\#(text(key.group))}"#), payload)
    default:
      return ("<UNKNOWN: record type \(type)>", value.map { String(decoding: $0, as: UTF8.self) })
    }
  }

  private static func offset(_ bytes: [UInt8]) throws(ByteError) -> String? {
    var reader = ByteReader(bytes.span.bytes)
    let version = try reader.readInt16()
    let value = try OffsetCommitValue(from: &reader, version: version)
    var fields = #""offset":\#(value.offset)"#
    if version >= 3 { fields += #","leaderEpoch":\#(value.leaderEpoch)"# }
    fields += #","metadata":\#(text(value.metadata)),"commitTimestamp":\#(value.commitTimestamp)"#
    if version == 1 { fields += #","expireTimestamp":\#(value.expireTimestamp)"# }
    return envelope("version", version, "{\(fields)}")
  }

  private static func group(_ bytes: [UInt8]) throws(ByteError) -> String? {
    var reader = ByteReader(bytes.span.bytes)
    let version = try reader.readInt16()
    let value = try GroupMetadataValue(from: &reader, version: version)
    let members = value.members.map { member in
      let instance =
        version >= 3 ? #","groupInstanceId":\#(member.groupInstanceID.map(text) ?? "null")"# : ""
      return #"{"memberId":\#(text(member.memberID))"# + instance
        + #","clientId":\#(text(member.clientID)),"clientHost":\#(text(member.clientHost)),"#
        + (version >= 1 ? #""rebalanceTimeout":\#(member.rebalanceTimeout),"# : "")
        + #""sessionTimeout":\#(member.sessionTimeout),"#
        + #""subscription":\#(base64(member.subscription)),"#
        + #""assignment":\#(base64(member.assignment))}"#
    }
    var fields =
      #""protocolType":\#(text(value.protocolType)),"generation":\#(value.generation),"#
      + #""protocol":\#(value.`protocol`.map(text) ?? "null"),"#
      + #""leader":\#(value.leader.map(text) ?? "null")"#
    if version >= 2 { fields += #","currentStateTimestamp":\#(value.currentStateTimestamp)"# }
    fields += #","members":[\#(members.joined(separator: ","))]"#
    return envelope("version", version, "{\(fields)}")
  }

  private static func envelope(_ name: String, _ number: Int16, _ data: String) -> String {
    #"{"\#(name)":"\#(number)","data":\#(data)}"#
  }

  private static func base64(_ bytes: [UInt8]) -> String {
    "\"\(Data(bytes).base64EncodedString())\""
  }

  /// A JSON string.
  private static func text(_ value: String) -> String {
    var quoted = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      case _ where scalar.value < 0x20: quoted += String(format: "\\u%04x", scalar.value)
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
