import Values

// What a replica is told once, before it starts.

/// The `controller.quorum.*` keys, and what Kafka has as constants. Milliseconds.
public struct RaftOptions: Hashable, Sendable {
  /// `controller.quorum.election.timeout.ms`: an election may take so long, plus up to as much
  /// again at random.
  public var electionTimeoutMs: Int64 = 1000
  /// `controller.quorum.election.backoff.max.ms`
  public var electionBackoffMaxMs: Int64 = 1000
  /// `controller.quorum.fetch.timeout.ms`: without a successful fetch for so long, the leader is
  /// taken for dead; and without fetches of a majority for 1.5 times as long, a leader resigns.
  public var fetchTimeoutMs: Int64 = 2000
  /// `controller.quorum.append.linger.ms`
  public var appendLingerMs: Int64 = 25
  /// `controller.quorum.request.timeout.ms`
  public var requestTimeoutMs: Int64 = 2000
  /// `controller.quorum.retry.backoff.ms`
  public var retryBackoffMs: Int64 = 20
  /// How long a leader may hold a fetch that finds nothing.
  public var fetchMaxWaitMs: Int32 = 500
  public var fetchMaxBytes: Int32 = 8 * 1024 * 1024
  /// Appends do not linger beyond so many bytes.
  public var maxUndrainedBytes = 8 * 1024 * 1024
  /// Observers that have not fetched for so long are forgotten.
  public var observerSessionMs: Int64 = 300_000
  /// A voter whose leader's port refuses connections does not wait for the fetch timeout.
  public var electsOnRefusal = true

  public init() {}
}

/// Who a replica is and whom it knows.
public struct RaftConfiguration: Sendable {
  /// `node.id`, and the directory id of the metadata log directory (`meta.properties`).
  public var own: ReplicaKey
  public var clusterID: String
  /// The name of the controller listener, over which replicas talk.
  public var listener: String
  /// This node's controller listeners; empty for a node that can never lead, such as a broker.
  public var endpoints: [Endpoint]
  /// The kraft.version levels this node can work with.
  public var kraftVersions: ClosedRange<Int16> = 0...1
  /// `controller.quorum.voters`; in force as long as the log has no voters record. Keys have no
  /// directory ids.
  public var staticVoters: VoterSet
  /// `controller.quorum.bootstrap.servers`; when empty, the static voters are asked.
  public var bootstrapServers: [(host: String, port: UInt16)] = []
  /// Whether an observer syncs what it fetches, too. A controller does, since it may become a voter
  /// any time; a broker does not.
  public var flushesAsObserver = true
  /// Whether a controller that is no voter asks to become one by itself. Kafka 3.9 has no such
  /// thing.
  public var joinsAutomatically = false
  public var options = RaftOptions()

  public init(
    own: ReplicaKey, clusterID: String, listener: String = "CONTROLLER", endpoints: [Endpoint] = [],
    staticVoters: VoterSet = .empty
  ) {
    self.own = own
    self.clusterID = clusterID
    self.listener = listener
    self.endpoints = endpoints
    self.staticVoters = staticVoters
  }

  /// This node as a voters record has it.
  public var ownVoter: Voter { Voter(own, endpoints: endpoints, kraftVersions: kraftVersions) }

  /// Whom to ask while no leader is known, numbered as Kafka does.
  var bootstrapNodes: [RaftNode] {
    guard bootstrapServers.isEmpty else {
      return bootstrapServers.enumerated().map {
        RaftNode(id: BrokerID(-2 - Int32($0.offset)), host: $0.element.host, port: $0.element.port)
      }
    }
    return staticVoters.voters.compactMap { $0.node(listener: listener) }
  }
}
