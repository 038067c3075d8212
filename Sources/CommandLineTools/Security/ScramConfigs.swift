import Cryptography
import KafkaClient
import KafkaMessages
import KafkaProtocol
import Metadata
import Settings

/// The part of `jackdaw configs` that is about users' SCRAM credentials (KIP-554):
/// `--add-config 'SCRAM-SHA-256=[iterations=8192,password=…]'`, `--delete-config SCRAM-SHA-256`.
///
/// The password is salted here: the cluster never learns it.
struct ScramConfigs {
  private let user: String
  private var upsertions: [AlterUserScramCredentialsRequest.ScramCredentialUpsertion] = []
  private var deletions: [AlterUserScramCredentialsRequest.ScramCredentialDeletion] = []

  private static let defaultIterations: Int32 = 4096
  private static let prefix = "SCRAM-"

  static func isScram(_ key: String) -> Bool { key.uppercased().hasPrefix(prefix) }

  /// - Parameters:
  ///   - adding: all that is to be set; nothing else may be among it.
  ///   - user: nil when not exactly one user is named.
  init(adding: [(String, String)], deleting: [String], user: String?) throws(SettingsError) {
    guard adding.allSatisfy({ Self.isScram($0.0) }), deleting.allSatisfy(Self.isScram) else {
      throw SettingsError("quotas and SCRAM credentials cannot be changed at once")
    }
    guard let user else {
      throw SettingsError("SCRAM credentials are those of one user: --entity-name is needed")
    }
    self.user = user
    for (key, value) in adding { upsertions.append(try Self.upsertion(key, value, user)) }
    for key in deleting {
      let mechanism = try Self.mechanism(key, "--delete-config")
      deletions.append(
        .init {
          $0.name = user
          $0.mechanism = mechanism.rawValue
        })
    }
  }

  private static func mechanism(
    _ key: String, _ flag: String
  ) throws(SettingsError) -> ScramMechanism {
    guard let mechanism = ScramMechanism(name: key.uppercased()) else {
      throw SettingsError("SCRAM-SHA-256 and SCRAM-SHA-512 are known", key: flag, value: key)
    }
    return mechanism
  }

  /// `iterations=8192,password=…`; everything behind `password=` is the password.
  private static func upsertion(
    _ key: String, _ text: String, _ user: String
  ) throws(SettingsError) -> AlterUserScramCredentialsRequest.ScramCredentialUpsertion {
    let mechanism = try mechanism(key, "--add-config")
    var (rest, iterations) = (text[...], defaultIterations)
    if rest.hasPrefix("iterations="), let comma = rest.firstIndex(of: ",") {
      let number = rest[..<comma].dropFirst("iterations=".count)
      guard let value = Int32(number), value >= defaultIterations else {
        throw SettingsError(
          "at least \(defaultIterations) are required for \(mechanism.name)", key: "iterations",
          value: String(number))
      }
      iterations = value
      rest = rest[rest.index(after: comma)...]
    }
    guard rest.hasPrefix("password="), rest.count > "password=".count else {
      // Not shown: there may be a password in it.
      throw SettingsError(
        "expected [iterations=N,password=…] or [password=…]", key: "--add-config \(key)")
    }
    let salt = ScramArgument.randomSalt()
    let password = Array(rest.dropFirst("password=".count).utf8)
    return .init {
      $0.name = user
      $0.mechanism = mechanism.rawValue
      $0.iterations = iterations
      $0.salt = salt
      $0.saltedPassword = mechanism.digest.stretch(password, salt: salt, iterations: iterations)
    }
  }

  func alter(_ session: AdminSession) async throws {
    let results = try await session.admin.alterScramCredentials(
      .init {
        $0.upsertions = upsertions
        $0.deletions = deletions
      })
    for (_, result) in results.sorted(by: { $0.key < $1.key }) { try result.get() }
  }

  /// What is known of users' credentials; of all users without a name.
  static func describe(
    _ user: String?, _ session: AdminSession, _ console: Console
  ) async throws {
    let users = try await session.admin.describeScramCredentials(user.map { [$0] })
    for found in users.sorted(by: { $0.user < $1.user }) {
      // A user without credentials is no failure of a description of quotas.
      if ErrorCode(found.errorCode) == .resourceNotFound { continue }
      try ErrorCode.check(found.errorCode, found.errorMessage, "user \(found.user)")
      let infos = found.credentialInfos.compactMap { info in
        ScramMechanism(rawValue: info.mechanism).map {
          "\($0.name)=iterations=\(info.iterations)"
        }
      }
      console.line(
        "SCRAM credential configs for user-principal '\(found.user)' are "
          + infos.joined(separator: ", "))
    }
  }
}
