// Keys of `zoo.cfg` about SASL, and about connections that must have proved something.

import Platform
import Settings

/// SASL DIGEST-MD5 for clients, as ZooKeeper's users configure it:
/// `java.security.auth.login.config` names a JAAS file, whose section `Server` has the users.
struct SASLSettings: Sendable {
  /// Passwords by user; nil: SASL is not offered.
  var users: [String: String]?
  /// `allowSaslFailedClients`: a failure does not end the connection.
  var allowsFailure = false
  /// `superUser`: the SASL user who may do everything.
  var superUser: String?
  /// Schemes of which a connection must have proved one before it may ask for anything; empty: none
  /// need be proved.
  var requiredSchemes: [String] = []

  init() {}

  init(_ settings: CoordinatorSettings) throws(SettingsError) {
    allowsFailure = settings.bool("allowSaslFailedClients")
    superUser = settings.text("superUser")
    let fileKey = "java.security.auth.login.config"
    if let path = settings.text(fileKey) {
      let section = settings.text("sasl.serverconfig") ?? "Server"
      do throws(JAASFile.Mistake) {
        users = try JAASFile(at: path).users(of: section)
        // The user whom every SASL entry of ACLs matches may have its password here.
        if let password = settings.text("SASLAuthenticationProvider.superPassword") {
          users?["super"] = password
        }
      } catch {
        throw settings.error(error.reason, fileKey)
      }
    }
    if settings.bool("sessionRequireClientSASLAuth") { requiredSchemes = ["sasl"] }
    if settings.bool("enforce.auth.enabled") {
      let schemes = settings.list("enforce.auth.schemes")
      guard !schemes.isEmpty else {
        throw settings.error("is true, but enforce.auth.schemes is empty", "enforce.auth.enabled")
      }
      requiredSchemes += schemes.filter { !requiredSchemes.contains($0) }
    }
    if requiredSchemes.contains("sasl"), users == nil {
      throw SettingsError(
        "must name a JAAS file: SASL is required of clients, and there is no user", key: fileKey)
    }
  }
}

/// The part of JAAS's configuration files that ZooKeeper's users have:
///
///     Server {
///       org.apache.zookeeper.server.auth.DigestLoginModule required
///         user_super="adminsecret"
///         user_bob="bobsecret";
///     };
///
/// Comments are `//` to the line's end and `/* */`. There may be other sections, which are not
/// looked at.
struct JAASFile {
  struct Mistake: Error { var reason: String }

  private enum Token: Equatable {
    case word(String)
    case text(String)
    case symbol(Character)
  }

  private let path: String
  private var tokens: [Token] = []

  init(at path: String) throws(Mistake) {
    let bytes: [UInt8]?
    do { bytes = try FileSystem.readFile(path) } catch { throw Mistake(reason: "\(error)") }
    guard let bytes else { throw Mistake(reason: "no such file") }
    try self.init(String(decoding: bytes, as: UTF8.self), path)
  }

  /// - Parameter path: What complaints call it.
  init(_ text: String, _ path: String) throws(Mistake) {
    self.path = path
    try cut(Array(text))
  }

  private mutating func cut(_ text: [Character]) throws(Mistake) {
    var index = 0
    func isAt(_ symbol: String, _ index: Int) -> Bool {
      text[index...].starts(with: Array(symbol))
    }
    while index < text.count {
      let character = text[index]
      if character.isWhitespace {
        index += 1
      } else if isAt("//", index) || character == "#" {
        while index < text.count, !text[index].isNewline { index += 1 }
      } else if isAt("/*", index) {
        while index < text.count, !isAt("*/", index) { index += 1 }
        index += 2
      } else if character == "\"" {
        var value = ""
        index += 1
        while index < text.count, text[index] != "\"" {
          if text[index] == "\\", index + 1 < text.count { index += 1 }
          value.append(text[index])
          index += 1
        }
        guard index < text.count else { throw Mistake(reason: "\(path): a quote is not closed") }
        index += 1
        tokens.append(.text(value))
      } else if "{};=".contains(character) {
        tokens.append(.symbol(character))
        index += 1
      } else {
        var word = ""
        while index < text.count, !text[index].isWhitespace, !"{};=\"".contains(text[index]) {
          word.append(text[index])
          index += 1
        }
        tokens.append(.word(word))
      }
    }
  }

  private static let module = "org.apache.zookeeper.server.auth.DigestLoginModule"

  /// The users of a section and their passwords.
  func users(of section: String) throws(Mistake) -> [String: String] {
    guard let start = tokens.indices.first(where: { index in
      tokens[index] == .word(section) && tokens[(index + 1)...].first == .symbol("{")
    }) else { throw Mistake(reason: "\(path): has no section \(section)") }
    var rest = tokens[(start + 2)...]
    guard case .word(let module) = rest.popFirst() else {
      throw Mistake(reason: "\(path): section \(section) names no login module")
    }
    guard module == Self.module else {
      throw Mistake(reason: "\(path): \(module) is not supported, only \(Self.module)")
    }
    // `required`: with one module the flag changes nothing.
    guard case .word = rest.popFirst() else {
      throw Mistake(reason: "\(path): expected 'required' behind \(module)")
    }
    var users: [String: String] = [:]
    while let token = rest.popFirst(), token != .symbol(";") {
      guard case .word(let name) = token, rest.popFirst() == .symbol("="),
        let value = rest.popFirst()
      else { throw Mistake(reason: "\(path): expected name=\"value\" in section \(section)") }
      guard name.hasPrefix("user_") else { continue }
      switch value {
      case .text(let text), .word(let text): users[String(name.dropFirst(5))] = text
      case .symbol: throw Mistake(reason: "\(path): \(name) has no value")
      }
    }
    guard rest.first == .symbol("}") else {
      throw Mistake(reason: "\(path): section \(section) must have one login module and end in };")
    }
    guard !users.isEmpty else { throw Mistake(reason: "\(path): section \(section) has no user") }
    return users
  }
}
