// Addresses of the `ip` scheme.

/// An address with the number of bits that count: `10.0.0.0/8`, `::1`.
struct Network {
  private let address: [UInt8]
  private let bits: Int

  init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 2, let address = Self.address(String(parts[0])) else { return nil }
    self.address = address
    guard parts.count == 2 else {
      bits = address.count * 8
      return
    }
    guard let bits = Int(parts[1]), (0...address.count * 8).contains(bits) else { return nil }
    self.bits = bits
  }

  func contains(_ other: [UInt8]) -> Bool {
    guard other.count == address.count else { return false }
    let whole = bits / 8
    guard address[..<whole].elementsEqual(other[..<whole]) else { return false }
    let rest = bits % 8
    return rest == 0 || (address[whole] ^ other[whole]) >> (8 - rest) == 0
  }

  /// The four or sixteen bytes of a numeric address.
  static func address(_ text: String) -> [UInt8]? {
    text.utf8.contains(UInt8(ascii: ":")) ? version6(text) : version4(text)
  }

  private static func version4(_ text: String) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    // `UInt8` would take a sign.
    guard parts.allSatisfy({ $0.utf8.first != UInt8(ascii: "+") }) else { return nil }
    let bytes = parts.compactMap { UInt8($0) }
    return bytes.count == 4 ? bytes : nil
  }

  private static func version6(_ text: String) -> [UInt8]? {
    // A zone (`%eth0`) says where an address is, not what it is.
    let address = text.prefix { $0 != "%" }
    let halves = address.split(separator: "::", maxSplits: 2, omittingEmptySubsequences: false)
    guard halves.count <= 2, let head = groups(halves[0]) else { return nil }
    guard halves.count == 2 else { return head.count == 16 ? head : nil }
    guard let tail = groups(halves[1]), head.count + tail.count <= 14 else { return nil }
    return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
  }

  private static func groups(_ text: Substring) -> [UInt8]? {
    if text.isEmpty { return [] }
    var bytes: [UInt8] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if index == parts.count - 1, part.utf8.contains(UInt8(ascii: ".")) {
        guard let low = version4(String(part)) else { return nil }
        bytes += low
      } else {
        guard (1...4).contains(part.utf8.count), let group = UInt16(part, radix: 16)
        else { return nil }
        bytes += [UInt8(group >> 8), UInt8(group & 0xff)]
      }
    }
    return bytes
  }
}
