import Bytes
import Platform
import Records
import Values

/// Prints what is in a log's files, line by line as Kafka's dump-log tool does, so that scripts
/// that read its output read this too.
///
/// `dump` is called for each file; what does not fit together is collected, and told by `problems`
/// at the end, which the tool prints to standard error.
public struct DumpLog {
  public struct Options: Sendable {
    /// `--deep-iteration`: records, not only batches.
    public var isDeep = false
    /// `--print-data-log`: keys and payloads too; implies `isDeep`.
    public var printsData = false
    public var skipsRecordMetadata = false
    /// `--verify-index-only`
    public var verifiesOnly = false
    /// `--index-sanity-check`
    public var checksSanityOnly = false
    /// `--max-bytes` of a log file.
    public var maxBytes = Int.max

    public init() {}
  }

  /// How a record is shown; nil for a part that is not there.
  public typealias Decoder = (RecordView) -> (key: String?, payload: String?)

  public let options: Options
  /// Keys and values as text, unless the tool gives a decoder for offsets, transactions or
  /// metadata.
  public var decode: Decoder = { (Self.text($0.key), Self.text($0.value)) }
  /// What is behind a control record's metadata, from a blank on, for types other than the
  /// transaction markers; nil: nothing better is known than the type.
  public var describeControl: (ControlRecordType, RecordView) -> String? = { _, _ in nil }

  var indexMismatches: [(file: String, index: Offset, log: Offset)] = []
  var timeMismatches: [(file: String, index: Int64, log: Int64)] = []
  var timesOutOfOrder: [(file: String, index: Int64, previous: Int64)] = []
  var offsetsNotFound: [(index: Offset, log: Offset)] = []
  var gaps: [(file: String, first: Offset, second: Offset)] = []

  public init(_ options: Options) { self.options = options }

  /// A field as text, as Kafka's string decoder shows it.
  public static func text(_ bytes: UnsafeRawBufferPointer?) -> String? {
    bytes.map { String(decoding: $0, as: UTF8.self) }
  }

  /// Prints a file of any kind by its name's ending.
  ///
  /// - Parameter emit: gets each line, without its end.
  public mutating func dump(_ path: String, _ emit: (String) -> Void) throws(LogError) {
    emit("Dumping \(path)")
    try LogError.mapping {
      let name = FileSystem.name(of: path)
      switch name.lastIndex(of: ".").map({ String(name[$0...]) }) {
      case FileNames.log, ".checkpoint": try dumpLog(path, name, emit)
      case FileNames.index: try dumpIndex(path, emit)
      case FileNames.timeIndex: try dumpTimeIndex(path, emit)
      case FileNames.snapshot: try dumpSnapshot(path, emit)
      case FileNames.transactionIndex: try dumpTransactions(path, emit)
      default: problem("Ignoring unknown file \(path)")
      }
    }
  }

  private var notes: [String] = []
  mutating func problem(_ line: String) { notes.append(line) }

  /// What did not fit together, as lines for standard error.
  public var problems: [String] {
    var lines = notes
    func section(_ title: (String) -> String, _ entries: [(file: String, line: String)]) {
      var last: String?
      for entry in entries {
        if entry.file != last { lines.append(title(entry.file)) }
        last = entry.file
        lines.append(entry.line)
      }
    }
    section(
      { "Mismatches in :\($0)" },
      indexMismatches.map {
        ($0.file, "  Index offset: \($0.index), log offset: \($0.log)")
      })
    section(
      { "Found timestamp mismatch in :\($0)" },
      timeMismatches.map {
        ($0.file, "  Index timestamp: \($0.index), log timestamp: \($0.log)")
      })
    section(
      { "Found out of order timestamp in :\($0)" },
      timesOutOfOrder.map {
        ($0.file, "  Index timestamp: \($0.index), Previously indexed timestamp: \($0.previous)")
      })
    section(
      { _ in "The following indexed offsets are not found in the log." },
      offsetsNotFound.map {
        ("", "Indexed offset: \($0.index), found log offset: \($0.log)")
      })
    section(
      { "Non-consecutive offsets in \($0)" },
      gaps.map {
        ($0.file, "  \($0.first) is followed by \($0.second)")
      })
    return lines
  }
}
