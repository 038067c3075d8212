// Who may do what: access control lists against the identities of a connection.

import ZooKeeperProtocol

public enum Authority {
  /// The scheme of an identity that may do everything.
  public static let superScheme = "super"

  /// Whether somebody with these identities may do any of `wanted`. An empty list is open.
  public static func allows(
    _ acl: [ACL], _ wanted: Permissions, to identities: [AuthID]
  ) -> Bool {
    if acl.isEmpty || identities.contains(where: { $0.scheme == superScheme }) { return true }
    return acl.contains { entry in
      guard !entry.perms.isDisjoint(with: wanted) else { return false }
      if entry.id == .anyone { return true }
      return identities.contains { $0.scheme == entry.id.scheme && matches($0, entry.id) }
    }
  }

  private static func matches(_ identity: AuthID, _ wanted: AuthID) -> Bool {
    switch wanted.scheme {
    case "ip":
      guard let network = Network(wanted.id), let address = Network.address(identity.id)
      else { return false }
      return network.contains(address)
    case "digest", "x509", "sasl": return identity.id == wanted.id
    default: return false
    }
  }

  /// The list as it is stored: duplicates gone, `auth` replaced by the identities of whoever asks.
  ///
  /// - Throws: `invalidACL` for an empty list, an unknown scheme or an id that is none.
  public static func resolve(
    _ acl: [ACL], for identities: [AuthID]
  ) throws(ZooKeeperError) -> [ACL] {
    var resolved: [ACL] = []
    var seen: [ACL] = []
    for entry in acl where !seen.contains(entry) {
      seen.append(entry)
      switch entry.id.scheme {
      case "world":
        guard entry.id == .anyone else { throw .invalidACL }
        resolved.append(entry)
      case "auth":
        let own = identities.filter { isAuthenticated($0.scheme) }
        if own.isEmpty { throw .invalidACL }
        resolved += own.map { ACL(perms: entry.perms, id: $0) }
      case "digest":
        guard isDigest(entry.id.id) else { throw .invalidACL }
        resolved.append(entry)
      case "ip":
        guard Network(entry.id.id) != nil else { throw .invalidACL }
        resolved.append(entry)
      default: throw .invalidACL
      }
    }
    guard !resolved.isEmpty else { throw .invalidACL }
    return resolved
  }

  /// Whether an identity of this scheme was proved, not only observed.
  private static func isAuthenticated(_ scheme: String) -> Bool {
    scheme == "digest" || scheme == "x509" || scheme == "sasl" || scheme == superScheme
  }

  private static func isDigest(_ id: String) -> Bool {
    let parts = id.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    return parts.count == 2 && !parts[1].isEmpty
  }

  /// The list as shown to those who may read the znode but not administer it: password hashes of
  /// others are hidden.
  static func redacted(_ acl: [ACL]) -> [ACL] {
    acl.map { entry in
      guard entry.id.scheme == "digest",
        let colon = entry.id.id.utf8.firstIndex(of: UInt8(ascii: ":"))
      else { return entry }
      return ACL(
        perms: entry.perms, id: AuthID(scheme: "digest", id: entry.id.id[..<colon] + ":x"))
    }
  }
}

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
