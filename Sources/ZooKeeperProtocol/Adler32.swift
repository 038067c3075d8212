// The checksum of ZooKeeper's files.

/// Adler-32, incremental (RFC 1950).
public struct Adler32: Sendable {
  private var low: UInt32 = 1
  private var high: UInt32 = 0

  public init() {}

  /// The checksum as the files hold it.
  public var value: Int64 { Int64(high << 16 | low) }

  public mutating func update(_ bytes: RawSpan) {
    bytes.withUnsafeBytes { update($0) }
  }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    var index = 0
    while index < bytes.count {
      // 5552 is the longest run after which neither sum has overflowed 32 bits.
      let end = min(index + 5552, bytes.count)
      while index < end {
        low &+= UInt32(bytes[index])
        high &+= low
        index += 1
      }
      low %= 65521
      high %= 65521
    }
  }

  /// The checksum of some bytes.
  public static func checksum(_ bytes: RawSpan) -> Int64 {
    var sum = Adler32()
    sum.update(bytes)
    return sum.value
  }
}
