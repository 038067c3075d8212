/// DescribeUserScramCredentials, key 50, version 0 (KIP-554).
///
/// Which mechanisms users have credentials for, and with how many iterations; never the keys. No
/// users means all. RESOURCE_NOT_FOUND for a user without, DUPLICATE_RESOURCE for one named twice.
import KafkaMessages
import KafkaProtocol
import Metadata

enum DescribeUserScramCredentialsHandler: ApiHandler {
  private typealias Row =
    DescribeUserScramCredentialsResponse.DescribeUserScramCredentialsResult

  static func handle(_ request: DescribeUserScramCredentialsRequest, _ context: RequestContext) {
    let scram = context.services.metadata.image.scram
    var response = DescribeUserScramCredentialsResponse()
    response.errorMessage = nil
    let asked = (request.users ?? []).map(\.name)
    let counts = asked.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    let users = asked.isEmpty ? scram.users : counts.keys.sorted()
    response.results = users.map { user in
      var row = Row()
      row.user = user
      row.errorMessage = nil
      if counts[user, default: 0] > 1 {
        row.errorCode = ErrorCode.duplicateResource.rawValue
        row.errorMessage =
          "Cannot describe SCRAM credentials for the same user twice in a single request: \(user)"
        return row
      }
      for mechanism in ScramMechanism.allCases {
        guard let credential = scram[user, mechanism] else { continue }
        row.credentialInfos.append(
          .init {
            $0.mechanism = mechanism.rawValue
            $0.iterations = credential.iterations
          })
      }
      if row.credentialInfos.isEmpty {
        row.errorCode = ErrorCode.resourceNotFound.rawValue
        row.errorMessage = "Attempt to describe a user credential that does not exist: \(user)"
      }
      return row
    }
    context.reply(response)
  }
}
