/// What a node's configuration says about its replica of the metadata log.
import Platform
import Raft
import Settings
import Telemetry
import Values

extension RaftDriverOptions {
  /// For a broker: an observer, which can never lead and need not sync what it fetches.
  ///
  /// - Parameter directoryID: of the directory that has the metadata log.
  public init(
    broker config: BrokerConfig, clusterID: String, directoryID: Uuid, metrics: Metrics?
  ) {
    self.init(config, clusterID: clusterID, directoryID: directoryID, metrics: metrics)
    configuration.flushesAsObserver = false
  }

  /// For a controller: a voter, or an observer that may become one.
  ///
  /// - Parameter endpoints: its controller listeners, as others reach them.
  public init(
    controller config: BrokerConfig, clusterID: String, directoryID: Uuid,
    endpoints: [Raft.Endpoint], metrics: Metrics?
  ) {
    self.init(config, clusterID: clusterID, directoryID: directoryID, metrics: metrics)
    configuration.endpoints = endpoints
    configuration.joinsAutomatically = config.quorum.joinsAutomatically
  }

  private init(
    _ config: BrokerConfig, clusterID: String, directoryID: Uuid, metrics: Metrics?
  ) {
    let quorum = config.quorum
    let listener = quorum.controllerListenerNames.first ?? "CONTROLLER"
    let voters = quorum.voters.map { voter in
      Voter(
        ReplicaKey(BrokerID(voter.id)),
        endpoints: [Raft.Endpoint(listener: listener, host: voter.host, port: voter.port)])
    }
    var replica = RaftConfiguration(
      own: ReplicaKey(config.identity.brokerID, directory: directoryID), clusterID: clusterID,
      listener: listener, staticVoters: VoterSet(voters))
    replica.bootstrapServers = quorum.bootstrapServers.map { ($0.host, $0.port) }
    replica.options.electionTimeoutMs = quorum.electionTimeoutMs
    replica.options.electionBackoffMaxMs = quorum.electionBackoffMaxMs
    replica.options.fetchTimeoutMs = quorum.fetchTimeoutMs
    replica.options.appendLingerMs = quorum.appendLingerMs
    replica.options.requestTimeoutMs = quorum.requestTimeoutMs
    replica.options.retryBackoffMs = quorum.retryBackoffMs
    // With Kafka's timings a leader that is gone is missed when its fetch timeout is over.
    replica.options.electsOnRefusal = config.failureDetection == .fast
    self.init(configuration: replica, logDirectory: quorum.metadataLogDirectory)
    self.metrics = metrics
    maxResponseBytes = config.network.requestMaxBytes
    log.segmentBytes = quorum.segmentBytes
    log.segmentMs = quorum.segmentMs
    log.retentionBytes = quorum.retentionBytes
    log.retentionMs = quorum.retentionMs
    log.maxRecordBytesBetweenSnapshots = quorum.maxRecordBytesBetweenSnapshots
    log.maxSnapshotIntervalMs = quorum.maxSnapshotIntervalMs
  }
}
