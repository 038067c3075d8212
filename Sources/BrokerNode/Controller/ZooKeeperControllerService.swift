/// The controller as request handlers see it: wire requests in, wire responses out.
///
/// `ZooKeeperControllerService+….swift` have the APIs by subject.
import Authorization
import Control
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Metadata
import Platform
import Values

final class ZooKeeperControllerService: ControllerService {
  let runner: ControllerRunner
  let configs: ConfigWriter
  let services: BrokerServices
  /// Opened on the session's loop only; nil without an authorizer.
  let acls: Unchecked<AclWriter>?

  init(
    runner: ControllerRunner, configs: ConfigWriter, acls: Unchecked<AclWriter>?,
    services: BrokerServices
  ) {
    self.runner = runner
    self.configs = configs
    self.acls = acls
    self.services = services
  }

  var isActive: Bool { runner.isActive }

  // MARK: Brokers

  func alterPartition(
    _ request: AlterPartitionRequest, version: Int16,
    reply: @escaping @Sendable (AlterPartitionResponse) -> Void
  ) {
    runner.ask(.alterPartitions(request.commands(version: version))) { answer in
      guard case .alterPartitions(let results) = answer else { return reply(request.response(nil)) }
      reply(request.response(results))
    }
  }

  func allocateProducerIDs(
    _ request: AllocateProducerIdsRequest, version: Int16,
    reply: @escaping @Sendable (AllocateProducerIdsResponse) -> Void
  ) {
    let command = AllocateProducerIDs(
      BrokerID(request.brokerID), epoch: BrokerEpoch(request.brokerEpoch))
    runner.ask(.allocateProducerIDs(command)) { answer in
      var response = AllocateProducerIdsResponse()
      switch answer {
      case .allocateProducerIDs(.success(let start)):
        response.producerIDStart = start
        response.producerIDLen = Int32(AllocateProducerIDs.blockSize)
      case .allocateProducerIDs(.failure(let refusal)):
        response.errorCode = refusal.code.rawValue
      default: response.errorCode = ErrorCode.notController.rawValue
      }
      reply(response)
    }
  }

  func controlledShutdown(
    _ request: ControlledShutdownRequest, version: Int16,
    reply: @escaping @Sendable (ControlledShutdownResponse) -> Void
  ) {
    let command = BeginControlledShutdown(
      BrokerID(request.brokerID), epoch: BrokerEpoch(request.brokerEpoch))
    runner.ask(.controlledShutdown(command)) { answer in
      var response = ControlledShutdownResponse()
      switch answer {
      case .controlledShutdown(.success(let remaining)):
        response.remainingPartitions = remaining.map { at in
          .init {
            $0.topicName = at.topic
            $0.partitionIndex = at.partition
          }
        }
      case .controlledShutdown(.failure(let refusal)):
        response.errorCode = refusal.code.rawValue
      default: response.errorCode = ErrorCode.notController.rawValue
      }
      reply(response)
    }
  }

  // MARK: Configuration

  func alterConfigs(
    _ request: AlterConfigsRequest, version: Int16,
    reply: @escaping @Sendable (AlterConfigsResponse) -> Void
  ) {
    // A type that is not known is refused by the writer, which has no place for it.
    let changes = request.resources.map { $0.command ?? Self.unknown($0.resourceName) }
    runner.loop.execute { [configs] in
      configs.alter(changes, validateOnly: request.validateOnly) { results in
        reply(
          .init {
            $0.responses = zip(request.resources, results).map { .init($0, $1) }
          })
      }
    }
  }

  func incrementalAlterConfigs(
    _ request: IncrementalAlterConfigsRequest, version: Int16,
    reply: @escaping @Sendable (IncrementalAlterConfigsResponse) -> Void
  ) {
    let commands = request.resources.map { resource in
      Result { () throws(Refusal) in
        try resource.command() ?? Self.unknown(resource.resourceName)
      }
    }
    let changes = commands.compactMap { try? $0.get() }
    // An operation that is not known refuses its resource, and nothing of the request is done.
    let isRefused = changes.count < commands.count
    runner.loop.execute { [configs] in
      configs.alter(changes, validateOnly: request.validateOnly || isRefused) { results in
        var next = results.makeIterator()
        reply(
          .init {
            $0.responses = zip(request.resources, commands).map { resource, command in
              switch command {
              case .failure(let refusal): .init(resource, .failure(refusal))
              case .success:
                .init(resource, next.next() ?? .failure(Refusal(.unknownServerError)))
              }
            }
          })
      }
    }
  }

  func alterClientQuotas(
    _ request: AlterClientQuotasRequest,
    reply: @escaping @Sendable (AlterClientQuotasResponse) -> Void
  ) {
    runner.loop.execute { [configs] in configs.alterQuotas(request) { reply($0) } }
  }

  // MARK: Access control

  func createAcls(
    _ request: CreateAclsRequest, reply: @escaping @Sendable (CreateAclsResponse) -> Void
  ) {
    guard let acls else {
      return reply(request.refused(noAuthorizer, version: 0))
    }
    runner.loop.execute { acls.value.create(request) { reply($0) } }
  }

  func deleteAcls(
    _ request: DeleteAclsRequest, reply: @escaping @Sendable (DeleteAclsResponse) -> Void
  ) {
    guard let acls else {
      return reply(request.refused(noAuthorizer, version: 0))
    }
    runner.loop.execute { acls.value.delete(request) { reply($0) } }
  }

  private static func unknown(_ name: String) -> AlterConfig {
    AlterConfig(ConfigResource(.unknown, name), .replace([]))
  }
}
