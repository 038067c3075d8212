// What `stat`, `srvr`, `cons`, `mntr`, the AdminServer and Prometheus count.

import Telemetry
import Values
import ZooKeeperProtocol

/// Smallest, largest and sum of some measure.
struct Spread {
  private(set) var min: Int64 = 0
  private(set) var max: Int64 = 0
  private(set) var total: Int64 = 0
  private(set) var count: Int64 = 0

  mutating func add(_ value: Int64) {
    min = count == 0 ? value : Swift.min(min, value)
    max = Swift.max(max, value)
    total += value
    count += 1
  }

  var average: Double { count == 0 ? 0 : Double(total) / Double(count) }
}

/// A measure whose percentiles are of interest, too.
struct Summary {
  private(set) var spread = Spread()
  let distribution = Distribution()

  mutating func add(_ value: Int64) {
    spread.add(value)
    distribution.record(value)
  }
}

/// Counts of a server since its start or the last `srst`. Times are in milliseconds, sizes in
/// bytes.
struct ServerStatistics {
  var packetsReceived: Int64 = 0
  var packetsSent: Int64 = 0
  var bytesReceived: Int64 = 0
  var responseBytes: Int64 = 0
  var authFailures: Int64 = 0
  var digestMismatches: Int64 = 0

  // Connections.
  /// ConnectRequests, and those among them that came with a session.
  var connectionRequests: Int64 = 0
  var connectionRevalidations: Int64 = 0
  /// Sessions that learners asked about.
  var revalidations: Int64 = 0
  /// Ended before they had a session, for their silence.
  var sessionlessExpired: Int64 = 0
  var droppedConnections: Int64 = 0
  /// Turned away because no leader was known.
  var closedWhileNotServing: Int64 = 0
  var largeRequestsRejected: Int64 = 0
  /// Sessions that `connection_throttle_tokens` kept out.
  var connectionsThrottled: Int64 = 0
  var requestThrottleWaits: Int64 = 0
  var expiredSessions: Int64 = 0
  /// Commands of the AdminServer that came over plain HTTP.
  var insecureAdminCommands: Int64 = 0

  // Transactions.
  /// Requests that the hard limit of a quota has refused, by the first part of its path.
  var quotaRefusals: [String: Int64] = [:]
  var proposals: Int64 = 0
  var commits: Int64 = 0
  var logged: Int64 = 0
  /// Flushes that took longer than `fsync.warningthresholdms`.
  var slowFlushes: Int64 = 0
  /// Bytes of notifications.
  var watchBytes: Int64 = 0

  // The ensemble.
  /// How often a leader was looked for, and since when it is.
  var lookings: Int64 = 0
  var lookingSince: Instant?

  // Distributions.
  /// Milliseconds by which the pause monitor woke too late.
  var pauses = Summary()
  /// Of the throttle's tokens, how many were in use at each handshake.
  var tokenDeficit = Summary()
  /// How long a connection was not read from because too many requests were under way.
  var throttleTime = Summary()
  var electionTime = Summary()
  var readLatency = Summary()
  var updateLatency = Summary()
  var propagationLatency = Summary()
  var flushTime = Summary()
  var flushBatch = Summary()
  var snapshotTime = Summary()
  var startup = StartupTimes()
  var createdWatches = Summary()
  var deletedWatches = Summary()
  var changedWatches = Summary()
  var childrenWatches = Summary()

  /// Milliseconds from a request's arrival to its answer.
  private(set) var latencyMs = Spread()
  /// Bytes of answers.
  private(set) var responseSizes = Spread()
  private(set) var lastResponseBytes = -1

  /// A request was answered.
  mutating func answered(_ type: OpCode, bytes: Int, since: Instant, at now: Instant) {
    let latency = now.milliseconds(since: since)
    packetsSent += 1
    latencyMs.add(latency)
    if type.isWrite { updateLatency.add(latency) } else { readLatency.add(latency) }
    responseSizes.add(Int64(bytes))
    responseBytes += Int64(bytes)
    lastResponseBytes = bytes
  }

  /// Smallest, largest answer; -1 when there was none.
  var responseSizeRange: (min: Int64, max: Int64) {
    responseSizes.count == 0 ? (-1, -1) : (responseSizes.min, responseSizes.max)
  }
}

/// What loading the data took, in milliseconds; set once.
struct StartupTimes {
  var databaseMs = Summary()
  var snapshotMs = Summary()
  var transactionsMs = Summary()
  var transactions = Summary()
}

/// Counts of one connection.
struct ConnectionStatistics {
  let established: WallTime
  var received: Int64 = 0
  var sent: Int64 = 0
  private(set) var lastOperation = OpCode.notification
  /// -1 while there was no request.
  private(set) var lastXid: Int64 = -1
  private(set) var lastZxid: Int64 = -1
  private(set) var lastResponse = Instant.zero
  private(set) var lastLatencyMs: Int64 = 0
  private(set) var latencyMs = Spread()

  init(established: WallTime) { self.established = established }

  mutating func answered(
    _ type: OpCode, _ xid: Int32, zxid: Int64, since: Instant, at now: Instant
  ) {
    sent += 1
    lastOperation = type
    // Pings and the like have no number of their own.
    if xid >= 0 { lastXid = Int64(xid) }
    lastZxid = zxid
    lastResponse = now
    lastLatencyMs = now.milliseconds(since: since)
    latencyMs.add(lastLatencyMs)
  }

  mutating func reset() { self = ConnectionStatistics(established: established) }
}

extension OpCode {
  /// Four letters, as `cons` shows the last operation.
  var shortName: String {
    switch self {
    case .notification: "NA"
    case .create, .create2, .createContainer, .createTTL: "CREA"
    case .delete, .deleteContainer: "DELE"
    case .exists: "EXIS"
    case .getData: "GETD"
    case .setData: "SETD"
    case .getACL: "GETA"
    case .setACL: "SETA"
    case .getChildren, .getChildren2: "GETC"
    case .sync: "SYNC"
    case .ping: "PING"
    case .check: "CHEC"
    case .multi: "MULT"
    case .multiRead: "MLTR"
    case .reconfig: "RECO"
    case .checkWatches: "CHKW"
    case .removeWatches: "REMW"
    case .setWatches: "SETW"
    case .setWatches2: "STW2"
    case .addWatch: "ADDW"
    case .getEphemerals: "GETE"
    case .getAllChildrenNumber: "GETACN"
    case .whoAmI: "HOMI"
    case .createSession: "SESS"
    case .closeSession: "CLOS"
    case .sasl: "SASL"
    case .auth: "AUTH"
    default: "NA"
    }
  }
}
