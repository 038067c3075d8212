// Requests of the controller to brokers: collected, then built from the image in one go.
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

/// A request that the controller sends to one broker.
public struct BrokerRequest: Sendable {
  public enum Body: Sendable {
    case leaderAndIsr(LeaderAndIsrRequest)
    case updateMetadata(UpdateMetadataRequest)
    case stopReplica(StopReplicaRequest)
  }

  public var broker: BrokerID
  /// The life of the broker it is meant for.
  public var brokerEpoch: BrokerEpoch
  public var version: Int16
  public var body: Body

  public var apiKey: ApiKey {
    switch body {
    case .leaderAndIsr: .leaderAndIsr
    case .updateMetadata: .updateMetadata
    case .stopReplica: .stopReplica
    }
  }
}

/// What the brokers have to be told after a change, collected per broker and sent as at most one
/// LeaderAndIsr, one UpdateMetadata and one StopReplica each, in this order. (Below 2.6-IV0, where
/// StopReplica says once for all its partitions whether to delete, there may be two.)
public struct BrokerRequestBatch: Sendable {
  /// Whether the partition is new for the broker, by partition.
  private var leaderAndIsr: [BrokerID: [TopicPartition: Bool]] = [:]
  private var updateMetadata: [BrokerID: Set<TopicPartition>] = [:]
  /// Whether the replica's data shall go, by partition.
  private var stopReplica: [BrokerID: [TopicPartition: Bool]] = [:]

  public init() {}

  public var isEmpty: Bool {
    leaderAndIsr.isEmpty && updateMetadata.isEmpty && stopReplica.isEmpty
  }

  /// Tells brokers about a replica of theirs. New once is new for the whole batch: the broker may
  /// only then create the log.
  public mutating func addLeaderAndIsr(
    _ at: TopicPartition, to brokers: some Sequence<BrokerID>, isNew: Bool = false
  ) {
    for broker in brokers {
      let wasNew = leaderAndIsr[broker]?[at] ?? false
      leaderAndIsr[broker, default: [:]][at] = isNew || wasNew
    }
  }

  /// Tells brokers what clients shall see; with no partitions, only which brokers there are.
  public mutating func addUpdateMetadata(
    _ partitions: some Collection<TopicPartition>, to brokers: some Sequence<BrokerID>
  ) {
    for broker in brokers { updateMetadata[broker, default: []].formUnion(partitions) }
  }

  /// Tells a broker to stop a replica, and to delete it if `delete` was asked for once.
  public mutating func addStopReplica(
    _ at: TopicPartition, to broker: BrokerID, delete: Bool
  ) {
    let deletes = stopReplica[broker]?[at] ?? false
    stopReplica[broker, default: [:]][at] = delete || deletes
  }

  /// Adds all of another batch.
  public mutating func merge(_ other: BrokerRequestBatch) {
    leaderAndIsr.merge(other.leaderAndIsr) { mine, theirs in
      mine.merging(theirs) { $0 || $1 }
    }
    updateMetadata.merge(other.updateMetadata) { $0.union($1) }
    stopReplica.merge(other.stopReplica) { mine, theirs in
      mine.merging(theirs) { $0 || $1 }
    }
  }

  // MARK: Building

  /// What the requests are made from.
  public struct Context {
    public var image: MetadataImage
    /// Topics that clients shall no longer see.
    public var topicsBeingDeleted: Set<String> = []
    public var failedReplicas: [BrokerID: Set<TopicPartition>] = [:]
    public var term: ControllerTerm
    /// The epoch in which a partition's state was written, where that is not the current one.
    public var writtenBy: [TopicPartition: ControllerEpoch] = [:]
    public var controllerID: BrokerID
    public var version: InterBrokerVersion
    /// The listener by which brokers reach each other (`inter.broker.listener.name`).
    public var listener: String

    public init(
      image: MetadataImage, term: ControllerTerm, controllerID: BrokerID,
      version: InterBrokerVersion, listener: String
    ) {
      self.image = image
      self.term = term
      self.controllerID = controllerID
      self.version = version
      self.listener = listener
    }

    /// A broker that shuts down in order still hears, but nobody shall count on its replicas.
    func isOffline(
      _ id: BrokerID, _ at: TopicPartition, _ partition: PartitionImage
    ) -> Bool {
      guard let broker = image.brokers[id], broker.isAlive, !broker.isInControlledShutdown else {
        return true
      }
      return partition.isDirectoryLost(on: id) || failedReplicas[id]?.contains(at) == true
    }

    func controllerEpoch(_ at: TopicPartition) -> Int32 {
      (writtenBy[at] ?? term.epoch).rawValue
    }
  }

  /// The requests, brokers ascending. Brokers that are not registered get none.
  public func requests(_ context: Context) -> [BrokerRequest] {
    var requests: [BrokerRequest] = []
    let brokers = Set(leaderAndIsr.keys).union(updateMetadata.keys).union(stopReplica.keys)
    let liveBrokers = updateMetadata.isEmpty ? [] : Self.liveBrokers(context)
    // Many brokers are told the same: it is built once.
    var lastBody: (partitions: Set<TopicPartition>, states: UpdateMetadataRequest)?
    for id in brokers.sorted() {
      guard let broker = context.image.brokers[id] else { continue }
      func add(_ version: Int16, _ body: BrokerRequest.Body) {
        requests.append(
          BrokerRequest(broker: id, brokerEpoch: broker.epoch, version: version, body: body))
      }
      if let partitions = leaderAndIsr[id],
        let request = leaderAndIsrRequest(partitions, to: broker, context)
      {
        add(context.version.leaderAndIsrVersion, .leaderAndIsr(request))
      }
      if let partitions = updateMetadata[id] {
        var request: UpdateMetadataRequest
        if let last = lastBody, last.partitions == partitions {
          request = last.states
        } else {
          request = updateMetadataRequest(partitions, liveBrokers, context)
          lastBody = (partitions, request)
        }
        request.brokerEpoch = broker.epoch.rawValue
        add(context.version.updateMetadataVersion, .updateMetadata(request))
      }
      for request in stopReplicaRequests(stopReplica[id] ?? [:], to: broker, context) {
        add(context.version.stopReplicaVersion, .stopReplica(request))
      }
    }
    return requests
  }

  private func leaderAndIsrRequest(
    _ partitions: [TopicPartition: Bool], to broker: BrokerImage, _ context: Context
  ) -> LeaderAndIsrRequest? {
    typealias State = LeaderAndIsrRequest.LeaderAndIsrPartitionState
    var request = LeaderAndIsrRequest()
    request.controllerID = context.controllerID.rawValue
    request.controllerEpoch = context.term.epoch.rawValue
    request.brokerEpoch = broker.epoch.rawValue
    var leaders: Set<BrokerID> = []
    let isGrouped = context.version.leaderAndIsrVersion >= 2
    for at in partitions.keys.sorted() {
      guard let topic = context.image.topics[at.topic],
        let partition = topic.partitions[at.partition], partition.isInitialized
      else { continue }
      leaders.insert(partition.leader)
      let state = State {
        $0.topicName = at.topic
        $0.partitionIndex = at.partition
        $0.controllerEpoch = context.controllerEpoch(at)
        $0.leader = partition.leader.rawValue
        $0.leaderEpoch = partition.leaderEpoch.rawValue
        $0.isr = partition.isr.rawIDs
        $0.partitionEpoch = partition.partitionEpoch.rawValue
        $0.replicas = partition.replicas.rawIDs
        $0.addingReplicas = partition.addingReplicas.rawIDs
        $0.removingReplicas = partition.removingReplicas.rawIDs
        $0.isNew = partitions[at] ?? false
        $0.leaderRecoveryState = partition.leaderRecoveryState.rawValue
      }
      // Versions from before the grouping repeat the topic's name in each state.
      if !isGrouped {
        request.ungroupedPartitionStates.append(state)
      } else if request.topicStates.last?.topicName == at.topic {
        request.topicStates[request.topicStates.count - 1].partitionStates.append(state)
      } else {
        request.topicStates.append(
          .init {
            $0.topicName = at.topic
            $0.topicID = context.version.usesTopicIDs ? topic.id : .zero
            $0.partitionStates = [state]
          })
      }
    }
    if leaders.isEmpty { return nil }
    for id in leaders.sorted() {
      guard let endpoint = context.image.brokers[id]?.endpoint(context.listener) else { continue }
      request.liveLeaders.append(
        .init {
          $0.brokerID = id.rawValue
          $0.hostName = endpoint.host
          $0.port = Int32(endpoint.port)
        })
    }
    return request
  }

  private static func liveBrokers(
    _ context: Context
  ) -> [UpdateMetadataRequest.UpdateMetadataBroker] {
    context.image.brokers.alive.map { broker in
      .init {
        $0.id = broker.id.rawValue
        $0.rack = broker.rack
        $0.endpoints = broker.endpoints.map { endpoint in
          .init {
            $0.host = endpoint.host
            $0.port = Int32(endpoint.port)
            $0.listener = endpoint.listener
            $0.securityProtocol = endpoint.securityProtocol.rawValue
          }
        }
      }
    }
  }

  /// The leader that clients are shown for a topic on its way out.
  private static let leaderDuringDelete: Int32 = -2

  private func updateMetadataRequest(
    _ partitions: Set<TopicPartition>,
    _ liveBrokers: [UpdateMetadataRequest.UpdateMetadataBroker], _ context: Context
  ) -> UpdateMetadataRequest {
    var request = UpdateMetadataRequest()
    request.controllerID = context.controllerID.rawValue
    request.controllerEpoch = context.term.epoch.rawValue
    request.liveBrokers = liveBrokers
    let isGrouped = context.version.updateMetadataVersion >= 5
    for at in partitions.sorted() {
      guard let topic = context.image.topics[at.topic],
        let partition = topic.partitions[at.partition], partition.isInitialized
      else { continue }
      let isGoing = context.topicsBeingDeleted.contains(at.topic)
      let offline = partition.replicas.filter { context.isOffline($0, at, partition) }
      let state = UpdateMetadataRequest.UpdateMetadataPartitionState {
        $0.topicName = at.topic
        $0.partitionIndex = at.partition
        $0.controllerEpoch = context.controllerEpoch(at)
        $0.leader = isGoing ? Self.leaderDuringDelete : partition.leader.rawValue
        $0.leaderEpoch = isGoing ? 0 : partition.leaderEpoch.rawValue
        $0.zkVersion = isGoing ? 0 : partition.partitionEpoch.rawValue
        $0.isr = partition.isr.rawIDs
        $0.replicas = partition.replicas.rawIDs
        $0.offlineReplicas = offline.rawIDs
      }
      if !isGrouped {
        request.ungroupedPartitionStates.append(state)
      } else if request.topicStates.last?.topicName == at.topic {
        request.topicStates[request.topicStates.count - 1].partitionStates.append(state)
      } else {
        request.topicStates.append(
          .init {
            $0.topicName = at.topic
            $0.topicID = context.version.usesTopicIDs ? topic.id : .zero
            $0.partitionStates = [state]
          })
      }
    }
    return request
  }

  /// Tells a replica of a topic on its way out to go whatever leader epoch it knows.
  private static let epochDuringDelete: Int32 = -2

  private func stopReplicaRequests(
    _ partitions: [TopicPartition: Bool], to broker: BrokerImage, _ context: Context
  ) -> [StopReplicaRequest] {
    guard !partitions.isEmpty else { return [] }
    var empty = StopReplicaRequest()
    empty.controllerID = context.controllerID.rawValue
    empty.controllerEpoch = context.term.epoch.rawValue
    empty.brokerEpoch = broker.epoch.rawValue
    let all = partitions.keys.sorted()
    if context.version.stopReplicaVersion < 3 {
      return [true, false].compactMap { delete in
        let chosen = all.filter { partitions[$0] == delete }
        guard !chosen.isEmpty else { return nil }
        var request = empty
        request.deletePartitions = delete
        Self.fillOld(&request, chosen, version: context.version.stopReplicaVersion)
        return request
      }
    }
    var request = empty
    for at in all {
      let isGoing = context.topicsBeingDeleted.contains(at.topic)
      let epoch = context.image.topics.partition(at)?.leaderEpoch.rawValue ?? -1
      let state = StopReplicaRequest.StopReplicaPartitionState {
        $0.partitionIndex = at.partition
        $0.leaderEpoch = isGoing ? Self.epochDuringDelete : epoch
        $0.deletePartition = partitions[at] ?? false
      }
      if request.topicStates.last?.topicName == at.topic {
        request.topicStates[request.topicStates.count - 1].partitionStates.append(state)
      } else {
        request.topicStates.append(
          .init {
            $0.topicName = at.topic
            $0.partitionStates = [state]
          })
      }
    }
    return [request]
  }

  private static func fillOld(
    _ request: inout StopReplicaRequest, _ partitions: [TopicPartition], version: Int16
  ) {
    for at in partitions {
      if version == 0 {
        request.ungroupedPartitions.append(
          .init {
            $0.topicName = at.topic
            $0.partitionIndex = at.partition
          })
      } else if request.topics.last?.name == at.topic {
        request.topics[request.topics.count - 1].partitionIndexes.append(at.partition)
      } else {
        request.topics.append(
          .init {
            $0.name = at.topic
            $0.partitionIndexes = [at.partition]
          })
      }
    }
  }
}
