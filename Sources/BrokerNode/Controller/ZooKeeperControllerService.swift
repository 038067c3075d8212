/// The controller as request handlers see it: wire requests in, wire responses out.
///
/// `ZooKeeperControllerService+….swift` have the APIs by subject.
import Control
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

final class ZooKeeperControllerService: ControllerService {
  let runner: ControllerRunner
  let configs: ConfigWriter
  let services: BrokerServices

  init(runner: ControllerRunner, configs: ConfigWriter, services: BrokerServices) {
    self.runner = runner
    self.configs = configs
    self.services = services
  }

  var isActive: Bool { runner.isActive }

  // MARK: Brokers

  func alterPartition(
    _ request: AlterPartitionRequest, version: Int16,
    reply: @escaping @Sendable (AlterPartitionResponse) -> Void
  ) {
    let broker = BrokerID(request.brokerID)
    let epoch = BrokerEpoch(request.brokerEpoch)
    var changes: [AlterPartition] = []
    for topic in request.topics {
      for partition in topic.partitions {
        let members =
          version >= 3
          ? partition.newIsrWithEpochs.map {
            AlterPartition.Member(BrokerID($0.brokerID), epoch: BrokerEpoch($0.brokerEpoch))
          } : partition.newIsr.map { AlterPartition.Member(BrokerID($0)) }
        changes.append(
          AlterPartition(
            topic: version >= 2 ? .id(topic.topicID) : .name(topic.topicName),
            partition: partition.partitionIndex, isr: members,
            leaderEpoch: LeaderEpoch(partition.leaderEpoch),
            partitionEpoch: PartitionEpoch(partition.partitionEpoch),
            leaderRecoveryState:
              LeaderRecoveryState(rawValue: partition.leaderRecoveryState) ?? .recovered,
            broker: broker, brokerEpoch: epoch, version: version))
      }
    }
    runner.ask(.alterPartitions(changes)) { answer in
      guard case .alterPartitions(let results) = answer else {
        return reply(.init { $0.errorCode = ErrorCode.notController.rawValue })
      }
      // A sender that is not registered, or was replaced, gets no answer for single partitions.
      // All of them have failed for that reason, so the first one tells.
      if case .failure(let refusal)? = results.first, refusal.code == .staleBrokerEpoch {
        return reply(.init { $0.errorCode = refusal.code.rawValue })
      }
      reply(Self.response(to: request, results))
    }
  }

  private static func response(
    to request: AlterPartitionRequest, _ results: [Result<PartitionImage, Refusal>]
  ) -> AlterPartitionResponse {
    var response = AlterPartitionResponse()
    var next = results.makeIterator()
    for topic in request.topics {
      var answered = AlterPartitionResponse.TopicData()
      answered.topicName = topic.topicName
      answered.topicID = topic.topicID
      for partition in topic.partitions {
        var data = AlterPartitionResponse.PartitionData()
        data.partitionIndex = partition.partitionIndex
        switch next.next() {
        case .success(let state)?:
          data.leaderID = state.leader.rawValue
          data.leaderEpoch = state.leaderEpoch.rawValue
          data.isr = state.isr.rawIDs
          data.leaderRecoveryState = state.leaderRecoveryState.rawValue
          data.partitionEpoch = state.partitionEpoch.rawValue
        case .failure(let refusal)?: data.errorCode = refusal.code.rawValue
        case nil: data.errorCode = ErrorCode.unknownServerError.rawValue
        }
        answered.partitions.append(data)
      }
      response.topics.append(answered)
    }
    return response
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
    let changes = request.resources.map { resource in
      AlterConfig(
        ConfigResource(
          ConfigResourceType(rawValue: resource.resourceType) ?? .unknown, resource.resourceName),
        .replace(resource.configs.map { ($0.name, $0.value) }))
    }
    runner.loop.execute { [configs] in
      configs.alter(changes, validateOnly: request.validateOnly) { results in
        reply(
          .init {
            $0.responses = zip(request.resources, results).map { resource, result in
              .init {
                $0.resourceType = resource.resourceType
                $0.resourceName = resource.resourceName
                ($0.errorCode, $0.errorMessage) = result.wire
              }
            }
          })
      }
    }
  }

  func incrementalAlterConfigs(
    _ request: IncrementalAlterConfigsRequest, version: Int16,
    reply: @escaping @Sendable (IncrementalAlterConfigsResponse) -> Void
  ) {
    let changes = request.resources.map { resource in
      AlterConfig(
        ConfigResource(
          ConfigResourceType(rawValue: resource.resourceType) ?? .unknown, resource.resourceName),
        .incremental(
          resource.configs.map {
            ($0.name, AlterConfig.Operation(rawValue: $0.configOperation) ?? .set, $0.value)
          }))
    }
    let unknown = request.resources.map { resource in
      resource.configs.first { AlterConfig.Operation(rawValue: $0.configOperation) == nil }
    }
    runner.loop.execute { [configs] in
      configs.alter(changes, validateOnly: request.validateOnly || unknown.contains { $0 != nil }) {
        results in
        reply(
          .init {
            $0.responses = request.resources.indices.map { index in
              .init {
                $0.resourceType = request.resources[index].resourceType
                $0.resourceName = request.resources[index].resourceName
                let odd = unknown[index].map {
                  Refusal(
                    .invalidRequest, "Unknown operation type \($0.configOperation) for \($0.name)")
                }
                let result = odd.map { .failure($0) } ?? results[index]
                ($0.errorCode, $0.errorMessage) = result.wire
              }
            }
          })
      }
    }
  }
}

extension Result where Failure == Refusal {
  /// Error code and message, as most responses have them.
  var wire: (code: Int16, message: String?) {
    switch self {
    case .success: (0, nil)
    case .failure(let refusal): (refusal.code.rawValue, refusal.message)
    }
  }
}
