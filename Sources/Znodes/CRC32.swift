// The checksum behind the tree's digest.

/// CRC-32 (IEEE 802.3), incremental, eight bytes a step.
struct CRC32 {
  private var state: UInt32 = 0xffff_ffff

  /// Eight tables of 256: entry `k * 256 + b` is the effect of byte `b`, `k` bytes further back.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var value = UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xedb8_8320 : value >> 1 }
      tables[byte] = value
    }
    for index in 256..<(8 * 256) {
      let previous = tables[index - 256]
      tables[index] = previous >> 8 ^ tables[Int(previous & 0xff)]
    }
    return tables
  }()

  var value: UInt32 { ~state }

  /// One step: eight bytes, the first of them the lowest of `word`.
  @inline(__always)
  private static func step(
    _ crc: UInt32, _ word: UInt64, _ table: UnsafeBufferPointer<UInt32>
  ) -> UInt32 {
    let low = UInt32(truncatingIfNeeded: word) ^ crc
    let high = UInt32(truncatingIfNeeded: word >> 32)
    return table[7 * 256 + Int(low & 0xff)] ^ table[6 * 256 + Int(low >> 8 & 0xff)]
      ^ table[5 * 256 + Int(low >> 16 & 0xff)] ^ table[4 * 256 + Int(low >> 24)]
      ^ table[3 * 256 + Int(high & 0xff)] ^ table[2 * 256 + Int(high >> 8 & 0xff)]
      ^ table[256 + Int(high >> 16 & 0xff)] ^ table[Int(high >> 24)]
  }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    state = Self.tables.withUnsafeBufferPointer { table in
      var crc = state
      var index = 0
      while index + 8 <= bytes.count {
        let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        crc = Self.step(crc, UInt64(littleEndian: word), table)
        index += 8
      }
      while index < bytes.count {
        crc = crc >> 8 ^ table[Int((crc ^ UInt32(bytes[index])) & 0xff)]
        index += 1
      }
      return crc
    }
  }

  mutating func update(_ byte: UInt8) {
    state = state >> 8 ^ Self.tables[Int((state ^ UInt32(byte)) & 0xff)]
  }

  /// Eight bytes, the highest first.
  mutating func update(_ value: Int64) {
    let word = UInt64(bitPattern: value).byteSwapped
    state = Self.tables.withUnsafeBufferPointer { Self.step(state, word, $0) }
  }

  mutating func update(_ value: Int32) {
    withUnsafeBytes(of: value.bigEndian) { update($0) }
  }
}
