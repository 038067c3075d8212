/// LeaderAndIsr, key 4, versions 0–7: the controller tells a broker which replicas it has, and
/// whether it leads them.
///
/// Applied in order on the state-change thread, because logs may have to be created. Refused as a
/// whole with STALE_CONTROLLER_EPOCH and STALE_BROKER_EPOCH; by partition with
/// STALE_CONTROLLER_EPOCH for an assignment that is not newer than what is known. Version 2 groups
/// by topic, 3 has adding and removing replicas, 5 topic ids, 6 the leader's recovery state.
import KafkaMessages
import KafkaProtocol
import Values

enum LeaderAndIsrHandler: ApiHandler {
  static func handle(_ request: LeaderAndIsrRequest, _ context: RequestContext) {
    let services = context.services
    let pending = context.park()
    if services.isStale(requestEpoch: request.brokerEpoch) {
      pending.send(LeaderAndIsrResponse { $0.errorCode = ErrorCode.staleBrokerEpoch.rawValue })
      return
    }
    services.controllerGate.admit(ControllerEpoch(request.controllerEpoch), services) { isReal in
      guard isReal else {
        pending.send(
          LeaderAndIsrResponse { $0.errorCode = ErrorCode.staleControllerEpoch.rawValue })
        return
      }
      Self.apply(request, services, pending)
    }
  }

  private static func apply(
    _ request: LeaderAndIsrRequest, _ services: BrokerServices, _ pending: PendingReply
  ) {
    let replicas = services.replicas
    let apply: @Sendable () -> Void = {
      replicas.stateChanges.submit {
        pending.send(Self.apply(request, version: pending.version, replicas))
      }
    }
    // A new replica must not begin with the defaults when its topic has settings of its own.
    let new = newTopics(request, services)
    guard !new.isEmpty, let membership = services.membership else { return apply() }
    membership.loadTopicConfigs(new, apply)
  }

  private static func newTopics(
    _ request: LeaderAndIsrRequest, _ services: BrokerServices
  ) -> [String] {
    request.topicStates.compactMap { topic in
      let isNew = topic.partitionStates.contains { state in
        services.partitions[topic.topicName, state.partitionIndex] == nil
      }
      return isNew ? topic.topicName : nil
    }
  }

  private static func apply(
    _ request: LeaderAndIsrRequest, version: Int16, _ replicas: ReplicaManager
  ) -> LeaderAndIsrResponse {
    var response = LeaderAndIsrResponse()
    guard replicas.accepts(ControllerEpoch(request.controllerEpoch)) else {
      response.errorCode = ErrorCode.staleControllerEpoch.rawValue
      return response
    }
    for topic in request.topicStates {
      let errors = topic.partitionStates.map { state in
        error(
          replicas.assign(
            ReplicaAssignment(state, topic: topic.topicName, topicID: topic.topicID)),
          state, topic.topicName)
      }
      if version >= 5 {
        response.topics.append(
          LeaderAndIsrResponse.LeaderAndIsrTopicError {
            $0.topicID = topic.topicID
            $0.partitionErrors = errors
          })
      } else {
        response.partitionErrors += errors
      }
    }
    for state in request.ungroupedPartitionStates {
      let code = replicas.assign(
        ReplicaAssignment(state, topic: state.topicName, topicID: .zero))
      response.partitionErrors.append(error(code, state, state.topicName))
    }
    replicas.tellOfLeaderships()
    return response
  }

  private static func error(
    _ code: ErrorCode, _ state: LeaderAndIsrRequest.LeaderAndIsrPartitionState, _ topic: String
  ) -> LeaderAndIsrResponse.LeaderAndIsrPartitionError {
    LeaderAndIsrResponse.LeaderAndIsrPartitionError {
      $0.topicName = topic
      $0.partitionIndex = state.partitionIndex
      $0.errorCode = code.rawValue
    }
  }
}
