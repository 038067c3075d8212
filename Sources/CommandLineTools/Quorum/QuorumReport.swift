import KafkaMessages
import Values

/// What `metadata-quorum describe` prints, in Kafka's forms.
struct QuorumReport {
  private let clusterID: String
  private let partition: DescribeQuorumResponse.PartitionData
  private let nodes: [DescribeQuorumResponse.Node]

  init(
    clusterID: String, _ partition: DescribeQuorumResponse.PartitionData,
    _ nodes: [DescribeQuorumResponse.Node]
  ) {
    self.clusterID = clusterID
    self.partition = partition
    self.nodes = nodes
  }

  private typealias Replica = DescribeQuorumResponse.ReplicaState

  private var leader: Replica? {
    partition.currentVoters.first { $0.replicaID == partition.leaderID }
  }

  /// The voter that is furthest behind.
  private var slowest: Replica? {
    partition.currentVoters.min { $0.logEndOffset < $1.logEndOffset }
  }

  /// Records between the leader's end and the slowest voter's.
  private var maxFollowerLag: Int64 {
    guard let leader, let slowest else { return 0 }
    return leader.logEndOffset - slowest.logEndOffset
  }

  /// -1 when it is not known.
  private var maxFollowerLagTimeMs: Int64 {
    guard let leader, let slowest else { return -1 }
    if leader.replicaID == slowest.replicaID { return 0 }
    guard leader.lastCaughtUpTimestamp >= 0, slowest.lastCaughtUpTimestamp >= 0 else { return -1 }
    return max(0, leader.lastCaughtUpTimestamp - slowest.lastCaughtUpTimestamp)
  }

  /// Lines of `describe --status`.
  var status: [String] {
    [
      ("ClusterId:", clusterID), ("LeaderId:", "\(partition.leaderID)"),
      ("LeaderEpoch:", "\(partition.leaderEpoch)"),
      ("HighWatermark:", "\(partition.highWatermark)"),
      ("MaxFollowerLag:", "\(maxFollowerLag)"),
      ("MaxFollowerLagTimeMs:", "\(maxFollowerLagTimeMs)"),
      ("CurrentVoters:", list(partition.currentVoters)),
      ("CurrentObservers:", list(partition.observers)),
    ].map { "\($0.padding(to: 24))\($1)" }
  }

  private func list(_ replicas: [Replica]) -> String {
    let entries = replicas.map { replica in
      let directory =
        replica.replicaDirectoryID.isZero ? "null" : "\"\(replica.replicaDirectoryID)\""
      let endpoints = nodes.first { $0.nodeID == replica.replicaID }?.listeners ?? []
      let texts = endpoints.map { "\"\($0.name)://\($0.host):\($0.port)\"" }
      let known = texts.isEmpty ? "" : ", \"endpoints\": [\(texts.joined(separator: ", "))]"
      return "{\"id\": \(replica.replicaID), \"directoryId\": \(directory)\(known)}"
    }
    return "[\(entries.joined(separator: ", "))]"
  }

  /// Lines of `describe --replication`: columns as wide as their widest cell, each with a tab.
  func replication(relativeTo now: WallTime?) -> [String] {
    let head = [
      "NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp",
      "LastCaughtUpTimestamp", "Status",
    ]
    func time(_ timestamp: Int64) -> String {
      guard let now, timestamp >= 0 else { return "\(timestamp)" }
      return "\(max(0, now.milliseconds - timestamp)) ms ago"
    }
    func row(_ replica: Replica, _ status: String) -> [String] {
      [
        "\(replica.replicaID)", "\(replica.replicaDirectoryID)", "\(replica.logEndOffset)",
        "\((leader?.logEndOffset ?? replica.logEndOffset) - replica.logEndOffset)",
        time(replica.lastFetchTimestamp), time(replica.lastCaughtUpTimestamp), status,
      ]
    }
    let rows =
      partition.currentVoters.filter { $0.replicaID == partition.leaderID }
      .map { row($0, "Leader") }
      + partition.currentVoters.filter { $0.replicaID != partition.leaderID }
      .map { row($0, "Follower") } + partition.observers.map { row($0, "Observer") }
    let widths = head.indices.map { column in
      ([head] + rows).map { $0[column].count }.max() ?? 0
    }
    return ([head] + rows).map { cells in
      cells.enumerated().map { "\($1.padding(to: widths[$0]))\t" }.joined()
    }
  }
}
