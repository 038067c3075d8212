/// Topics: creation, deletion, more partitions.
import Control
import KafkaMessages
import KafkaProtocol
import Metadata
import Settings
import Values

extension ZooKeeperControllerService {
  func createTopics(
    _ request: CreateTopicsRequest, version: Int16,
    reply: @escaping @Sendable (CreateTopicsResponse) -> Void
  ) {
    let services = self.services
    let command = ControlRequest.createTopics(
      request.commands, validateOnly: request.validateOnly)
    runner.ask(command) { answer in
      var results: [Result<CreateTopic.Reply, Refusal>]?
      if case .createTopics(let list) = answer { results = list }
      reply(
        request.response(results, version: version) { Self.describe($0, services) })
    }
  }

  /// The complete configuration of a topic, from what was set for it.
  private static func describe(
    _ configs: [String: String], _ services: BrokerServices
  ) -> [CreateTopicsResponse.CreatableTopicConfigs] {
    TopicConfig.describe(overrides: configs, broker: services.currentConfig).map { line in
      .init {
        $0.name = line.name
        $0.value = line.value
        $0.readOnly = line.isReadOnly
        $0.configSource = line.source.rawValue
        $0.isSensitive = line.isSensitive
      }
    }
  }

  func deleteTopics(
    _ request: DeleteTopicsRequest, version: Int16,
    reply: @escaping @Sendable (DeleteTopicsResponse) -> Void
  ) {
    let command = ControlRequest.deleteTopics(
      request.commands(version: version), timeoutMs: Int64(request.timeoutMs))
    runner.ask(command) { answer in
      var results: [Result<DeleteTopic.Reply, Refusal>]?
      if case .deleteTopics(let list) = answer { results = list }
      reply(request.response(results, version: version))
    }
  }

  func createPartitions(
    _ request: CreatePartitionsRequest, version: Int16,
    reply: @escaping @Sendable (CreatePartitionsResponse) -> Void
  ) {
    let command = ControlRequest.createPartitions(
      request.commands, validateOnly: request.validateOnly)
    runner.ask(command) { answer in
      guard case .done(let results) = answer else { return reply(request.response(nil)) }
      reply(request.response(results))
    }
  }
}
