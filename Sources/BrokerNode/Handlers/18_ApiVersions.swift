/// ApiVersions, key 18, versions 0–4.
///
/// Lists exactly what this broker serves. A version that is not known is answered in version 0 with
/// UNSUPPORTED_VERSION and the versions of ApiVersions itself, so that the client can ask again
/// (KIP-511). From version 3 on the client names its software; names that are not
/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?` are INVALID_REQUEST. Features whose lowest level is
/// 0 are shown from version 4 on only; in ZooKeeper mode there are none. In KRaft mode what is
/// passed on to the controller is listed in the versions that the controller serves too.
import KafkaMessages
import KafkaProtocol
import Metadata

enum ApiVersionsHandler: ApiHandler {
  static func handle(_ request: ApiVersionsRequest, _ context: RequestContext) {
    var response = ApiVersionsResponse()
    if context.version >= 3 {
      guard isValidName(request.clientSoftwareName), isValidName(request.clientSoftwareVersion)
      else {
        response.errorCode = ErrorCode.invalidRequest.rawValue
        context.reply(response)
        return
      }
      context.client.softwareName = request.clientSoftwareName
      context.client.softwareVersion = request.clientSoftwareVersion
    }
    let services = context.services
    response.apiKeys = services.apis.listed.compactMap { entry in
      services.servedVersions(entry).map { versions in
        ApiVersionsResponse.ApiVersion {
          $0.apiKey = entry.api.rawValue
          $0.minVersion = versions.lowerBound
          $0.maxVersion = versions.upperBound
        }
      }
    }
    if let finalized = services.metadata.finalizedFeatures {
      let supported = SupportedFeatures.all(
        services.config.quorum, withMinimumOfZero: context.version >= 4)
      list(supported, finalized, in: &response)
    }
    context.reply(response)
  }

  private static func list(
    _ supported: [SupportedFeature], _ finalized: (levels: [String: Int16], epoch: Int64),
    in response: inout ApiVersionsResponse
  ) {
    response.supportedFeatures = supported.map { feature in
      .init {
        $0.name = feature.name
        $0.minVersion = feature.minimum
        $0.maxVersion = feature.maximum
      }
    }
    response.finalizedFeaturesEpoch = finalized.epoch
    response.finalizedFeatures = finalized.levels.sorted { $0.key < $1.key }.map { name, level in
      .init {
        $0.name = name
        $0.maxVersionLevel = level
        $0.minVersionLevel = level
      }
    }
  }

  /// Answers a version that is not known.
  static func refuseVersion(_ context: RequestContext) {
    var response = ApiVersionsResponse()
    response.errorCode = ErrorCode.unsupportedVersion.rawValue
    response.apiKeys = [
      ApiVersionsResponse.ApiVersion {
        $0.apiKey = ApiKey.apiVersions.rawValue
        $0.minVersion = versions.lowerBound
        $0.maxVersion = versions.upperBound
      }
    ]
    context.finishWithoutReply()
    RequestContext.write(
      response, .apiVersions, 0, context.correlationID, to: &context.connection.output)
  }

  private static func isValidName(_ name: String) -> Bool {
    let bytes = Array(name.utf8)
    guard let first = bytes.first, let last = bytes.last, isAlphanumeric(first),
      isAlphanumeric(last)
    else { return false }
    return bytes.allSatisfy { isAlphanumeric($0) || $0 == 0x2d || $0 == 0x2e }
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
  }
}
