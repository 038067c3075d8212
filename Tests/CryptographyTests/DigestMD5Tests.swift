import Testing

@testable import Cryptography

/// The example of RFC 2831, section 4.
@Suite struct DigestMD5Tests {
  private static let answer =
    "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\","
    + "nc=00000001,cnonce=\"OA6MHXh6VqTrRk\",digest-uri=\"imap/elwood.innosoft.com\","
    + "response=d388dad90d4bbd760a152321f2143af7,qop=auth"

  private func server(
    _ passwords: [String: String] = ["chris": "secret"]
  ) throws -> DigestMD5Server {
    var server = DigestMD5Server(
      realm: "elwood.innosoft.com", nonce: "OA6MG9tEQGm2hh", passwords: passwords)
    guard case .challenge(let bytes) = try server.evaluate([]) else {
      Issue.record("no challenge")
      return server
    }
    let challenge = try DigestMD5.directives(bytes)
    #expect(challenge["nonce"] == "OA6MG9tEQGm2hh")
    #expect(challenge["algorithm"] == "md5-sess")
    #expect(challenge["qop"] == "auth")
    return server
  }

  @Test func theStandardsExample() throws {
    var server = try server()
    let step = try server.evaluate(Array(Self.answer.utf8))
    let proof = "rspauth=ea40f60335c427b5527b84dbabcdfffd"
    #expect(step == .accepted(user: "chris", token: Array(proof.utf8)))
  }

  @Test(arguments: [
    ("username=\"chris\"", "username=\"other\""), ("nc=00000001", "nc=00000002"),
    ("2hh\",", "2hx\","), ("response=d3", "response=d4"), ("qop=auth", "qop=auth-conf"),
    ("elwood.innosoft.com\",nonce", "elsewhere\",nonce"), ("qop=auth", "authzid=\"root\""),
    ("qop=auth", "nc=00000001"), ("cnonce=\"OA6MHXh6VqTrRk\",", ""), ("qop=auth", "qop=\"auth"),
  ])
  func whatIsNotRightIsRefused(part: String, other: String) throws {
    var server = try server()
    let range = try #require(Self.answer.firstRange(of: part))
    let text = Self.answer.replacingCharacters(in: range, with: other)
    #expect(throws: DigestMD5Server.Refusal.self) { try server.evaluate(Array(text.utf8)) }
  }

  @Test func aWrongPasswordIsRefused() throws {
    var server = try server(["chris": "Secret"])
    #expect(throws: DigestMD5Server.Refusal(reason: "wrong password")) {
      try server.evaluate(Array(Self.answer.utf8))
    }
  }
}

extension String {
  fileprivate func replacingCharacters(in range: Range<Index>, with other: String) -> String {
    String(self[..<range.lowerBound]) + other + String(self[range.upperBound...])
  }
}
