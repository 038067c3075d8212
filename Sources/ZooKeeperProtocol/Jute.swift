// Jute: ZooKeeper's encoding, on the reader and writer that every format shares.
//
// Integers are big-endian, a boolean is one byte, strings and buffers carry an int length, vectors
// an int count; a length or count of −1 stands for null.

import Bytes

/// Something with a layout in `records.jute`.
public protocol JuteRecord {
  init(from reader: inout ByteReader) throws(ByteError)
  func write(to writer: inout ByteWriter)
}

extension JuteRecord {
  /// Reads a record from the front of some bytes; bytes after it are left alone.
  public init(decoding bytes: [UInt8]) throws(ByteError) {
    var reader = ByteReader(bytes.span.bytes)
    self = try Self(from: &reader)
  }

  /// The record's bytes.
  public func encoded() -> [UInt8] {
    var writer = ByteWriter()
    write(to: &writer)
    return writer.array()
  }
}

extension ByteReader {
  /// A string that may be null.
  public mutating func readOptionalJuteString() throws(ByteError) -> String? {
    let length = try readInt32()
    return length == -1 ? nil : try readText(Int(length))
  }

  /// A string; null is refused.
  public mutating func readJuteString() throws(ByteError) -> String {
    guard let text = try readOptionalJuteString() else { throw .unexpectedNull }
    return text
  }

  /// A buffer, which may be null: null and empty are told apart throughout ZooKeeper.
  public mutating func readJuteBuffer() throws(ByteError) -> [UInt8]? {
    let length = try readInt32()
    return length == -1 ? nil : try readBytes(Int(length))
  }

  /// A vector that may be null. No element of any record is shorter than four bytes, so a count
  /// that cannot be there is refused before anything is reserved for it.
  public mutating func readOptionalJuteVector<T: JuteRecord>(
    of type: T.Type
  ) throws(ByteError) -> [T]? {
    let count = try readInt32()
    if count == -1 { return nil }
    var elements: [T] = []
    elements.reserveCapacity(try checkCount(Int(count), atLeast: 4))
    for _ in 0..<count { elements.append(try T(from: &self)) }
    return elements
  }

  /// A vector; null is read as empty.
  public mutating func readJuteVector<T: JuteRecord>(of type: T.Type) throws(ByteError) -> [T] {
    try readOptionalJuteVector(of: type) ?? []
  }

  /// A vector of strings; null is read as empty, a null element is refused.
  public mutating func readJuteStrings() throws(ByteError) -> [String] {
    let count = try readInt32()
    if count == -1 { return [] }
    var elements: [String] = []
    elements.reserveCapacity(try checkCount(Int(count), atLeast: 4))
    for _ in 0..<count { elements.append(try readJuteString()) }
    return elements
  }
}

extension ByteWriter {
  public mutating func writeJuteString(_ text: String?) {
    guard var text else { return writeInt32(-1) }
    text.withUTF8 { utf8 in
      writeInt32(Int32(utf8.count))
      writeBytes(UnsafeRawBufferPointer(utf8))
    }
  }

  public mutating func writeJuteBuffer(_ bytes: [UInt8]?) {
    guard let bytes else { return writeInt32(-1) }
    writeInt32(Int32(bytes.count))
    writeBytes(bytes)
  }

  public mutating func writeJuteVector<T: JuteRecord>(_ elements: [T]?) {
    guard let elements else { return writeInt32(-1) }
    writeInt32(Int32(elements.count))
    for element in elements { element.write(to: &self) }
  }

  public mutating func writeJuteStrings(_ elements: [String]?) {
    guard let elements else { return writeInt32(-1) }
    writeInt32(Int32(elements.count))
    for element in elements { writeJuteString(element) }
  }
}
