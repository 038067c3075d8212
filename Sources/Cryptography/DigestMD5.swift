// SASL's DIGEST-MD5 (RFC 2831), quality of protection `auth`: proof of a password that is not sent.

/// The server's side of one authentication.
public struct DigestMD5Server: Sendable {
  /// Why a client is not believed.
  public struct Refusal: Error, Equatable, Sendable {
    public let reason: String
    public init(reason: String) { self.reason = reason }
  }

  /// What a client's answer came to.
  public enum Step: Equatable, Sendable {
    case challenge([UInt8])
    /// The user has proved to know the password; the token proves that the server knows it, too.
    case accepted(user: String, token: [UInt8])
  }

  private let realm: String
  private let nonce: String
  private let passwords: [String: String]
  private var isChallenged = false

  /// - Parameters:
  ///   - realm: Whose users they are.
  ///   - nonce: Unpredictable, never used before.
  public init(realm: String, nonce: String, passwords: [String: String]) {
    self.realm = realm
    self.nonce = nonce
    self.passwords = passwords
  }

  /// Answers a client's token: the challenge first, then a verdict.
  public mutating func evaluate(_ token: [UInt8]) throws(Refusal) -> Step {
    if !isChallenged {
      isChallenged = true
      // A client that has a first word has it for another mechanism.
      guard token.isEmpty else { throw Refusal(reason: "an initial response is not expected") }
      let challenge =
        "realm=\"\(realm)\",nonce=\"\(nonce)\",charset=utf-8,algorithm=md5-sess,qop=\"auth\""
      return .challenge(Array(challenge.utf8))
    }
    let answer = try DigestMD5.directives(token)
    guard let user = answer["username"], let response = answer["response"],
      let clientNonce = answer["cnonce"], let uri = answer["digest-uri"]
    else { throw Refusal(reason: "a directive is missing") }
    guard answer["nonce"] == nonce, answer["nc"] == "00000001" else {
      throw Refusal(reason: "the nonce is not the one that was given")
    }
    guard answer["qop"] ?? "auth" == "auth" else { throw Refusal(reason: "unknown qop") }
    guard answer["realm"] ?? "" == realm else { throw Refusal(reason: "unknown realm") }
    if let other = answer["authzid"], !other.isEmpty, other != user {
      throw Refusal(reason: "\(user) may not act as \(other)")
    }
    guard let password = passwords[user] else { throw Refusal(reason: "unknown user") }
    let exchange = DigestMD5(
      user: user, realm: realm, password: password, nonce: nonce, clientNonce: clientNonce,
      uri: uri, authorization: answer["authzid"] ?? "")
    guard DigestMD5.equal(Array(exchange.response.utf8), Array(response.utf8)) else {
      throw Refusal(reason: "wrong password")
    }
    let proof = "rspauth=\(exchange.serverProof)"
    return .accepted(user: user, token: Array(proof.utf8))
  }
}

/// The hashes of one exchange.
public struct DigestMD5: Sendable {
  private let secret: [UInt8]
  private let nonce: String
  private let clientNonce: String
  private let uri: String

  public init(
    user: String, realm: String, password: String, nonce: String, clientNonce: String,
    uri: String, authorization: String = ""
  ) {
    let inner = [user, realm, password].map(Self.bytes).joined(separator: [UInt8(ascii: ":")])
    var outer = Digest.md5.hash(Array(inner))
    outer += Array(":\(nonce):\(clientNonce)".utf8)
    if !authorization.isEmpty { outer += Array(":\(authorization)".utf8) }
    secret = Digest.md5.hash(outer)
    self.nonce = nonce
    self.clientNonce = clientNonce
    self.uri = uri
  }

  /// What the client sends.
  public var response: String { hash("AUTHENTICATE:\(uri)") }
  /// What the server answers.
  public var serverProof: String { hash(":\(uri)") }

  private func hash(_ action: String) -> String {
    let last = Self.hex(Digest.md5.hash(Array(action.utf8)))
    let text = "\(Self.hex(secret)):\(nonce):00000001:\(clientNonce):auth:\(last)"
    return Self.hex(Digest.md5.hash(Array(text.utf8)))
  }

  /// Latin-1 where the text allows it, as the standard wants names and passwords hashed.
  private static func bytes(_ text: String) -> [UInt8] {
    let scalars = text.unicodeScalars
    if scalars.allSatisfy({ $0.value < 256 }) { return scalars.map { UInt8($0.value) } }
    return Array(text.utf8)
  }

  static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { byte in
      let digits = String(byte, radix: 16)
      return byte < 16 ? "0" + digits : digits
    }.joined()
  }

  /// Compares without telling by its time where the first difference is.
  static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    guard a.count == b.count else { return false }
    return zip(a, b).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
  }

  /// `name=value` pairs between commas; values may be quoted.
  public static func directives(
    _ token: [UInt8]
  ) throws(DigestMD5Server.Refusal) -> [String: String] {
    var found: [String: String] = [:]
    var index = 0
    func malformed() -> DigestMD5Server.Refusal {
      DigestMD5Server.Refusal(reason: "malformed response")
    }
    while index < token.count {
      while index < token.count, token[index] == 0x20 || token[index] == UInt8(ascii: ",") {
        index += 1
      }
      guard index < token.count else { break }
      guard let equals = token[index...].firstIndex(of: UInt8(ascii: "=")) else {
        throw malformed()
      }
      let name = String(decoding: token[index..<equals], as: UTF8.self)
      index = equals + 1
      var value: [UInt8] = []
      if index < token.count, token[index] == UInt8(ascii: "\"") {
        index += 1
        while index < token.count, token[index] != UInt8(ascii: "\"") {
          if token[index] == UInt8(ascii: "\\") { index += 1 }
          guard index < token.count else { throw malformed() }
          value.append(token[index])
          index += 1
        }
        guard index < token.count else { throw malformed() }
        index += 1
      } else {
        while index < token.count, token[index] != UInt8(ascii: ",") {
          value.append(token[index])
          index += 1
        }
      }
      // A directive that is given twice could mean one thing here and another elsewhere.
      guard found.updateValue(String(decoding: value, as: UTF8.self), forKey: name) == nil else {
        throw malformed()
      }
    }
    return found
  }
}
