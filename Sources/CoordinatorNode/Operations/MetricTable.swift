// The metrics of a server by ZooKeeper's names, in the three forms in which they are shown: `mntr`,
// the AdminServer's `monitor`, Prometheus text.

import HTTP
import Platform
import Telemetry
import Values
import ZooKeeperProtocol

/// One number, or a few that belong together.
struct ServerMetric {
  enum Value {
    case text(String)
    case gauge(Int64)
    case ratio(Double)
    case counter(Int64)
    /// Average, smallest, largest, count and sum; percentiles where `isDetailed`.
    case summary(Summary, isDetailed: Bool)
  }

  /// Without the `zk_` that `mntr` puts before it.
  var name: String
  /// Tells those of one name apart: a server, or the first part of a path.
  var key: String?
  var value: Value
}

extension ServerMetric {
  static func decimal(_ value: Double) -> String {
    // At most four digits after the point, as ZooKeeper rounds.
    let scaled = Int64((value * 10_000).rounded())
    var digits = String(scaled % 10_000)
    digits = String(repeating: "0", count: 4 - digits.utf8.count) + digits
    while digits.utf8.count > 1, digits.hasSuffix("0") { digits.removeLast() }
    return "\(scaled / 10_000).\(digits)"
  }

  private static let percentiles: [(name: String, fraction: Double)] = [
    ("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999),
  ]

  /// Names and values as `mntr` and `monitor` have them; the flag tells text from numbers.
  var lines: [(name: String, value: String, isText: Bool)] {
    let name = key.map { "\($0)_\(self.name)" } ?? self.name
    switch value {
    case .text(let text): return [(name, text, true)]
    case .gauge(let number), .counter(let number): return [(name, "\(number)", false)]
    case .ratio(let number): return [(name, Self.decimal(number), false)]
    case .summary(let summary, let isDetailed):
      let spread = summary.spread
      var lines = [
        ("avg_\(name)", Self.decimal(spread.average), false),
        ("min_\(name)", "\(spread.min)", false),
        ("max_\(name)", "\(spread.max)", false), ("cnt_\(name)", "\(spread.count)", false),
        ("sum_\(name)", "\(spread.total)", false),
      ]
      guard isDetailed else { return lines }
      let values = summary.distribution.percentiles(Self.percentiles.map(\.fraction))
      for (percentile, value) in zip(Self.percentiles, values) {
        lines.append(("\(percentile.name)_\(name)", "\(value)", false))
      }
      return lines
    }
  }

  /// Prometheus text; nothing for what is no number. Only the first of a name has its description.
  func exposition(isFirst: Bool = true) -> String {
    func head(_ type: String) -> String {
      isFirst ? "# HELP \(name) \(name)\n# TYPE \(name) \(type)\n" : ""
    }
    let label = key.map { "key=\"\(Self.escaped($0))\"," } ?? ""
    let labels = label.isEmpty ? "" : "{\(label)}"
    switch value {
    case .text: return ""
    case .gauge(let number): return head("gauge") + "\(name)\(labels) \(number)\n"
    case .ratio(let number):
      return head("gauge") + "\(name)\(labels) \(Self.decimal(number))\n"
    case .counter(let number): return head("counter") + "\(name)\(labels) \(number)\n"
    case .summary(let summary, let isDetailed):
      let quantiles = isDetailed ? [0.5, 0.9, 0.99] : [0.5]
      var text = head("summary")
      for (quantile, value) in zip(quantiles, summary.distribution.percentiles(quantiles)) {
        // A distribution without values has no quantiles.
        let shown = summary.spread.count == 0 ? "NaN" : "\(value)"
        text += "\(name){\(label)quantile=\"\(quantile)\",} \(shown)\n"
      }
      return text + "\(name)_count\(labels) \(summary.spread.count)\n"
        + "\(name)_sum\(labels) \(summary.spread.total)\n"
    }
  }

  /// A label's value: parts of paths may have quotes in them.
  private static func escaped(_ text: String) -> String {
    text.reduce(into: "") { escaped, character in
      switch character {
      case "\\", "\"": escaped += "\\\(character)"
      case "\n": escaped += "\\n"
      default: escaped.append(character)
      }
    }
  }
}

extension Coordinator {
  /// Everything that is measured. What ZooKeeper measures and has no counterpart here (queues
  /// between its threads, its caches, its virtual machine) is left out.
  var metrics: [ServerMetric] {
    let status = replicator?.status ?? ReplicationStatus(mode: .standalone)
    var metrics = [
      ServerMetric(name: "version", value: .text(Self.fullVersion)),
      ServerMetric(name: "server_state", value: .text(stateName(status))),
    ]
    if let peerState = status.peerState {
      metrics.append(ServerMetric(name: "peer_state", value: .text(peerState)))
    }
    metrics += gauges(status) + counters + summaries + quotaMetrics
    if let driver = replicator as? EnsembleDriver { metrics += driver.metrics }
    return metrics
  }

  /// A server that has lost its ensemble is read-only, whatever it was.
  func stateName(_ status: ReplicationStatus) -> String { status.mode.rawValue }

  private func gauges(_ status: ReplicationStatus) -> [ServerMetric] {
    let (smallest, largest) = statistics.responseSizeRange
    var gauges: [(String, Int64)] = [
      ("ephemerals_count", Int64(database.tree.ephemeralCount)),
      ("num_alive_connections", Int64(connections.count)),
      ("outstanding_requests", Int64(outstanding)),
      ("znode_count", Int64(shownZnodeCount)),
      ("global_sessions", Int64(database.sessions.count)),
      ("last_client_response_size", Int64(statistics.lastResponseBytes)),
      ("packets_sent", statistics.packetsSent),
      ("packets_received", statistics.packetsReceived),
      ("max_client_response_size", largest),
      ("min_client_response_size", smallest),
      ("watch_count", Int64(watches.count)),
      ("auth_failed_count", statistics.authFailures),
      ("min_latency", statistics.latencyMs.min),
      ("max_latency", statistics.latencyMs.max),
      ("max_file_descriptor_count", Int64(clamping: ProcessInformation.descriptorLimit)),
      ("open_file_descriptor_count", Int64(ProcessInformation.openDescriptors)),
      ("approximate_data_size", Int64(database.tree.approximateDataSize)),
      ("local_sessions", Int64(localSessionCount)),
      ("outstanding_tls_handshake", Int64(listeners.reduce(0) { $0 + $1.pendingHandshakes })),
      ("uptime", loop.now.milliseconds(since: started)),
    ]
    if status.mode != .standalone { gauges.append(("quorum_size", Int64(status.quorumSize))) }
    if status.mode == .leader {
      gauges += [
        ("learners", Int64(status.learners)),
        ("synced_followers", Int64(status.syncedFollowers)),
        ("synced_non_voting_followers", Int64(status.nonVotingFollowers)),
        ("synced_observers", Int64(status.syncedObservers)),
        ("pending_syncs", Int64(status.pendingSyncs)),
        ("last_proposal_size", Int64(status.proposalSizes.last)),
        ("min_proposal_size", Int64(status.proposalSizes.min)),
        ("max_proposal_size", Int64(status.proposalSizes.max)),
        ("leader_uptime", servingSince.map { loop.now.milliseconds(since: $0) } ?? 0),
      ]
    }
    if status.mode == .observer { gauges.append(("observer_master_id", status.leader ?? -1)) }
    let ratios = [
      ("avg_latency", statistics.latencyMs.average),
      ("connection_drop_probability", connectionThrottle.dropProbability),
    ]
    return ratios.map { ServerMetric(name: $0.0, value: .ratio($0.1)) }
      + gauges.map { ServerMetric(name: $0.0, value: .gauge($0.1)) }
  }

  private var counters: [ServerMetric] {
    let counters: [(String, Int64)] = [
      ("bytes_received_count", statistics.bytesReceived),
      ("response_bytes", statistics.responseBytes),
      ("watch_bytes", statistics.watchBytes),
      ("connection_request_count", statistics.connectionRequests),
      ("connection_revalidate_count", statistics.connectionRevalidations),
      ("revalidate_count", statistics.revalidations),
      ("connection_rejected", Int64(refusedConnections) + statistics.connectionsThrottled),
      ("connection_drop_count", statistics.droppedConnections),
      ("sessionless_connections_expired", statistics.sessionlessExpired),
      ("cnxn_closed_without_zk_server_running", statistics.closedWhileNotServing),
      ("stale_sessions_expired", statistics.expiredSessions),
      ("large_requests_rejected", statistics.largeRequestsRejected),
      ("request_throttle_wait_count", statistics.requestThrottleWaits),
      ("unsuccessful_handshake", Int64(listeners.reduce(0) { $0 + $1.failedHandshakes })),
      ("tls_handshake_exceeded", Int64(listeners.reduce(0) { $0 + $1.exceededHandshakes })),
      ("insecure_admin_count", statistics.insecureAdminCommands),
      ("digest_mismatches_count", statistics.digestMismatches),
      ("looking_count", statistics.lookings),
      ("proposal_count", statistics.proposals),
      ("commit_count", statistics.commits),
      ("sync_processor_request_queued", statistics.logged),
    ]
    return counters.map { ServerMetric(name: $0.0, value: .counter($0.1)) }
  }

  private var summaries: [ServerMetric] {
    let basic: [(String, Summary)] = [
      ("fsynctime", statistics.flushTime),
      ("sync_processor_batch_size", statistics.flushBatch),
      ("snapshottime", statistics.snapshotTime),
      ("dbinittime", statistics.startup.databaseMs),
      ("startup_snap_load_time", statistics.startup.snapshotMs),
      ("startup_txns_load_time", statistics.startup.transactionsMs),
      ("startup_txns_loaded", statistics.startup.transactions),
      ("election_time", statistics.electionTime),
      ("connection_token_deficit", statistics.tokenDeficit),
      ("node_created_watch_count", statistics.createdWatches),
      ("node_deleted_watch_count", statistics.deletedWatches),
      ("node_changed_watch_count", statistics.changedWatches),
      ("node_children_watch_count", statistics.childrenWatches),
    ]
    let detailed: [(String, Summary)] = [
      ("readlatency", statistics.readLatency),
      ("updatelatency", statistics.updateLatency),
      ("propagation_latency", statistics.propagationLatency),
      ("jvm_pause_time_ms", statistics.pauses),
      ("request_throttle_queue_time_ms", statistics.throttleTime),
    ]
    return basic.map { ServerMetric(name: $0.0, value: .summary($0.1, isDetailed: false)) }
      + detailed.map { ServerMetric(name: $0.0, value: .summary($0.1, isDetailed: true)) }
  }

  // MARK: Forms

  /// The text of `mntr`.
  var monitorText: String {
    metrics.flatMap(\.lines).map { "zk_\($0.name)\t\($0.value)\n" }.joined()
  }

  /// The members of the AdminServer's `monitor`.
  var monitorMembers: [(String, JSONValue)] {
    metrics.flatMap(\.lines).map { ($0.name, $0.isText ? .string($0.value) : .number($0.value)) }
  }

  /// Prometheus text.
  var exposition: String {
    var (text, last) = ("", "")
    for metric in metrics {
      text += metric.exposition(isFirst: metric.name != last)
      last = metric.name
    }
    return text
  }
}
