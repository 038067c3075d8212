import KafkaMessages
import KafkaProtocol
import Values

/// What a cluster has said of itself: nodes, topics, leaders. A snapshot.
public struct ClusterMetadata: Sendable {
  public struct Node: Hashable, Sendable {
    public var id: Int32
    public var host: String
    public var port: Int32
    public var rack: String?

    public init(id: Int32, host: String, port: Int32, rack: String? = nil) {
      self.id = id
      self.host = host
      self.port = port
      self.rack = rack
    }
  }

  public struct Partition: Hashable, Sendable {
    public var index: Int32
    public var error: ErrorCode
    /// -1: no leader.
    public var leader: Int32
    public var leaderEpoch: Int32
    public var replicas: [Int32]
    public var isr: [Int32]
    public var offlineReplicas: [Int32]
  }

  public struct Topic: Hashable, Sendable {
    public var name: String
    public var id: Uuid
    public var isInternal: Bool
    public var error: ErrorCode
    /// In order of index.
    public var partitions: [Partition]

    public func partition(_ index: Int32) -> Partition? {
      // Nearly always the index is the place.
      if index >= 0, Int(index) < partitions.count, partitions[Int(index)].index == index {
        return partitions[Int(index)]
      }
      return partitions.first { $0.index == index }
    }
  }

  public internal(set) var clusterID: String?
  /// -1: not known.
  public internal(set) var controllerID: Int32 = -1
  public internal(set) var nodes: [Int32: Node] = [:]
  public internal(set) var topics: [String: Topic] = [:]

  /// Nodes in order of id.
  public var sortedNodes: [Node] { nodes.values.sorted { $0.id < $1.id } }

  public func leader(of partition: TopicPartition) -> Partition? {
    guard let found = topics[partition.topic]?.partition(partition.partition) else { return nil }
    return found.leader >= 0 ? found : nil
  }

  /// Takes in an answer: nodes are replaced, and so are the topics that it speaks of.
  /// - Parameter isComplete: the answer has every topic; those that it leaves out are gone.
  mutating func update(from response: MetadataResponse, isComplete: Bool) {
    if let id = response.clusterID { clusterID = id }
    controllerID = response.controllerID
    nodes = [:]
    for broker in response.brokers {
      nodes[broker.nodeID] = Node(
        id: broker.nodeID, host: broker.host, port: broker.port, rack: broker.rack)
    }
    if isComplete { topics = [:] }
    for entry in response.topics {
      guard let name = entry.name else { continue }
      let error = ErrorCode(entry.errorCode)
      if error == .unknownTopicOrPartition || error == .invalidTopicException {
        topics[name] = nil
        continue
      }
      let partitions = entry.partitions.map { Self.partition($0) }
      topics[name] = Topic(
        name: name, id: entry.topicID, isInternal: entry.isInternal, error: error,
        partitions: partitions.sorted { $0.index < $1.index })
    }
  }

  private static func partition(_ entry: MetadataResponse.MetadataResponsePartition) -> Partition {
    Partition(
      index: entry.partitionIndex, error: ErrorCode(entry.errorCode), leader: entry.leaderID,
      leaderEpoch: entry.leaderEpoch, replicas: entry.replicaNodes, isr: entry.isrNodes,
      offlineReplicas: entry.offlineReplicas)
  }
}
