import Control
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Testing
import Values

@Suite struct QuorumConfigTests {
  private func makeHost() throws -> QuorumHost {
    var options = QuorumControllerOptions.test
    options.base.hooks.isList = { _, key in key == "cleanup.policy" }
    options.base.hooks.defaultValue = { _, key in key == "cleanup.policy" ? "delete" : nil }
    options.base.hooks.validateConfig = { _, settings in
      settings["bad"].map { Refusal(.invalidConfig, "Invalid value \($0)") }
    }
    var host = QuorumHost(options)
    host.lead()
    try host.start(brokers: 1...1)
    try host.create("t", [[1]])
    return host
  }

  private func alter(
    _ host: inout QuorumHost, _ type: Int8, _ name: String,
    _ configs: [(String, Int8, String?)], validateOnly: Bool = false
  ) throws -> (code: ErrorCode, message: String?) {
    let response = try host.ask(
      IncrementalAlterConfigsRequest { request in
        request.validateOnly = validateOnly
        request.resources = [
          .init {
            $0.resourceType = type
            $0.resourceName = name
            $0.configs = configs.map { name, operation, value in
              .init {
                $0.name = name
                $0.configOperation = operation
                $0.value = value
              }
            }
          }
        ]
      }
    ).responses[0]
    return (ErrorCode(response.errorCode), response.errorMessage)
  }

  @Test func operationsAreApplied() throws {
    var host = try makeHost()
    func values() -> [String: String] { host.image.configs[.topic("t")] }
    #expect(try alter(&host, 2, "t", [("retention.ms", 0, "1")]).code == .none)
    #expect(try alter(&host, 2, "t", [("cleanup.policy", 2, "compact,delete")]).code == .none)
    #expect(values() == ["retention.ms": "1", "cleanup.policy": "delete,compact"])
    #expect(try alter(&host, 2, "t", [("cleanup.policy", 3, "delete")]).code == .none)
    #expect(try alter(&host, 2, "t", [("retention.ms", 1, nil)]).code == .none)
    #expect(values() == ["cleanup.policy": "compact"])
    let count = host.log.count
    #expect(try alter(&host, 2, "t", [("cleanup.policy", 0, "compact")]).code == .none)
    #expect(try alter(&host, 2, "t", [("x", 0, "y")], validateOnly: true).code == .none)
    #expect(host.log.count == count)
  }

  @Test func refusalsAreKafkas() throws {
    var host = try makeHost()
    func check(
      _ type: Int8, _ name: String, _ code: ErrorCode, _ message: String,
      of config: (String, Int8, String?) = ("a", 0, "1")
    ) throws {
      let result = try alter(&host, type, name, [config])
      #expect(result.code == code && result.message == message, "\(result)")
    }
    try check(2, "x", .unknownTopicOrPartition, "The topic 'x' does not exist.")
    try check(2, "", .invalidRequest, "Default topic resources are not allowed.")
    try check(4, "9", .brokerIDNotRegistered, "No node with id 9 found.")
    try check(4, "z", .invalidRequest, "Unable to parse broker name as a base 10 number.")
    try check(4, "-1", .invalidRequest, "Invalid negative broker ID.")
    try check(8, "1", .invalidRequest, "Unexpected resource type BROKER_LOGGER.")
    try check(77, "1", .unsupportedVersion, "Unknown resource type 77.")
    try check(2, "t", .invalidConfig, "Invalid value 5", of: ("bad", 0, "5"))
    try check(
      2, "t", .invalidConfig,
      "Can't APPEND to key retention.ms because its type is not LIST.",
      of: ("retention.ms", 2, "5"))
    try check(
      2, "t", .invalidRequest, "Unknown operation type 9 for a", of: ("a", 9, "5"))
    #expect(host.image.configs.resources.isEmpty)
  }

  @Test func nodesHaveConfigurations() throws {
    var host = try makeHost()
    #expect(try alter(&host, 4, "1", [("log.cleaner.threads", 0, "2")]).code == .none)
    #expect(try alter(&host, 4, "", [("log.cleaner.threads", 0, "3")]).code == .none)
    // A controller is a node as well.
    #expect(try alter(&host, 4, "3000", [("log.cleaner.threads", 0, "4")]).code == .none)
    // Written again though it is so: brokers reload key stores when they see it.
    let count = host.log.count
    #expect(try alter(&host, 4, "1", [("log.cleaner.threads", 0, "2")]).code == .none)
    #expect(host.log.count == count + 1)
  }

  @Test func replacingRemovesTheRest() throws {
    var host = try makeHost()
    _ = try alter(&host, 2, "t", [("a", 0, "1"), ("b", 0, "2")])
    func request(_ configs: [(String, String?)]) -> AlterConfigsRequest {
      .init { request in
        request.resources = [
          .init {
            $0.resourceType = 2
            $0.resourceName = "t"
            $0.configs = configs.map { name, value in
              .init {
                $0.name = name
                $0.value = value
              }
            }
          }
        ]
      }
    }
    #expect(try host.ask(request([("b", "2"), ("c", "3")])).responses[0].errorCode == 0)
    #expect(host.image.configs[.topic("t")] == ["b": "2", "c": "3"])
    #expect(
      try ErrorCode(host.ask(request([("b", nil)])).responses[0].errorCode) == .invalidRequest)
    var twice = request([("d", "4")])
    twice.resources += twice.resources
    let responses = try host.ask(twice).responses
    #expect(responses.count == 1 && responses[0].errorMessage == "Duplicate resource.")
  }

  @Test func theConfigurationGoesWithTheTopic() throws {
    var host = try makeHost()
    _ = try alter(&host, 2, "t", [("a", 0, "1")])
    _ = try host.ask(DeleteTopicsRequest { $0.topics = [.init { $0.name = "t" }] })
    #expect(host.image.configs.resources.isEmpty)
  }
}

@Suite struct QuorumFeatureTests {
  private func update(
    _ host: inout QuorumHost, to level: Int16, _ type: Int8 = 1, feature: String? = nil,
    validateOnly: Bool = false
  ) throws -> (code: ErrorCode, message: String?) {
    let result = try host.ask(
      UpdateFeaturesRequest { request in
        request.validateOnly = validateOnly
        request.featureUpdates = [
          .init {
            $0.feature = feature ?? MetadataVersion.featureName
            $0.maxVersionLevel = level
            $0.upgradeType = type
          }
        ]
      }
    ).results[0]
    return (ErrorCode(result.errorCode), result.errorMessage)
  }

  @Test func levelsGoUp() throws {
    var host = QuorumHost(.test(level: MetadataVersion(19)))
    host.lead()
    try host.start(brokers: 1...1)
    #expect(try update(&host, to: 21, validateOnly: true).code == .none)
    #expect(host.image.metadataVersion.rawValue == 19)
    #expect(try update(&host, to: 21).code == .none)
    #expect(host.image.metadataVersion.rawValue == 21)
    // Nothing between the two changed the metadata.
    #expect(try update(&host, to: 20).code == .invalidUpdateVersion)
    #expect(try update(&host, to: 20, 2).code == .none)
    #expect(host.image.metadataVersion.rawValue == 20)
    #expect(try update(&host, to: 21, 2).message?.contains("downgrade to a newer") == true)
    #expect(try update(&host, to: 16, 2).message?.contains("might delete metadata") == true)
    #expect(try update(&host, to: 16, 3).message?.contains("Unsafe metadata downgrade") == true)
    #expect(try update(&host, to: 21, 9).message?.contains("given upgrade type") == true)
    #expect(
      try update(&host, to: 22).message
        == "Invalid update version 22 for feature metadata.version. Local controller 3000 only "
        + "supports versions 1-21")
    #expect(try update(&host, to: 1, feature: "x.version").code == .invalidUpdateVersion)
    #expect(try update(&host, to: 1, feature: "kraft.version").code == .invalidUpdateVersion)
    #expect(try update(&host, to: 0, feature: "kraft.version").code == .none)
  }

  @Test func everyNodeMustKnowTheLevel() throws {
    var options = QuorumControllerOptions.test(level: MetadataVersion(20))
    options.controllerIDs.append(BrokerID(3001))
    var host = QuorumHost(options)
    host.lead()
    _ = try host.ask(BrokerRegistrationRequest(broker: 1, levels: 1...20))
    #expect(try update(&host, to: 21).message?.contains("Broker 1 only supports") == true)
    _ = try host.ask(BrokerRegistrationRequest(broker: 1))
    #expect(
      try update(&host, to: 21).message?.contains("controller 3001 has not registered") == true)
    let registration = ControllerRegistrationRequest {
      $0.controllerID = 3001
      $0.features = [
        .init {
          $0.name = MetadataVersion.featureName
          $0.minSupportedVersion = 1
          $0.maxSupportedVersion = 21
        }
      ]
    }
    #expect(try host.ask(registration).errorCode == 0)
    #expect(host.image.controllers.map(\.id.rawValue) == [3001])
    #expect(try update(&host, to: 21).code == .none)
  }
}

@Suite struct QuorumQuotaTests {
  private func alter(
    _ host: inout QuorumHost, _ entity: [(String, String?)], _ ops: [(String, Double?)]
  ) throws -> (code: ErrorCode, message: String?) {
    let response = try host.ask(
      AlterClientQuotasRequest { request in
        request.entries = [
          .init { entry in
            entry.entity = entity.map { type, name in
              .init {
                $0.entityType = type
                $0.entityName = name
              }
            }
            entry.ops = ops.map { key, value in
              .init {
                $0.key = key
                $0.value = value ?? 0
                $0.remove = value == nil
              }
            }
          }
        ]
      }
    ).entries[0]
    return (ErrorCode(response.errorCode), response.errorMessage)
  }

  @Test func quotasAreSetAndRemoved() throws {
    var host = QuorumHost()
    host.lead()
    let user = QuotaEntity([.init(type: "user", name: "u"), .init(type: "client-id", name: nil)])
    let parts: [(String, String?)] = [("user", "u"), ("client-id", nil)]
    #expect(
      try alter(&host, parts, [("producer_byte_rate", 5), ("request_percentage", 0.5)]).code
        == .none)
    #expect(
      host.image.clientQuotas[user] == ["producer_byte_rate": 5, "request_percentage": 0.5])
    let count = host.log.count
    #expect(try alter(&host, parts, [("producer_byte_rate", 5)]).code == .none)
    #expect(host.log.count == count)
    #expect(
      try alter(&host, parts, [("producer_byte_rate", nil), ("request_percentage", nil)]).code
        == .none)
    #expect(host.image.clientQuotas.entities.isEmpty)
  }

  @Test func quotasAreChecked() throws {
    var host = QuorumHost()
    host.lead()
    func check(
      _ entity: [(String, String?)], _ ops: [(String, Double?)], _ message: String
    ) throws {
      let result = try alter(&host, entity, ops)
      #expect(
        result.code == .invalidRequest && result.message?.contains(message) == true,
        "\(result)")
    }
    try check([], [("producer_byte_rate", 5)], "Invalid empty client quota entity")
    try check([("x", "u")], [], "Unhandled client quota entity type: x")
    try check([("user", "")], [], "Empty user not supported")
    try check([("user", "a"), ("user", "b")], [], "duplicate entity entry user")
    try check([("ip", "1.2.3.4"), ("user", "b")], [], "Invalid quota entity combination")
    try check([("ip", "1 2")], [], "is not a valid IP")
    try check([("user", "a")], [("bogus", 1)], "Invalid configuration key bogus")
    try check([("ip", "::1")], [("producer_byte_rate", 1)], "Invalid configuration key")
    try check([("user", "a")], [("producer_byte_rate", 0)], "must be greater than 0")
    try check([("user", "a")], [("producer_byte_rate", .nan)], "must be greater than 0")
    try check([("user", "a")], [("producer_byte_rate", 1.5)], "cannot be a fractional value")
    try check([("ip", "::1")], [("connection_creation_rate", 1e12)], "too large")
    try check(
      [("user", "a")], [("producer_byte_rate", 1), ("producer_byte_rate", 2)],
      "Duplicate quota key")
    #expect(host.image.clientQuotas.entities.isEmpty)
  }
}
