// Who may do what: access control lists against the identities of a connection.

import ZooKeeperProtocol

/// The server's rules about identities: which schemes prove one, who is a super user.
///
/// The sources of identities are elsewhere (addresses, `addauth`, SASL, certificates); here they
/// are only compared.
public struct Authority: Sendable {
  /// The scheme of an identity that may do everything. No ACL can name it.
  public static let superScheme = "super"

  /// Schemes that have a provider, besides `world` and `auth`, which need none. `sasl` and `x509`
  /// have one where they are configured (`authProvider.*`, `secureClientPort`).
  public var schemes: Set<String> = ["digest", "ip"]
  /// `skipACL=yes`: every list is as good as open.
  public var skipsACL = false
  /// `X509AuthenticationProvider.superUser`: the subject that matches every x509 entry.
  public var x509SuperUser: String?
  /// `letAnySaslUserDoX`: an id in ACLs that every SASL user matches.
  public var anySASLUser: String?

  public init() {}

  /// Whether somebody with these identities may do any of `wanted`. An empty list is open.
  public func allows(
    _ acl: [ACL], _ wanted: Permissions, to identities: [AuthID]
  ) -> Bool {
    if acl.isEmpty || skipsACL { return true }
    // Nearly every list begins with an entry for everybody: no identity need be looked at.
    if acl[0].id == .anyone, !acl[0].perms.isDisjoint(with: wanted) { return true }
    if identities.contains(where: { $0.scheme == Self.superScheme }) { return true }
    return acl.contains { entry in
      guard !entry.perms.isDisjoint(with: wanted) else { return false }
      if entry.id == .anyone { return true }
      guard schemes.contains(entry.id.scheme) else { return false }
      return identities.contains { $0.scheme == entry.id.scheme && matches($0, entry.id) }
    }
  }

  private func matches(_ identity: AuthID, _ wanted: AuthID) -> Bool {
    switch wanted.scheme {
    case "ip":
      guard let network = Network(wanted.id), let address = Network.address(identity.id)
      else { return false }
      return network.contains(address)
    case "digest": return identity.id == wanted.id
    case "x509": return identity.id == wanted.id || identity.id == x509SuperUser
    case "sasl":
      // A SASL user of the name `super` matches every SASL entry, and is no super user.
      return identity.id == wanted.id || identity.id == "super" || wanted.id == anySASLUser
    default: return false
    }
  }

  /// The list as it is stored: duplicates gone, `auth` replaced by the identities of whoever asks.
  ///
  /// - Throws: `invalidACL` for an empty list, an unknown scheme or an id that is none.
  public func resolve(
    _ acl: [ACL], for identities: [AuthID]
  ) throws(ZooKeeperError) -> [ACL] {
    if acl == ACL.openUnsafe { return acl }
    var resolved: [ACL] = []
    var seen: [ACL] = []
    for entry in acl where !seen.contains(entry) {
      seen.append(entry)
      if entry.id.scheme == "auth" {
        let own = identities.filter { isProof($0.scheme) }
        if own.isEmpty { throw .invalidACL }
        resolved += own.map { ACL(perms: entry.perms, id: $0) }
      } else {
        guard isValid(entry.id) else { throw .invalidACL }
        resolved.append(entry)
      }
    }
    guard !resolved.isEmpty else { throw .invalidACL }
    return resolved
  }

  /// Whether an identity of this scheme was proved, not only observed.
  private func isProof(_ scheme: String) -> Bool {
    scheme != "ip" && schemes.contains(scheme)
  }

  private func isValid(_ id: AuthID) -> Bool {
    if id == .anyone { return true }
    guard schemes.contains(id.scheme) else { return false }
    return switch id.scheme {
    case "digest": Self.isDigest(id.id)
    case "ip": Network(id.id) != nil
    case "sasl": Self.isPrincipal(id.id)
    case "x509": DistinguishedName.isValid(id.id)
    default: false
    }
  }

  /// `user:hash`, with anything but a third part.
  private static func isDigest(_ id: String) -> Bool {
    var parts = id.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    // As Java splits: empty parts at the end do not count.
    while parts.last?.isEmpty == true { parts.removeLast() }
    return parts.count == 2
  }

  /// A Kerberos name: `service/host@REALM`, `user@REALM`, or any text without `@`.
  private static func isPrincipal(_ id: String) -> Bool {
    let halves = id.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
    guard halves.count > 1 else { return true }
    let slash = UInt8(ascii: "/")
    return halves.count == 2 && halves[0].count(where: { $0 == slash }) <= 1
      && !halves[1].contains(slash)
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

  /// The user of an identity, without anything secret: what `whoAmI` tells.
  static func user(of identity: AuthID) -> String {
    switch identity.scheme {
    // Nobody provides the scheme, so nobody knows its users' names.
    case superScheme: ""
    case "digest": String(identity.id.prefix { $0 != ":" })
    default: identity.id
    }
  }
}

/// The subject of a certificate as text (RFC 2253): `CN=client,OU=a\,b,1.2.3=x`.
enum DistinguishedName {
  /// The attributes that Java knows by name; all others go by their object identifier.
  private static let keywords: Set<String> = [
    "CN", "C", "L", "S", "ST", "O", "OU", "T", "IP", "STREET", "DC", "DNQUALIFIER", "DNQ",
    "SURNAME", "GIVENNAME", "INITIALS", "GENERATION", "EMAIL", "EMAILADDRESS", "UID",
    "SERIALNUMBER",
  ]

  /// Whether the text is a name; the empty text is the empty name.
  static func isValid(_ text: String) -> Bool {
    text.isEmpty || attributes(of: text).allSatisfy(isAttribute)
  }

  /// The text between commas, semicolons and plus signs that are neither quoted nor escaped.
  private static func attributes(of text: String) -> [String] {
    var parts = [""]
    var (isQuoted, isEscaped) = (false, false)
    for character in text {
      if !isQuoted, !isEscaped, character == "," || character == ";" || character == "+" {
        parts.append("")
        continue
      }
      if character == "\"", !isEscaped { isQuoted.toggle() }
      isEscaped = character == "\\" && !isEscaped
      parts[parts.count - 1].append(character)
    }
    return parts
  }

  private static func isAttribute(_ text: String) -> Bool {
    guard let equals = text.firstIndex(of: "=") else { return false }
    let name = text[..<equals].filter { $0 != " " }.uppercased()
    if keywords.contains(name) { return true }
    let arcs = (name.hasPrefix("OID.") ? name.dropFirst(4) : name[...])
      .split(separator: ".", omittingEmptySubsequences: false)
    return arcs.count >= 2 && arcs.allSatisfy { UInt64($0) != nil }
  }
}
