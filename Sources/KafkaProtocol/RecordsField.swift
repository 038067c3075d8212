// The field that carries record batches: never copied on the way through a broker.

import Bytes

/// Record batches in a message.
public enum RecordsField: Sendable {
  case null
  /// Where they lie, in positions from the start of the span that the reader was made of.
  case inFrame(Range<Int>)
  /// Bytes of their own.
  case owned([UInt8])
  /// Bytes that whoever sends the frame puts in, as `ByteWriter.writeSplice` notes; encode only.
  case splice(token: Int, count: Int)

  @inlinable public var isNull: Bool {
    if case .null = self { true } else { false }
  }

  /// Bytes that the field stands for; 0 for null.
  @inlinable public var count: Int {
    switch self {
    case .null: 0
    case .inFrame(let range): range.count
    case .owned(let bytes): bytes.count
    case .splice(_, let count): count
    }
  }

  /// The same records with bytes of their own, when they lie in `frame`.
  /// - Precondition: `frame` is the span that the field was read from.
  public func copied(from frame: RawSpan) -> RecordsField {
    guard case .inFrame(let range) = self else { return self }
    return .owned(frame.extracting(range).withUnsafeBytes { Array($0) })
  }
}

extension ByteReader {
  /// Records, for a field that may be null.
  public mutating func readNullableRecords(compact: Bool) throws(ByteError) -> RecordsField {
    guard let length = try readByteLength(compact: compact) else { return .null }
    return .inFrame(try readRange(length))
  }

  public mutating func readRecords(compact: Bool) throws(ByteError) -> RecordsField {
    guard let length = try readByteLength(compact: compact) else { throw .unexpectedNull }
    return .inFrame(try readRange(length))
  }
}

extension ByteWriter {
  /// Writes the length and the records, or notes where they belong.
  /// - Precondition: not `.inFrame`, whose bytes only the frame's holder has; `copied` makes it
  ///   writable.
  public mutating func writeRecords(_ records: RecordsField, compact: Bool) {
    guard !records.isNull else { return writeByteLength(nil, compact: compact) }
    writeByteLength(records.count, compact: compact)
    switch records {
    case .null: break
    case .owned(let bytes): writeBytes(bytes)
    case .splice(let token, let count): writeSplice(token: token, count: count)
    case .inFrame: preconditionFailure("records that lie in another frame")
    }
  }
}
