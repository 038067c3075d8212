// AlterUserScramCredentials (51, version 0) in KRaft mode (KIP-554).
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension AlterUserScramCredentialsRequest: ControllerRequest {
  /// Iterations that a client may ask for at most.
  private static let maximumIterations: Int32 = 16384
  private static let minimumIterations: Int32 = 4096

  public func refused(_ refusal: Refusal, version: Int16) -> AlterUserScramCredentialsResponse {
    .init { $0.results = users.map { Self.result($0, refusal) } }
  }

  /// Every user once, in the order of mention.
  private var users: [String] {
    var seen: Set<String> = []
    return (deletions.map(\.name) + upsertions.map(\.name)).filter { seen.insert($0).inserted }
  }

  /// Each user stands and falls on its own; one that is mentioned twice is refused.
  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<AlterUserScramCredentialsResponse> {
    let duplicates = (deletions.map(\.name) + upsertions.map(\.name)).duplicates
    var response = AlterUserScramCredentialsResponse()
    var records: [MetadataRecord] = []
    for user in users {
      do throws(Refusal) {
        if duplicates.contains(user) {
          throw Refusal(
            .duplicateResource,
            "A user credential cannot be altered twice in the same request")
        }
        guard machine.pending.image.metadataVersion.hasScram else {
          throw Refusal(
            .unsupportedVersion, "The current metadata.version does not support SCRAM")
        }
        records.append(try change(of: user, machine))
        response.results.append(Self.result(user, Refusal(.none)))
      } catch {
        response.results.append(Self.result(user, error))
      }
    }
    return .init(records, response)
  }

  private func change(
    of user: String, _ machine: QuorumController
  ) throws(Refusal) -> MetadataRecord {
    if let deletion = deletions.first(where: { $0.name == user }) {
      let mechanism = try Self.mechanism(user, deletion.mechanism)
      guard machine.pending.image.scram[user, mechanism] != nil else {
        throw Refusal(
          .resourceNotFound, "Attempt to delete a user credential that does not exist")
      }
      return .removeUserScramCredential(
        .init {
          $0.name = user
          $0.mechanism = mechanism.rawValue
        })
    }
    guard let upsertion = upsertions.first(where: { $0.name == user }) else {
      throw Refusal(.unknownServerError)
    }
    let mechanism = try Self.mechanism(user, upsertion.mechanism)
    if upsertion.iterations < Self.minimumIterations {
      throw Refusal(.unacceptableCredential, "Too few iterations")
    }
    if upsertion.iterations > Self.maximumIterations {
      throw Refusal(.unacceptableCredential, "Too many iterations")
    }
    guard let keys = machine.options.hooks.scramKeys?(mechanism, upsertion.saltedPassword) else {
      throw Refusal(.unsupportedSaslMechanism, "SCRAM is not available on this controller")
    }
    // The salted password itself would let its reader log in; it is not kept.
    return .userScramCredential(
      .init {
        $0.name = user
        $0.mechanism = mechanism.rawValue
        $0.salt = upsertion.salt
        $0.storedKey = keys.storedKey
        $0.serverKey = keys.serverKey
        $0.iterations = upsertion.iterations
      })
  }

  private static func mechanism(
    _ user: String, _ number: Int8
  ) throws(Refusal) -> ScramMechanism {
    if user.isEmpty { throw Refusal(.unacceptableCredential, "Username must not be empty") }
    guard let mechanism = ScramMechanism(rawValue: number) else {
      throw Refusal(.unsupportedSaslMechanism, "Unknown SCRAM mechanism")
    }
    return mechanism
  }

  private static func result(
    _ user: String, _ refusal: Refusal
  ) -> AlterUserScramCredentialsResponse.AlterUserScramCredentialsResult {
    .init {
      $0.user = user
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }
}
