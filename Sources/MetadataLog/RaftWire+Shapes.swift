// What several of the quorum's messages spell alike, written once.
import KafkaMessages
import Raft

/// A node's address: where the leader is, in an answer.
protocol WireNodeEndpoint {
  associatedtype Port: FixedWidthInteger
  init()
  var nodeID: Int32 { get set }
  var host: String { get set }
  var port: Port { get set }
}

extension KafkaMessages.VoteResponse.NodeEndpoint: WireNodeEndpoint {}
extension BeginQuorumEpochResponse.NodeEndpoint: WireNodeEndpoint {}
extension EndQuorumEpochResponse.NodeEndpoint: WireNodeEndpoint {}
extension KafkaMessages.FetchResponse.NodeEndpoint: WireNodeEndpoint {}
extension KafkaMessages.FetchSnapshotResponse.NodeEndpoint: WireNodeEndpoint {}

/// One of the listeners by which a voter or a leader is reached.
protocol WireListener {
  init()
  var name: String { get set }
  var host: String { get set }
  var port: UInt16 { get set }
}

extension KafkaMessages.BeginQuorumEpochRequest.LeaderEndpoint: WireListener {}
extension KafkaMessages.EndQuorumEpochRequest.LeaderEndpoint: WireListener {}
extension AddRaftVoterRequest.Listener: WireListener {}
extension UpdateRaftVoterRequest.Listener: WireListener {}
extension KafkaMessages.DescribeQuorumResponse.Listener: WireListener {}

/// The partition in the answers to Begin and EndQuorumEpoch.
protocol WireQuorumPartition {
  init()
  var partitionIndex: Int32 { get set }
  var errorCode: Int16 { get set }
  var leaderID: Int32 { get set }
  var leaderEpoch: Int32 { get set }
}

extension BeginQuorumEpochResponse.PartitionData: WireQuorumPartition {}
extension EndQuorumEpochResponse.PartitionData: WireQuorumPartition {}

extension RaftWire {
  /// The endpoint of the leader under one listener's name: the one that the request came in by.
  static func endpoint(
    _ leader: CurrentLeader, _ listener: String
  ) -> (id: Int32, host: String, port: UInt16)? {
    guard let id = leader.id, let found = leader.endpoints.first(where: { $0.listener == listener })
    else { return nil }
    return (id.rawValue, found.host, found.port)
  }

  /// The same as an answer spells it: one endpoint, or none.
  static func endpoints<Endpoint: WireNodeEndpoint>(
    _ leader: CurrentLeader, _ listener: String
  ) -> [Endpoint] {
    guard let found = endpoint(leader, listener) else { return [] }
    var endpoint = Endpoint()
    endpoint.nodeID = found.id
    endpoint.host = found.host
    endpoint.port = Endpoint.Port(found.port)
    return [endpoint]
  }

  static func listeners<Listener: WireListener>(_ endpoints: [Raft.Endpoint]) -> [Listener] {
    endpoints.map { endpoint in
      var listener = Listener()
      listener.name = endpoint.listener
      listener.host = endpoint.host
      listener.port = endpoint.port
      return listener
    }
  }

  static func partition<Partition: WireQuorumPartition>(
    _ response: QuorumEpochResponse
  ) -> Partition {
    var wire = Partition()
    wire.partitionIndex = partition
    wire.errorCode = response.error.rawValue
    wire.leaderID = response.leader.id?.rawValue ?? -1
    wire.leaderEpoch = response.leader.epoch.rawValue
    return wire
  }
}
