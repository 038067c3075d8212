/// Bytes as text: base64 with padding (RFC 4648, section 4).
public enum Base64 {
  /// How much a decoder takes for granted.
  public enum Reading: Sendable {
    /// Only what `encode` could have made, so that no two texts mean the same bytes.
    case exact
    /// Missing padding, and stray bits under it, are forgiven, as by Java's decoder: for what other
    /// programs have written.
    case forgiving
  }

  private static let digits = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let padding = UInt8(ascii: "=")

  public static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let left = bytes.count - start
      let group =
        UInt32(bytes[start]) << 16 | (left > 1 ? UInt32(bytes[start + 1]) << 8 : 0)
        | (left > 2 ? UInt32(bytes[start + 2]) : 0)
      text.append(digits[Int(group >> 18)])
      text.append(digits[Int(group >> 12 & 63)])
      text.append(left > 1 ? digits[Int(group >> 6 & 63)] : padding)
      text.append(left > 2 ? digits[Int(group & 63)] : padding)
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Nil for what is not base64.
  public static func decode(_ text: String, _ reading: Reading = .exact) -> [UInt8]? {
    var input = Array(text.utf8)
    let length = input.count
    while input.last == padding, length - input.count < 2 { input.removeLast() }
    // Six bits are less than a byte: no text ends so.
    guard input.count % 4 != 1, reading == .forgiving || length % 4 == 0 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(input.count / 4 * 3 + 2)
    var bits: UInt32 = 0
    var count: UInt32 = 0
    for digit in input {
      guard let value = value(of: digit) else { return nil }
      bits = bits << 6 | UInt32(value)
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> count))
      }
    }
    let isClean = bits & (1 << count - 1) == 0
    return isClean || reading == .forgiving ? bytes : nil
  }

  private static func value(of digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit - UInt8(ascii: "A")
    case UInt8(ascii: "a")...UInt8(ascii: "z"): digit - UInt8(ascii: "a") + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0") + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
