/// StopReplica, key 5, versions 0–4: the controller tells a broker to stop replicas, and to delete
/// their logs when the topic is deleted or the replica has moved away.
///
/// Version 0 and 1 say once for all partitions whether to delete; 1 adds the broker epoch and
/// groups by topic; 3 says it for each partition, with the leader epoch that fences it (-2 for a
/// deletion).
import KafkaMessages
import KafkaProtocol
import Values

enum StopReplicaHandler: ApiHandler {
  private struct Stop {
    var at: TopicPartition
    var leaderEpoch: Int32
    var deletes: Bool
  }

  static func handle(_ request: StopReplicaRequest, _ context: RequestContext) {
    let services = context.services
    let pending = context.park()
    if services.isStale(requestEpoch: request.brokerEpoch) {
      pending.send(StopReplicaResponse { $0.errorCode = ErrorCode.staleBrokerEpoch.rawValue })
      return
    }
    let replicas = services.replicas
    services.controllerGate.admit(ControllerEpoch(request.controllerEpoch), services) { isReal in
      guard isReal else {
        pending.send(
          StopReplicaResponse { $0.errorCode = ErrorCode.staleControllerEpoch.rawValue })
        return
      }
      replicas.stateChanges.submit { pending.send(apply(request, replicas)) }
    }
  }

  private static func apply(
    _ request: StopReplicaRequest, _ replicas: ReplicaManager
  ) -> StopReplicaResponse {
    var response = StopReplicaResponse()
    guard replicas.accepts(ControllerEpoch(request.controllerEpoch)) else {
      response.errorCode = ErrorCode.staleControllerEpoch.rawValue
      return response
    }
    response.partitionErrors = stops(request).map { stop in
      // Negative epochs fence nothing: -1 is none, -2 the end of a deleted topic.
      let epoch = stop.leaderEpoch >= 0 ? LeaderEpoch(stop.leaderEpoch) : nil
      let code = replicas.stop(stop.at, leaderEpoch: epoch, deletes: stop.deletes)
      return StopReplicaResponse.StopReplicaPartitionError {
        $0.topicName = stop.at.topic
        $0.partitionIndex = stop.at.partition
        $0.errorCode = code.rawValue
      }
    }
    return response
  }

  private static func stops(_ request: StopReplicaRequest) -> [Stop] {
    var stops = request.ungroupedPartitions.map {
      Stop(
        at: TopicPartition($0.topicName, $0.partitionIndex), leaderEpoch: -1,
        deletes: request.deletePartitions)
    }
    for topic in request.topics {
      stops += topic.partitionIndexes.map {
        Stop(
          at: TopicPartition(topic.name, $0), leaderEpoch: -1, deletes: request.deletePartitions)
      }
    }
    for topic in request.topicStates {
      stops += topic.partitionStates.map {
        Stop(
          at: TopicPartition(topic.topicName, $0.partitionIndex), leaderEpoch: $0.leaderEpoch,
          deletes: $0.deletePartition)
      }
    }
    return stops
  }
}
