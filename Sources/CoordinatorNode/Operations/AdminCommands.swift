// What the AdminServer's commands answer: ZooKeeper 3.8's fields.

import HTTP
import Platform
import ZooKeeperProtocol
import Znodes

extension Coordinator {
  /// The answer's members; `command` and `error` come last, unless the command has an error of its
  /// own to tell.
  func run(adminCommand name: String, _ query: [String: String]) -> [(String, JSONValue)] {
    guard let command = AdminCommand(named: name) else {
      return [("command", .string(name)), ("error", .string("Unknown command: \(name)"))]
    }
    let shownName = JSONValue.string(command.rawValue)
    guard isServing || command.needsNoService else {
      return [("command", shownName), ("error", .string(Self.notServing))]
    }
    var members = answer(to: command, query)
    let hasError = members.contains { $0.0 == "error" }
    members.append(("command", shownName))
    if !hasError { members.append(("error", .null)) }
    return members
  }

  private func answer(
    to command: AdminCommand, _ query: [String: String]
  ) -> [(String, JSONValue)] {
    switch command {
    case .ruok: return []
    case .configuration: return configurationMembers
    case .connections, .stats, .serverStats: return serverMembers(command)
    case .connectionStatReset:
      resetConnectionStatistics()
      return []
    case .statReset:
      resetServerStatistics()
      return []
    case .dirs:
      return [
        ("datadir_size", .integer(dataDirectorySize)), ("logdir_size", .integer(logDirectorySize)),
      ]
    case .dump: return sessionMembers
    case .environment: return environment.map { ($0.name, .string($0.value)) }
    case .systemProperties:
      return config.given.map { ("zookeeper.\($0.key)", .string($0.value)) }
    case .getTraceMask: return [("tracemask", .integer(traceMask))]
    case .setTraceMask: return setTraceMask(query["traceMask"])
    case .hash: return [("digests", .array(digestLog.map(Self.member)))]
    case .initialConfiguration:
      let lines = config.given.map { "\($0.key)=\($0.value)\n" }
      return [("initial_configuration", .string(lines.joined()))]
    case .isReadOnly: return [("read_only", .bool(isReadOnly))]
    case .lastSnapshot: return lastSnapshotMembers
    case .monitor: return monitorMembers
    case .leader, .observers, .observerConnectionStatReset, .votingView, .zabState:
      return ensembleMembers(command)
    case .watchSummary, .watches, .watchesByPath: return watchMembers(command)
    }
  }

  private static func member(_ digest: LoggedDigest) -> JSONValue {
    .object([
      ("zxid", .integer(digest.zxid)), ("digest_version", .integer(Int64(digest.version))),
      ("digest", .integer(digest.digest)),
    ])
  }

  private func setTraceMask(_ text: String?) -> [(String, JSONValue)] {
    let complaint = "setTraceMask requires long traceMask argument"
    guard let text else { return [("error", .string(complaint))] }
    guard let mask = Int64(text) else { return [("error", .string("\(complaint), got \(text)"))] }
    traceMask = mask
    return [("tracemask", .integer(mask))]
  }

  private var configurationMembers: [(String, JSONValue)] {
    var members: [(String, JSONValue)] = [("client_port", .integer(Int64(config.clientPort)))]
    if let port = config.security.securePort {
      members.append(("secure_client_port", .integer(Int64(port))))
    }
    return members + [
      ("data_dir", .string(store.directory.snapshots)),
      ("data_log_dir", .string(store.directory.logs)),
      ("tick_time", .integer(Int64(config.tickTimeMs))),
      ("max_client_cnxns", .integer(Int64(config.maxClientConnections))),
      ("min_session_timeout", .integer(Int64(config.minSessionTimeoutMs))),
      ("max_session_timeout", .integer(Int64(config.maxSessionTimeoutMs))),
      ("server_id", .integer(config.serverID)),
      ("client_port_listen_backlog", .integer(Int64(config.limits.backlog))),
    ]
  }

  private var sessionMembers: [(String, JSONValue)] {
    let expiry = (leadership?.tracker.expiryBuckets ?? []).map { bucket in
      ("\(bucket.time.milliseconds)", JSONValue.array(bucket.sessions.map { .integer($0) }))
    }
    let ephemerals = database.tree.ephemeralOwners.map { owner in
      (
        "\(owner)",
        JSONValue.array(database.tree.ephemerals(of: owner).map { .string($0) })
      )
    }
    return [
      ("expiry_time_to_session_ids", .object(expiry)),
      ("session_id_to_ephemeral_paths", .object(ephemerals)),
    ]
  }

  private var lastSnapshotMembers: [(String, JSONValue)] {
    let newest = (try? store.directory.listSnapshots())?.last
    let modified = newest.flatMap { (try? FileSystem.status($0.path)) ?? nil }?.modifiedMs
    return [
      ("zxid", .string(newest.map { zxidText($0.zxid) } ?? zxidText(-1))),
      ("timestamp", .integer(modified.map { $0 / 1000 } ?? -1)),
    ]
  }

  private func watchMembers(_ command: AdminCommand) -> [(String, JSONValue)] {
    switch command {
    case .watches:
      let bySession = watchedPaths.map { entry in
        ("\(entry.session)", JSONValue.array(entry.paths.map { .string($0) }))
      }
      return [("session_id_to_watched_paths", .object(bySession))]
    case .watchesByPath:
      let byPath = watchingSessions.map { entry in
        (entry.path, JSONValue.array(entry.sessions.map { .integer($0) }))
      }
      return [("path_to_session_ids", .object(byPath))]
    default:
      return [
        ("num_connections", .integer(Int64(watches.watcherCount))),
        ("num_paths", .integer(Int64(watches.watchedPathCount))),
        ("num_total_watches", .integer(Int64(watches.dataWatchCount))),
      ]
    }
  }
}

// MARK: Connections and statistics

extension Coordinator {
  private func serverMembers(_ command: AdminCommand) -> [(String, JSONValue)] {
    let isBrief = command == .stats
    var members: [(String, JSONValue)] = []
    if command != .connections { members = statisticsMembers }
    guard command != .serverStats else { return members }
    var (plain, secure): ([JSONValue], [JSONValue]) = ([], [])
    for id in connections.keys.sorted() {
      guard let client = connections[id] else { continue }
      let member = JSONValue.object(Self.members(of: client, isBrief: isBrief))
      if client.connection.isEncrypted { secure.append(member) } else { plain.append(member) }
    }
    return members + [("connections", .array(plain)), ("secure_connections", .array(secure))]
  }

  private static func members(
    of client: ClientConnection, isBrief: Bool
  ) -> [(String, JSONValue)] {
    let counts = client.statistics
    var members: [(String, JSONValue)] = [
      ("remote_socket_address", .string("\(client.connection.peer)")),
      ("interest_ops", .integer(Int64(client.connection.interestOps))),
      ("outstanding_requests", .integer(Int64(client.queuedCount))),
      ("packets_received", .integer(counts.received)),
      ("packets_sent", .integer(counts.sent)),
    ]
    if isBrief { return members }
    members += [
      ("session_id", .integer(client.session)),
      ("last_operation", .string(counts.lastOperation.shortName)),
      ("established", .integer(counts.established.milliseconds)),
      ("session_timeout", .integer(Int64(client.timeoutMs))),
      ("last_cxid", .integer(counts.lastXid)),
      ("last_zxid", .integer(counts.lastZxid)),
      ("last_response_time", .integer(counts.lastResponse.milliseconds)),
      ("last_latency", .integer(counts.lastLatencyMs)),
      ("min_latency", .integer(counts.latencyMs.min)),
      ("avg_latency", .integer(Int64(counts.latencyMs.average))),
      ("max_latency", .integer(counts.latencyMs.max)),
    ]
    return members
  }

  private static func sizes(_ last: Int, _ min: Int64, _ max: Int64) -> JSONValue {
    .object([
      ("last_buffer_size", .integer(Int64(last))), ("min_buffer_size", .integer(min)),
      ("max_buffer_size", .integer(max)),
    ])
  }

  private var statisticsMembers: [(String, JSONValue)] {
    let status = replicator?.status ?? ReplicationStatus(mode: .standalone)
    let range = statistics.responseSizeRange
    let responses = Self.sizes(statistics.lastResponseBytes, range.min, range.max)
    var members: [(String, JSONValue)] = [
      ("version", .string(Self.fullVersion)),
      ("read_only", .bool(isReadOnly)),
      (
        "server_stats",
        .object([
          ("packets_sent", .integer(statistics.packetsSent)),
          ("packets_received", .integer(statistics.packetsReceived)),
          ("fsync_threshold_exceed_count", .integer(statistics.slowFlushes)),
          ("client_response_stats", responses),
          ("provider_null", .bool(false)),
          ("uptime", .integer(loop.now.milliseconds(since: started))),
          ("server_state", .string(stateName(status))),
          ("outstanding_requests", .integer(Int64(outstanding))),
          ("min_latency", .integer(statistics.latencyMs.min)),
          ("avg_latency", .number(ServerMetric.decimal(statistics.latencyMs.average))),
          ("max_latency", .integer(statistics.latencyMs.max)),
          ("data_dir_size", .integer(dataDirectorySize)),
          ("log_dir_size", .integer(logDirectorySize)),
          ("last_processed_zxid", .integer(database.lastZxid)),
          ("num_alive_client_connections", .integer(Int64(connections.count))),
          ("auth_failed_count", .integer(statistics.authFailures)),
        ])
      ),
      ("client_response", responses),
    ]
    if status.mode == .leader {
      let sizes = status.proposalSizes
      members.append(
        ("proposal_stats", Self.sizes(sizes.last, Int64(sizes.min), Int64(sizes.max))))
    }
    return members + [("node_count", .integer(Int64(shownZnodeCount)))]
  }
}
