// Arrays of primitives; structs have their loops in the generated code.

import Bytes
import Values

extension ByteReader {
  public mutating func readNullableInt8Array(compact: Bool) throws(ByteError) -> [Int8]? {
    let count: Int = try readNullableCount(compact: compact, atLeast: 1)
    guard count >= 0 else { return nil }
    var items: [Int8] = []
    items.reserveCapacity(min(count, 4096))
    for _ in 0..<count { items.append(try readInt8()) }
    return items
  }

  public mutating func readInt8Array(compact: Bool) throws(ByteError) -> [Int8] {
    guard let items = try readNullableInt8Array(compact: compact) else { throw .unexpectedNull }
    return items
  }

  public mutating func readNullableInt16Array(compact: Bool) throws(ByteError) -> [Int16]? {
    let count: Int = try readNullableCount(compact: compact, atLeast: 2)
    guard count >= 0 else { return nil }
    var items: [Int16] = []
    items.reserveCapacity(min(count, 4096))
    for _ in 0..<count { items.append(try readInt16()) }
    return items
  }

  public mutating func readInt16Array(compact: Bool) throws(ByteError) -> [Int16] {
    guard let items = try readNullableInt16Array(compact: compact) else { throw .unexpectedNull }
    return items
  }

  public mutating func readNullableInt32Array(compact: Bool) throws(ByteError) -> [Int32]? {
    let count: Int = try readNullableCount(compact: compact, atLeast: 4)
    guard count >= 0 else { return nil }
    var items: [Int32] = []
    items.reserveCapacity(min(count, 4096))
    for _ in 0..<count { items.append(try readInt32()) }
    return items
  }

  public mutating func readInt32Array(compact: Bool) throws(ByteError) -> [Int32] {
    guard let items = try readNullableInt32Array(compact: compact) else { throw .unexpectedNull }
    return items
  }

  public mutating func readNullableInt64Array(compact: Bool) throws(ByteError) -> [Int64]? {
    let count: Int = try readNullableCount(compact: compact, atLeast: 8)
    guard count >= 0 else { return nil }
    var items: [Int64] = []
    items.reserveCapacity(min(count, 4096))
    for _ in 0..<count { items.append(try readInt64()) }
    return items
  }

  public mutating func readInt64Array(compact: Bool) throws(ByteError) -> [Int64] {
    guard let items = try readNullableInt64Array(compact: compact) else { throw .unexpectedNull }
    return items
  }

  public mutating func readNullableUuidArray(compact: Bool) throws(ByteError) -> [Uuid]? {
    let count: Int = try readNullableCount(compact: compact, atLeast: 16)
    guard count >= 0 else { return nil }
    var items: [Uuid] = []
    items.reserveCapacity(min(count, 4096))
    for _ in 0..<count { items.append(try readUuid()) }
    return items
  }

  public mutating func readUuidArray(compact: Bool) throws(ByteError) -> [Uuid] {
    guard let items = try readNullableUuidArray(compact: compact) else { throw .unexpectedNull }
    return items
  }

  public mutating func readNullableStringArray(compact: Bool) throws(ByteError) -> [String]? {
    let count: Int = try readNullableCount(compact: compact, atLeast: 1)
    guard count >= 0 else { return nil }
    var items: [String] = []
    items.reserveCapacity(min(count, 4096))
    for _ in 0..<count { items.append(try readString(compact: compact)) }
    return items
  }

  public mutating func readStringArray(compact: Bool) throws(ByteError) -> [String] {
    guard let items = try readNullableStringArray(compact: compact) else { throw .unexpectedNull }
    return items
  }
}

extension ByteWriter {
  public mutating func writeInt8Array(_ items: [Int8], compact: Bool) {
    writeCount(items.count, compact: compact)
    for item: Int8 in items { writeInt8(item) }
  }

  public mutating func writeNullableInt8Array(_ items: [Int8]?, compact: Bool) {
    guard let items else { return writeNullableCount(nil, compact: compact) }
    writeInt8Array(items, compact: compact)
  }

  public mutating func writeInt16Array(_ items: [Int16], compact: Bool) {
    writeCount(items.count, compact: compact)
    for item: Int16 in items { writeInt16(item) }
  }

  public mutating func writeNullableInt16Array(_ items: [Int16]?, compact: Bool) {
    guard let items else { return writeNullableCount(nil, compact: compact) }
    writeInt16Array(items, compact: compact)
  }

  public mutating func writeInt32Array(_ items: [Int32], compact: Bool) {
    writeCount(items.count, compact: compact)
    for item: Int32 in items { writeInt32(item) }
  }

  public mutating func writeNullableInt32Array(_ items: [Int32]?, compact: Bool) {
    guard let items else { return writeNullableCount(nil, compact: compact) }
    writeInt32Array(items, compact: compact)
  }

  public mutating func writeInt64Array(_ items: [Int64], compact: Bool) {
    writeCount(items.count, compact: compact)
    for item: Int64 in items { writeInt64(item) }
  }

  public mutating func writeNullableInt64Array(_ items: [Int64]?, compact: Bool) {
    guard let items else { return writeNullableCount(nil, compact: compact) }
    writeInt64Array(items, compact: compact)
  }

  public mutating func writeUuidArray(_ items: [Uuid], compact: Bool) {
    writeCount(items.count, compact: compact)
    for item: Uuid in items { writeUuid(item) }
  }

  public mutating func writeNullableUuidArray(_ items: [Uuid]?, compact: Bool) {
    guard let items else { return writeNullableCount(nil, compact: compact) }
    writeUuidArray(items, compact: compact)
  }

  public mutating func writeStringArray(_ items: [String], compact: Bool) {
    writeCount(items.count, compact: compact)
    for item: String in items { writeString(item, compact: compact) }
  }

  public mutating func writeNullableStringArray(_ items: [String]?, compact: Bool) {
    guard let items else { return writeNullableCount(nil, compact: compact) }
    writeStringArray(items, compact: compact)
  }
}
