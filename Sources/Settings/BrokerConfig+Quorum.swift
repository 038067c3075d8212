import Values

extension BrokerConfig {
  /// A node of a KRaft cluster: its roles, the controllers, and the metadata log.
  public struct Quorum: Sendable {
    /// A controller as `controller.quorum.voters` names it: `id@host:port`.
    public struct Voter: Hashable, Sendable {
      public var id: Int32
      public var host: String
      public var port: UInt16
    }

    /// Where controllers can be asked, as `controller.quorum.bootstrap.servers` names them.
    public struct Server: Hashable, Sendable {
      public var host: String
      public var port: UInt16
    }

    public let isBroker: Bool
    public let isController: Bool
    /// The static voters; empty with a dynamic quorum (KIP-853).
    public let voters: [Voter]
    /// With a dynamic quorum; a static one does without.
    public let bootstrapServers: [Server]
    /// In capitals; brokers speak to controllers by the first.
    public let controllerListenerNames: [String]
    /// `metadata.log.dir`, by default the first of `log.dirs`.
    public let metadataLogDirectory: String
    public let electionTimeoutMs: Int64
    public let fetchTimeoutMs: Int64
    public let electionBackoffMaxMs: Int64
    public let requestTimeoutMs: Int64
    public let retryBackoffMs: Int64
    public let appendLingerMs: Int64
    /// `jackdaw.controller.quorum.auto.join.enable`
    public let joinsAutomatically: Bool
    public let heartbeatIntervalMs: Int64
    public let sessionTimeoutMs: Int64
    public let initialRegistrationTimeoutMs: Int64
    public let maxIdleIntervalMs: Int64
    public let maxRecordBytesBetweenSnapshots: Int64
    public let maxSnapshotIntervalMs: Int64
    public let segmentBytes: Int
    public let segmentMs: Int64
    public let retentionBytes: Int64
    public let retentionMs: Int64
    /// `unstable.feature.versions.enable`
    public let supportsUnstableFeatures: Bool
    /// `eligible.leader.replicas.enable`
    public let keepsEligibleReplicas: Bool

    init(_ values: ConfigValues) throws(SettingsError) {
      let roles = values.list("process.roles")
      isBroker = roles.contains("broker")
      isController = roles.contains("controller")
      voters = try Self.voters(values.list("controller.quorum.voters"))
      bootstrapServers = try Self.servers(values.list("controller.quorum.bootstrap.servers"))
      controllerListenerNames = (values.text("controller.listener.names") ?? "").commaSeparated
        .filter { !$0.isEmpty }.map { $0.uppercased() }
      let directories = (values.name("log.dirs") ?? values.name("log.dir") ?? "").commaSeparated
      metadataLogDirectory = values.name("metadata.log.dir") ?? directories.first ?? ""
      electionTimeoutMs = values.int64("controller.quorum.election.timeout.ms")
      fetchTimeoutMs = values.int64("controller.quorum.fetch.timeout.ms")
      electionBackoffMaxMs = values.int64("controller.quorum.election.backoff.max.ms")
      requestTimeoutMs = values.int64("controller.quorum.request.timeout.ms")
      retryBackoffMs = values.int64("controller.quorum.retry.backoff.ms")
      appendLingerMs = values.int64("controller.quorum.append.linger.ms")
      joinsAutomatically = values.bool("jackdaw.controller.quorum.auto.join.enable")
      heartbeatIntervalMs = values.int64("broker.heartbeat.interval.ms")
      sessionTimeoutMs = values.int64("broker.session.timeout.ms")
      initialRegistrationTimeoutMs = values.int64("initial.broker.registration.timeout.ms")
      maxIdleIntervalMs = values.int64("metadata.max.idle.interval.ms")
      maxRecordBytesBetweenSnapshots = values.int64(
        "metadata.log.max.record.bytes.between.snapshots")
      maxSnapshotIntervalMs = values.int64("metadata.log.max.snapshot.interval.ms")
      segmentBytes = values.int("metadata.log.segment.bytes")
      segmentMs = values.int64("metadata.log.segment.ms")
      retentionBytes = values.int64("metadata.max.retention.bytes")
      retentionMs = values.int64("metadata.max.retention.ms")
      supportsUnstableFeatures = values.bool("unstable.feature.versions.enable")
      keepsEligibleReplicas = values.bool("eligible.leader.replicas.enable")
      if roles.isEmpty {
        guard controllerListenerNames.isEmpty else {
          throw SettingsError(
            "must be empty in ZooKeeper mode; process.roles turns KRaft mode on",
            key: "controller.listener.names",
            value: controllerListenerNames.joined(separator: ","))
        }
        return
      }
      try check(roles, nodeID: values.int32("node.id"))
    }

    /// The rules that KRaft has for the keys together.
    private func check(_ roles: [String], nodeID: Int32) throws(SettingsError) {
      guard Set(roles).count == roles.count else {
        throw SettingsError(
          "names a role twice", key: "process.roles", value: roles.joined(separator: ","))
      }
      guard nodeID >= 0 else {
        throw SettingsError("is required when process.roles is set", key: "node.id")
      }
      guard !controllerListenerNames.isEmpty else {
        throw SettingsError(
          "is required when process.roles is set", key: "controller.listener.names")
      }
      guard !voters.isEmpty || !bootstrapServers.isEmpty else {
        throw SettingsError(
          "either this or controller.quorum.voters must name the controllers",
          key: "controller.quorum.bootstrap.servers")
      }
      let isVoter = voters.contains { $0.id == nodeID }
      if !voters.isEmpty, isVoter != isController {
        throw SettingsError(
          isController
            ? "must contain node.id=\(nodeID), which has the role controller"
            : "must not contain node.id=\(nodeID), which has not the role controller",
          key: "controller.quorum.voters")
      }
    }

    private static func voters(_ entries: [String]) throws(SettingsError) -> [Voter] {
      var voters: [Voter] = []
      for entry in entries where !entry.isEmpty {
        let parts = entry.split(separator: "@", maxSplits: 1)
        guard parts.count == 2, let id = Int32(parts[0].trimmed), id >= 0,
          let server = server(String(parts[1]))
        else {
          throw SettingsError(
            "expected id@host:port in '\(entry)'", key: "controller.quorum.voters",
            value: entries.joined(separator: ","))
        }
        voters.append(Voter(id: id, host: server.host, port: server.port))
      }
      guard Set(voters.map(\.id)).count == voters.count else {
        throw SettingsError(
          "names a voter twice", key: "controller.quorum.voters",
          value: entries.joined(separator: ","))
      }
      return voters
    }

    private static func servers(_ entries: [String]) throws(SettingsError) -> [Server] {
      var servers: [Server] = []
      for entry in entries where !entry.isEmpty {
        guard let server = server(entry) else {
          throw SettingsError(
            "expected host:port in '\(entry)'", key: "controller.quorum.bootstrap.servers",
            value: entries.joined(separator: ","))
        }
        servers.append(server)
      }
      return servers
    }

    private static func server(_ text: String) -> Server? {
      // The last colon: addresses of version 6 have colons of their own.
      guard let colon = text.lastIndex(of: ":"),
        let port = UInt16(text[text.index(after: colon)...].trimmed)
      else { return nil }
      var host = text[..<colon].trimmed
      if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
      return host.isEmpty ? nil : Server(host: host, port: port)
    }
  }
}
