import Compression

/// Why bytes are not the records they claim to be.
public enum RecordError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Sizes or lengths that contradict each other, or a checksum that does not match.
  case corrupt(String)
  /// Well-formed bytes that break a rule of the format.
  case invalid(String)
  /// A message format that does not exist: only 0, 1 and 2 do.
  case unknownMagic(Int8)
  /// The batch could not be packed or unpacked.
  case compression(CompressionError)

  public var description: String {
    switch self {
    case .corrupt(let reason): "corrupt records: \(reason)"
    case .invalid(let reason): "invalid records: \(reason)"
    case .unknownMagic(let magic): "unknown message format \(magic)"
    case .compression(let error): error.description
    }
  }
}

/// Where a record's timestamp comes from (`message.timestamp.type`).
public enum TimestampType: Int8, Sendable {
  case createTime = 0
  case logAppendTime = 1

  /// The name in configurations and in dump-log's output.
  public var name: String {
    switch self {
    case .createTime: "CreateTime"
    case .logAppendTime: "LogAppendTime"
    }
  }
}
