// Metrics that come in sets, and those of a member of an ensemble.

import Znodes

extension EnsembleDriver {
  /// What only members of an ensemble have to tell.
  var metrics: [ServerMetric] {
    let counters: [(String, Int64)] = [
      ("diff_count", quorum.diffs), ("snap_count", quorum.snapshots),
      ("learner_proposal_received_count", quorum.proposalsReceived),
      ("learner_commit_received_count", quorum.commitsReceived),
    ]
    let basic: [(String, Summary)] = [
      ("inflight_snap_count", quorum.snapshotsUnderWay),
      ("follower_sync_time", quorum.followerSync), ("observer_sync_time", quorum.observerSync),
      ("unavailable_time", quorum.unavailable),
      ("leader_unavailable_time", quorum.leaderUnavailable),
    ]
    let detailed: [(String, Summary)] = [
      ("quorum_ack_latency", quorum.quorumAck), ("proposal_latency", quorum.proposal),
      ("commit_propagation_latency", quorum.commit),
      ("proposal_ack_creation_latency", quorum.ackCreation),
    ]
    return counters.map { ServerMetric(name: $0.0, value: .counter($0.1)) }
      + basic.map { ServerMetric(name: $0.0, value: .summary($0.1, isDetailed: false)) }
      + detailed.map { ServerMetric(name: $0.0, value: .summary($0.1, isDetailed: true)) }
      + quorum.acks.sorted { $0.key < $1.key }.map { server, summary in
        ServerMetric(
          name: "ack_latency", key: "\(server)", value: .summary(summary, isDetailed: true))
      }
  }
}

extension Coordinator {
  /// Quotas by the first part of their paths.
  var quotaMetrics: [ServerMetric] {
    let totals = database.tree.quotaTotals
    func set(_ name: String, _ value: (QuotaTotals) -> Int64) -> [ServerMetric] {
      totals.map { ServerMetric(name: name, key: $0.namespace, value: .gauge(value($0.totals))) }
    }
    return set("quota_count_limit_per_namespace", \.countLimit)
      + set("quota_bytes_limit_per_namespace", \.byteLimit)
      + set("quota_count_usage_per_namespace", \.count)
      + set("quota_bytes_usage_per_namespace", \.bytes)
      + statistics.quotaRefusals.sorted { $0.key < $1.key }.map { namespace, count in
        ServerMetric(
          name: "quota_exceeded_error_per_namespace", key: namespace, value: .counter(count))
      }
  }
}
