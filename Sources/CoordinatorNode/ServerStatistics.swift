// What `stat`, `srvr`, `cons` and `mntr` count.

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

/// Counts of a server since its start or the last `srst`.
struct ServerStatistics {
  var packetsReceived: Int64 = 0
  var packetsSent: Int64 = 0
  var authFailures: Int64 = 0
  var expiredSessions: Int64 = 0
  var digestMismatches: Int64 = 0
  /// Milliseconds from a request's arrival to its answer.
  private(set) var latencyMs = Spread()
  /// Bytes of answers.
  private(set) var responseBytes = Spread()
  private(set) var lastResponseBytes = -1

  mutating func answered(bytes: Int, since: Instant, at now: Instant) {
    packetsSent += 1
    latencyMs.add(now.milliseconds(since: since))
    responseBytes.add(Int64(bytes))
    lastResponseBytes = bytes
  }
}

/// Counts of one connection.
struct ConnectionStatistics {
  let established: Instant
  var received: Int64 = 0
  var sent: Int64 = 0
  private(set) var lastOperation = OpCode.notification
  private(set) var lastXid: Int32 = 0
  private(set) var lastZxid: Int64 = 0
  private(set) var lastResponse: Instant
  private(set) var lastLatencyMs: Int64 = 0
  private(set) var latencyMs = Spread()

  init(at now: Instant) {
    established = now
    lastResponse = now
  }

  mutating func answered(
    _ type: OpCode, _ xid: Int32, zxid: Int64, since: Instant, at now: Instant
  ) {
    sent += 1
    lastOperation = type
    lastXid = xid
    lastZxid = zxid
    lastResponse = now
    lastLatencyMs = now.milliseconds(since: since)
    latencyMs.add(lastLatencyMs)
  }

  mutating func reset(at now: Instant) { self = ConnectionStatistics(at: established) }
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
    default: "NA"
    }
  }
}
