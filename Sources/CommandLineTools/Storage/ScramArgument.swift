import Bytes
import Cryptography
import KafkaRecords
import Metadata
import Platform

/// `SCRAM-SHA-256=[name=alice,password=secret,iterations=8192,salt="…"]`, as `--add-scram` takes
/// it; in place of the password, `saltedpassword="…"` with its salt, both in base64.
struct ScramArgument {
  let mechanism: ScramMechanism
  let name: String
  let salt: [UInt8]
  let iterations: Int32
  private let saltedPassword: [UInt8]

  private static let iterationRange: ClosedRange<Int32> = 4096...16384

  init(_ text: String) throws {
    func wrong(_ why: String) -> ToolFailure { ToolFailure("--add-scram: \(why)") }
    guard let equals = text.firstIndex(of: "="),
      let mechanism = ScramMechanism(name: text[..<equals].uppercased())
    else { throw wrong("expected SCRAM-SHA-256=[…] or SCRAM-SHA-512=[…]") }
    self.mechanism = mechanism
    let list = text[text.index(after: equals)...]
    guard list.hasPrefix("["), list.hasSuffix("]") else { throw wrong("expected [key=value,…]") }
    var values: [String: String] = [:]
    for entry in list.dropFirst().dropLast().split(separator: ",") {
      guard let sign = entry.firstIndex(of: "=") else { throw wrong("no value in \(entry)") }
      var value = entry[entry.index(after: sign)...]
      if value.hasPrefix("\""), value.hasSuffix("\""), value.count > 1 {
        value = value.dropFirst().dropLast()
      }
      values[String(entry[..<sign])] = String(value)
    }
    let known: Set = ["name", "password", "saltedpassword", "salt", "iterations"]
    if let other = values.keys.sorted().first(where: { !known.contains($0) }) {
      throw wrong("unknown key \(other)")
    }
    guard let name = values["name"], !name.isEmpty else {
      throw wrong("You must supply 'name' to add-scram")
    }
    self.name = name
    guard let iterations = Int32(values["iterations"] ?? "4096"),
      Self.iterationRange.contains(iterations)
    else { throw wrong("The 'iterations' value must be from 4096 to 16384") }
    self.iterations = iterations
    salt = try Self.salt(values["salt"])
    switch (values["password"], values["saltedpassword"]) {
    case (let password?, nil):
      saltedPassword = mechanism.digest.stretch(
        Array(password.utf8), salt: salt, iterations: iterations)
    case (nil, let salted?):
      guard values["salt"] != nil else {
        throw wrong("You must supply 'salt' with 'saltedpassword' to add-scram")
      }
      guard let bytes = Base64.decode(salted) else { throw wrong("saltedpassword is not base64") }
      saltedPassword = bytes
    case (nil, nil): throw wrong("You must supply one of 'password' or 'saltedpassword'")
    default: throw wrong("You must only supply one of 'password' or 'saltedpassword'")
    }
  }

  private static func salt(_ text: String?) throws -> [UInt8] {
    if let text {
      guard let bytes = Base64.decode(text) else {
        throw ToolFailure("--add-scram: salt is not base64")
      }
      return bytes
    }
    return randomSalt()
  }

  /// Letters and digits, like Kafka's, so that a salt can be typed.
  static func randomSalt() -> [UInt8] {
    var random = SystemRandom()
    let digits = Array("0123456789abcdefghijklmnopqrstuvwxyz".utf8)
    return (0..<26).map { _ in digits[Int.random(in: 0..<digits.count, using: &random)] }
  }

  var record: UserScramCredentialRecord {
    let keys = ScramKeys(saltedPassword: saltedPassword, mechanism.digest)
    return UserScramCredentialRecord {
      $0.name = name
      $0.mechanism = mechanism.rawValue
      $0.salt = salt
      $0.storedKey = keys.storedKey
      $0.serverKey = keys.serverKey
      $0.iterations = iterations
    }
  }
}

extension ScramMechanism {
  var digest: Digest { self == .sha256 ? .sha256 : .sha512 }
}
