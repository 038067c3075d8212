import Testing
import ZooKeeperProtocol

@testable import Znodes

@Suite struct AuthorityTests {
  private func acl(_ scheme: String, _ id: String, _ perms: Permissions = .all) -> [ACL] {
    [ACL(perms: perms, id: AuthID(scheme: scheme, id: id))]
  }

  private func allows(
    _ entry: [ACL], _ scheme: String, _ id: String, under authority: Authority
  ) -> Bool {
    authority.allows(entry, .write, to: [AuthID(scheme: scheme, id: id)])
  }

  private var all: Authority {
    var authority = Authority()
    authority.schemes.formUnion(["sasl", "x509"])
    return authority
  }

  @Test func permissionsAreThoseOfTheEntryThatMatches() {
    let authority = Authority()
    let list = acl("world", "anyone", .read) + acl("digest", "a:h", [.write, .admin])
    let alice = [AuthID(scheme: "digest", id: "a:h")]
    #expect(authority.allows(list, .read, to: []))
    #expect(!authority.allows(list, .write, to: []))
    #expect(authority.allows(list, .write, to: alice))
    #expect(!authority.allows(list, .delete, to: alice))
    #expect(authority.allows(list, [.delete, .admin], to: alice))
    #expect(authority.allows([], .delete, to: []))
    #expect(!authority.allows(acl("digest", "a:h"), .read, to: [AuthID(scheme: "ip", id: "a:h")]))
  }

  @Test func networksContainAddresses() {
    let authority = Authority()
    for (network, address, isIn) in [
      ("10.0.0.0/8", "10.1.2.3", true), ("10.0.0.0/8", "11.1.2.3", false),
      ("10.1.2.3", "10.1.2.3", true), ("10.1.2.3/31", "10.1.2.2", true),
      ("10.1.2.3/31", "10.1.2.4", false), ("0.0.0.0/0", "1.2.3.4", true),
      ("fe80::/10", "fe80::1", true), ("::1", "::2", false), ("::1", "1.2.3.4", false),
    ] {
      #expect(allows(acl("ip", network), "ip", address, under: authority) == isIn, "\(network)")
    }
  }

  @Test func superUsersMayDoEverything() {
    let authority = Authority()
    #expect(allows(acl("digest", "a:h", .read), "super", "", under: authority))
    // No list can name them.
    let identities = [AuthID(scheme: "super", id: ""), AuthID(scheme: "digest", id: "s:h")]
    #expect(throws: ZooKeeperError.invalidACL) {
      try authority.resolve(acl("super", ""), for: identities)
    }
    #expect(throws: Never.self) {
      let own = try authority.resolve(acl("auth", ""), for: identities)
      #expect(own == acl("digest", "s:h"))
    }
  }

  @Test func schemesCountOnlyWhereTheyAreConfigured() {
    for (scheme, id) in [("sasl", "alice"), ("x509", "CN=a")] {
      let identities = [AuthID(scheme: scheme, id: id)]
      #expect(allows(acl(scheme, id), scheme, id, under: all))
      #expect(!allows(acl(scheme, id), scheme, id, under: Authority()))
      #expect(throws: ZooKeeperError.invalidACL) {
        try Authority().resolve(acl("auth", ""), for: identities)
      }
      #expect((try? all.resolve(acl("auth", ""), for: identities)) == acl(scheme, id))
      #expect((try? all.resolve(acl(scheme, id), for: [])) == acl(scheme, id))
    }
    #expect(throws: ZooKeeperError.invalidACL) {
      try all.resolve(acl("auth", ""), for: [AuthID(scheme: "ip", id: "1.2.3.4")])
    }
  }

  @Test func someUsersMatchEveryEntryOfTheirScheme() {
    var authority = all
    #expect(allows(acl("sasl", "alice"), "sasl", "super", under: authority))
    #expect(!allows(acl("sasl", "everybody"), "sasl", "bob", under: authority))
    #expect(!allows(acl("x509", "CN=a"), "x509", "CN=root", under: authority))
    authority.anySASLUser = "everybody"
    authority.x509SuperUser = "CN=root"
    #expect(allows(acl("sasl", "everybody"), "sasl", "bob", under: authority))
    #expect(allows(acl("x509", "CN=a"), "x509", "CN=root", under: authority))
    authority.skipsACL = true
    #expect(allows(acl("digest", "a:h", []), "ip", "1.2.3.4", under: authority))
  }

  @Test func idsMustBeOnesOfTheirScheme() {
    for (scheme, id, isValid) in [
      ("world", "anyone", true), ("world", "nobody", false), ("nosuch", "x", false),
      ("", "", false),
      ("digest", "a:h", true), ("digest", "a", false), ("digest", "a:h:x", false),
      ("digest", ":h", true), ("digest", "a:", false), ("digest", "a:h:", true),
      ("ip", "10.0.0.1", true), ("ip", "10.0.0.0/33", false), ("ip", "10.0.0", false),
      ("sasl", "a", true), ("sasl", "a/h@R", true), ("sasl", "a@", true), ("sasl", "a@b@c", false),
      ("sasl", "a/b/c@R", false), ("x509", "CN=a,O=b", true), ("x509", "a", false),
      ("x509", "CN=a\\,b, 1.2.3=\"x,y\"", true), ("x509", "NOPE=a", false), ("x509", "", true),
    ] {
      let resolved = try? all.resolve(acl(scheme, id), for: [])
      #expect((resolved != nil) == isValid, "\(scheme):\(id)")
    }
    let twice = acl("digest", "a:h") + acl("world", "anyone") + acl("digest", "a:h")
    #expect((try? all.resolve(twice, for: []))?.count == 2)
  }

  @Test func hashesAreHiddenFromThoseWhoDoNotAdminister() {
    let shown = Authority.redacted(acl("digest", "a:h") + acl("ip", "1.2.3.4"))
    #expect(shown == acl("digest", "a:x") + acl("ip", "1.2.3.4"))
    #expect(Authority.user(of: AuthID(scheme: "digest", id: "a:h")) == "a")
    #expect(Authority.user(of: AuthID(scheme: "super", id: "CN=root")) == "")
    #expect(Authority.user(of: AuthID(scheme: "ip", id: "1.2.3.4")) == "1.2.3.4")
  }

  /// Clients in Python send the empty id of `auth` as null.
  @Test func anIDMayBeNull() throws {
    let bytes: [UInt8] = [0, 0, 0, 4] + Array("auth".utf8) + [0xff, 0xff, 0xff, 0xff]
    #expect(try AuthID(decoding: bytes) == AuthID(scheme: "auth", id: ""))
  }
}
