/// A 128-bit identifier: topic ids, directory ids, cluster ids (KIP-516).
///
/// Its text is Kafka's: 22 characters of URL-safe base64 without padding.
public struct Uuid: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var high: UInt64
  public var low: UInt64

  @inlinable public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// The all-zero id, which stands for "none" on the wire.
  public static let zero = Uuid(high: 0, low: 0)
  /// Reserved: the metadata log's topic id, and directory id "unassigned".
  public static let one = Uuid(high: 0, low: 1)

  @inlinable public static func < (a: Self, b: Self) -> Bool {
    a.high == b.high ? a.low < b.low : a.high < b.high
  }

  @inlinable public var isZero: Bool { high == 0 && low == 0 }

  /// A version-4 id from sixteen random bytes' worth of randomness; never a reserved id, and never
  /// one whose text starts with a dash, which command lines would take for a flag.
  public static func random(using generator: inout some RandomNumberGenerator) -> Uuid {
    while true {
      let high = (generator.next() as UInt64) & 0xffff_ffff_ffff_0fff | 0x4000
      let low = (generator.next() as UInt64) & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
      let id = Uuid(high: high, low: low)
      if !id.description.hasPrefix("-") { return id }
    }
  }

  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  public var description: String {
    // 128 bits in 22 digits of 6 bits: the last digit holds 2 bits and four zero bits.
    var digits: [UInt8] = []
    digits.reserveCapacity(22)
    var bits = (high, low)
    for _ in 0..<22 {
      digits.append(Self.alphabet[Int(bits.0 >> 58)])
      bits = (bits.0 << 6 | bits.1 >> 58, bits.1 << 6)
    }
    return String(decoding: digits, as: UTF8.self)
  }

  /// Reads the 22-character text; nil if it is anything else.
  public init?(_ text: some StringProtocol) {
    let digits = Array(text.utf8)
    guard digits.count == 22 else { return nil }
    var bits: (UInt64, UInt64) = (0, 0)
    for (index, digit) in digits.enumerated() {
      guard let value = Self.alphabet.firstIndex(of: digit) else { return nil }
      if index < 21 {
        bits = (bits.0 << 6 | bits.1 >> 58, bits.1 << 6 | UInt64(value))
      } else {
        guard value & 0xf == 0 else { return nil }
        bits = (bits.0 << 2 | bits.1 >> 62, bits.1 << 2 | UInt64(value >> 4))
      }
    }
    self.init(high: bits.0, low: bits.1)
  }
}
