/// What a controller serves. Reading this table is reading its surface.
///
/// Decisions go to the controller's machine, the quorum's own APIs to the Raft driver; a few are
/// answered from what is committed. An Envelope's content is handled as if its first sender had
/// asked, for the APIs that brokers forward.
import Authorization
import Control
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Metadata
import MetadataLog
import Platform
import Settings
import Telemetry
import Values

struct ControllerApis: Sendable {
  let driver: RaftDriver
  let clusterID: String
  let view: SharedView
  let loop: EventLoop
  /// Opened on `loop` only.
  let host: Unchecked<ControllerHost>
  let features: [SupportedFeature]
  let config: BrokerConfig
  /// Nil: none is configured, and everybody may do everything.
  let authorizer: StandardAuthorizer?
  private static let audit = Log("kafka.authorizer.logger")

  var table: ServedApis {
    let inner = driver.servedApis + decisions + reads
    let table = guarded(ServedApis(inner))
    let envelope = ServedApi(EnvelopeRequest.self) { envelope, request in
      table.unpack(envelope, request) { Self.forwardable.contains($0) }
    }
    let listed = inner + [envelope]
    let ranges = listed.map { ($0.api, $0.versions) }
    return guarded(ServedApis(listed + [apiVersions(listing: ranges)]))
  }

  /// Judges whoever asks by what is committed.
  private func guarded(_ apis: ServedApis) -> ServedApis {
    guard let authorizer else { return apis }
    var apis = apis
    apis.policy = { [view] principal, host, api in
      Access(
        authorizer, image: view.current.image, principal: principal.text, host: host,
        request: api.name
      ) { Self.audit.info("\($0)") }
    }
    return apis
  }

  /// What brokers may forward (KIP-590), as in Kafka's own table.
  private static let forwardable: Set<ApiKey> = [
    .createTopics, .deleteTopics, .createAcls, .deleteAcls, .alterConfigs, .createPartitions,
    .createDelegationToken, .renewDelegationToken, .expireDelegationToken, .electLeaders,
    .incrementalAlterConfigs, .alterPartitionReassignments, .listPartitionReassignments,
    .alterClientQuotas, .alterUserScramCredentials, .describeQuorum, .updateFeatures,
    .unregisterBroker, .addRaftVoter, .removeRaftVoter,
  ]

  // MARK: Decisions

  private var decisions: [ServedApi] {
    [
      decided(BrokerRegistrationRequest.self),
      decided(BrokerHeartbeatRequest.self),
      decided(UnregisterBrokerRequest.self),
      decided(ControllerRegistrationRequest.self),
      decided(CreateTopicsRequest.self),
      decided(DeleteTopicsRequest.self),
      decided(CreatePartitionsRequest.self),
      decided(AlterPartitionRequest.self),
      decided(ElectLeadersRequest.self),
      decided(AlterPartitionReassignmentsRequest.self),
      decided(ListPartitionReassignmentsRequest.self),
      decided(AlterConfigsRequest.self),
      decided(IncrementalAlterConfigsRequest.self),
      decided(AlterClientQuotasRequest.self),
      decided(AlterUserScramCredentialsRequest.self),
      decided(CreateDelegationTokenRequest.self),
      decided(RenewDelegationTokenRequest.self),
      decided(ExpireDelegationTokenRequest.self),
      decided(AllocateProducerIdsRequest.self),
      decided(UpdateFeaturesRequest.self),
      decided(AssignReplicasToDirsRequest.self),
    ]
  }

  private func decided<R: ControllerRequest>(_ type: R.Type) -> ServedApi {
    ServedApi(R.self) { [loop, host] request, asker in
      loop.execute { host.value.ask(request, asker) }
    }
  }

  // MARK: Reads

  private var reads: [ServedApi] { [describeCluster, describeConfigs] + accessControl }

  /// DescribeConfigs, key 32: of this controller as it is now, and of what the metadata have.
  private var describeConfigs: ServedApi {
    ServedApi(DescribeConfigsRequest.self) { [view, config] asked, request in
      let image = view.current.image
      let id = config.identity.brokerID
      let current = config.applying(
        dynamicDefaults: image.configs[.brokerDefault],
        dynamicBroker: image.configs[.broker("\(id.rawValue)")])
      let describer = ConfigDescriber(
        id, image: image, config: current, hasClientMetrics: true)
      request.answer(describer.answer(asked))
    }
  }

  /// Without an authorizer nobody would heed the entries, and none are taken.
  private var accessControl: [ServedApi] {
    guard authorizer != nil else {
      return [
        ServedApi(CreateAclsRequest.self) { asked, request in
          request.answer(asked.refused(noAuthorizer, version: request.version))
        },
        ServedApi(DeleteAclsRequest.self) { asked, request in
          request.answer(asked.refused(noAuthorizer, version: request.version))
        },
        ServedApi(DescribeAclsRequest.self) { asked, request in
          request.answer(asked.refused(noAuthorizer))
        },
      ]
    }
    return [
      decided(CreateAclsRequest.self), decided(DeleteAclsRequest.self),
      ServedApi(DescribeAclsRequest.self) { [view] asked, request in
        request.answer(asked.answer(from: view.current.image.accessControl))
      },
    ]
  }

  /// ApiVersions, key 18: features whose lowest level is 0 from version 4 on only.
  private func apiVersions(listing ranges: [(ApiKey, ClosedRange<Int16>)]) -> ServedApi {
    let all = (ranges + [(.apiVersions, ApiKey.apiVersions.versions)])
      .sorted { $0.0.rawValue < $1.0.rawValue }
    return ServedApi(ApiVersionsRequest.self) { [features, view, driver] asked, request in
      guard request.version < 3 || ApiVersionsNames.areValid(asked) else {
        return request.answer(
          ApiVersionsResponse { $0.errorCode = ErrorCode.invalidRequest.rawValue })
      }
      let current = view.current
      request.answer(
        ApiVersionsResponse {
          $0.apiKeys = all.map { api, versions in
            ApiVersionsResponse.ApiVersion {
              $0.apiKey = api.rawValue
              $0.minVersion = versions.lowerBound
              $0.maxVersion = versions.upperBound
            }
          }
          $0.supportedFeatures = features.filter { request.version >= 4 || $0.minimum > 0 }.map {
            feature in
            ApiVersionsResponse.SupportedFeatureKey {
              $0.name = feature.name
              $0.minVersion = feature.minimum
              $0.maxVersion = feature.maximum
            }
          }
          $0.finalizedFeaturesEpoch = current.lastOffset
          $0.finalizedFeatures = Self.finalized(current.image, driver.status.kraftVersion)
        })
    }
  }

  /// The finalized levels. That of kraft.version is in the Raft log, not in the image.
  private static func finalized(
    _ image: MetadataImage, _ kraftVersion: Int16
  ) -> [ApiVersionsResponse.FinalizedFeatureKey] {
    var levels = image.features
    if kraftVersion > 0 { levels[FeatureNames.kraftVersion] = kraftVersion }
    return levels.keys.sorted().map { name in
      ApiVersionsResponse.FinalizedFeatureKey {
        $0.name = name
        $0.maxVersionLevel = levels[name] ?? 0
        $0.minVersionLevel = levels[name] ?? 0
      }
    }
  }

  /// DescribeCluster, key 60: the controllers, as they have registered (KIP-919).
  private var describeCluster: ServedApi {
    ServedApi(DescribeClusterRequest.self) { [clusterID, view, driver] asked, request in
      var response = DescribeClusterResponse()
      guard request.version == 0 || asked.endpointType == Self.controllerEndpoints else {
        let isKnown = asked.endpointType == Self.brokerEndpoints
        response.errorCode =
          (isKnown ? ErrorCode.mismatchedEndpointType : .unsupportedEndpointType).rawValue
        response.errorMessage =
          isKnown
          ? "The request was sent to an endpoint of type CONTROLLER, but we wanted an endpoint of "
            + "type BROKER"
          : "Unsupported endpoint type \(asked.endpointType)"
        return request.answer(response)
      }
      response.endpointType = Self.controllerEndpoints
      response.clusterID = clusterID
      response.controllerID = driver.leader.id?.rawValue ?? -1
      response.brokers = view.current.image.controllers.compactMap { controller in
        guard let endpoint = controller.endpoints.first(where: { $0.listener == request.listener })
        else { return nil }
        return DescribeClusterResponse.DescribeClusterBroker {
          $0.brokerID = controller.id.rawValue
          $0.host = endpoint.host
          $0.port = Int32(endpoint.port)
        }
      }
      request.answer(response)
    }
  }

  private static let brokerEndpoints: Int8 = 1
  private static let controllerEndpoints: Int8 = 2
}

/// How clients may name their software (KIP-511): `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`.
enum ApiVersionsNames {
  static func areValid(_ request: ApiVersionsRequest) -> Bool {
    isValid(request.clientSoftwareName) && isValid(request.clientSoftwareVersion)
  }

  private static func isValid(_ name: String) -> Bool {
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
