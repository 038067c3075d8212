/// What is answered about partitions that are not here.
import KafkaProtocol
import Values

/// Where to find a partition instead: told with NOT_LEADER_OR_FOLLOWER (KIP-951).
struct LeaderHint {
  struct Node {
    var id: Int32
    var host: String
    var port: Int32
    var rack: String?
  }

  var leader: Int32 = -1
  var epoch: Int32 = -1
  var node: Node?

  init(_ at: TopicPartition, _ services: BrokerServices, listener: String) {
    let metadata = services.metadata
    guard let partition = metadata.partition(at), partition.hasLeader else { return }
    leader = partition.leader.rawValue
    epoch = partition.leaderEpoch.rawValue
    guard let broker = metadata.broker(partition.leader),
      let endpoint = broker.endpoint(listener)
    else { return }
    node = Node(
      id: leader, host: endpoint.host, port: Int32(endpoint.port), rack: broker.rack)
  }
}

extension BrokerServices {
  /// The error for a partition that is not here: elsewhere, or nowhere.
  func missing(_ at: TopicPartition) -> PartitionFailure {
    PartitionFailure(
      metadata.partition(at) == nil ? .unknownTopicOrPartition : .notLeaderOrFollower)
  }
}
