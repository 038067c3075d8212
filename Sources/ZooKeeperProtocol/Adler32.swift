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

  /// How often each byte of a step counts in the sum of sums: the first is in all that follow.
  private static let weights = SIMD16<UInt16>(
    16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)

  /// Sixteen bytes a step: their weighted sum is below 2¹⁶.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    let weights = Self.weights
    var (low, high) = (low, high)
    var index = 0
    while index < bytes.count {
      // 5552 is the longest run after which neither sum has overflowed 32 bits.
      let end = min(index + 5552, bytes.count)
      while index + 16 <= end {
        let step = SIMD16<UInt16>(
          truncatingIfNeeded: bytes.loadUnaligned(fromByteOffset: index, as: SIMD16<UInt8>.self))
        high &+= low << 4 &+ UInt32((step &* weights).wrappedSum())
        low &+= UInt32(step.wrappedSum())
        index += 16
      }
      while index < end {
        low &+= UInt32(bytes[index])
        high &+= low
        index += 1
      }
      low %= 65521
      high %= 65521
    }
    (self.low, self.high) = (low, high)
  }

  /// The checksum of some bytes.
  public static func checksum(_ bytes: RawSpan) -> Int64 {
    var sum = Adler32()
    sum.update(bytes)
    return sum.value
  }
}
