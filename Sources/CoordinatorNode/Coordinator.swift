// The server that clients talk to: one database, its watches, its sessions, its connections.

import Bytes
import Containers
import Platform
import Telemetry
import Transport
import Values
import ZooKeeperProtocol
import Znodes

/// Everything that belongs to one server of the coordination service, on one event loop.
///
/// One loop is the design, not a shortcut: all state is touched by one thread, so a read is
/// answered inline from the tree, and "watch notifications before replies" follows from the order
/// in which bytes are written. What blocks (the log's flush, snapshots) is on threads of
/// `TxnStore`.
public final class Coordinator: @unchecked Sendable {  // confined to `loop`
  public let loop: EventLoop
  public let config: CoordinatorConfig
  public let store: TxnStore

  /// What is committed.
  public internal(set) var database: Database
  /// Takes requests to agreement; nil until the node is built.
  public var replicator: (any Replicator)?
  /// Clients are served: not while an ensemble looks for a leader.
  public internal(set) var isServing = false
  /// Clients that asked for as little are served without a quorum, from what there is.
  var isReadOnly = false
  /// What only leaders and lone servers have.
  var leadership: Leadership?
  /// Sessions that only this server knows; nil where they are not enabled.
  var localSessions: LocalSessionBook?
  /// Containers and TTL znodes that are to go.
  private var reaper: ContainerReaper

  var watches = WatchTable()
  /// Connections by their watcher ids.
  var connections: [WatcherID: ClientConnection] = [:]
  /// The connection of each session that is connected here.
  var sessions: [Int64: ClientConnection] = [:]
  /// Sessions heard of since the learner last told its leader.
  private var touched: [Int64: Int32] = [:]
  /// When this server came up.
  let started: Instant
  var nextWatcher = 1
  private var nextQuotaWarning = Instant.zero
  var nextSession: Int64
  var statistics = ServerStatistics()
  /// `gtmk` and `stmk`: ZooKeeper's default. Nothing here traces by it.
  var traceMask: Int64 = 306
  /// The tree's digests of every 128th transaction, oldest first.
  var digestLog: [LoggedDigest] = []
  /// Bytes of large requests that are under way.
  var largeRequestBytes = 0
  var connectionThrottle: ConnectionThrottle
  /// Since when clients are served without a break.
  var servingSince: Instant?
  /// The listeners for clients; their counts are asked for.
  var listeners: [Server] = []
  var snapshotSchedule: SnapshotSchedule
  /// Requests that wait for agreement.
  var outstanding = 0
  /// Where notifications gather while a transaction is applied.
  var notifications: [WatchNotification] = []
  var changes: [ZnodeChange] = []

  public init(
    _ config: CoordinatorConfig, recovered: Recovered, store: TxnStore, on loop: EventLoop
  ) {
    self.config = config
    self.loop = loop
    self.store = store
    database = recovered.database
    reaper = ContainerReaper(
      maxPerMinute: config.requests.containerMaxPerMinute,
      maxNeverUsedMs: config.requests.containerMaxNeverUsedMs)
    started = Clock.now()
    connectionThrottle = ConnectionThrottle(config.limits.connectionThrottle, at: started)
    nextSession = SessionSecrets.firstSession(
      server: config.sessionServerID, wallTime: Clock.wallNow())
    snapshotSchedule = SnapshotSchedule(
      snapCount: config.snapCount, logBytes: config.storage.snapshotLogBytes,
      replayed: recovered.replayed, seed: SystemRandom.seed())
    measure(recovered)
  }

  // MARK: Roles

  /// Begins to serve clients: as a leader or alone with `lastZxid` (an epoch's zero, or where the
  /// log ends), or behind a leader with nil.
  public func startServing(preparingFrom lastZxid: Int64?) {
    if let lastZxid {
      leadership = Leadership(
        tracker: SessionTracker(
          tickMs: config.tickTimeMs,
          localServerID: config.opensLocalSessions ? config.serverID : nil),
        preparer: RequestPreparer(lastZxid: lastZxid, rules: config.requestRules))
      // Clients have a whole timeout from now to find their server.
      for (session, timeoutMs) in database.sessions {
        leadership?.tracker.track(session, timeoutMs: timeoutMs, at: loop.now)
      }
    }
    if config.opensLocalSessions {
      localSessions = LocalSessionBook(tracker: SessionTracker(tickMs: config.tickTimeMs))
    }
    touched = [:]
    isServing = true
    servingSince = loop.now
  }

  /// Begins to serve clients that only read, while there is no leader. Their sessions are this
  /// server's own: nobody could agree on others.
  func startServingReadOnly() {
    localSessions = LocalSessionBook(tracker: SessionTracker(tickMs: config.tickTimeMs))
    touched = [:]
    isReadOnly = true
    isServing = true
    servingSince = loop.now
    CoordinatorLog.server.info("read-only server started")
  }

  /// Whether clients may come in: `leaderServes` may keep them from a leader.
  var takesClients: Bool {
    isServing && (leadership == nil || config.leaderServes || !config.isEnsemble)
  }

  /// Ends to serve: every client has to find another server.
  public func stopServing() {
    isServing = false
    isReadOnly = false
    servingSince = nil
    leadership = nil
    localSessions = nil
    reaper.removeAll()
    for id in connections.keys.sorted() {
      connections[id]?.connection.close(.local("not serving"))
    }
    outstanding = 0
  }

  /// Puts another state in place of everything: what a leader has sent, or what is left of the log
  /// after a cut. While not serving.
  public func replaceDatabase(_ database: Database) {
    self.database = database
  }

  /// What `/zookeeper/config` shows in an ensemble.
  public func setEnsembleConfig(_ text: [UInt8], version: Int64) {
    database.setConfig(text, version: version, time: loop.wallNow.milliseconds)
  }

  // MARK: Writes

  /// Makes a transaction of a request; nil unless this server leads or is alone.
  public func prepare(_ request: WriteRequest) -> Txn? {
    guard leadership != nil else { return nil }
    statistics.proposals += 1
    let txn = leadership?.prepare(
      request, over: database, at: loop.now, wallTime: loop.wallNow)
    warnOfQuotas()
    return txn
  }

  /// Soft limits are not kept, only told of: at most once a second, for whoever passes one will
  /// pass it with every request.
  private func warnOfQuotas() {
    for path in leadership?.preparer.refusedQuotas ?? [] {
      statistics.quotaRefusals[ZnodePath.namespace(of: path), default: 0] += 1
      leadership?.preparer.refusedQuotas = []
    }
    guard let exceeded = leadership?.preparer.exceededQuotas, !exceeded.isEmpty else { return }
    leadership?.preparer.exceededQuotas = []
    guard loop.now >= nextQuotaWarning else { return }
    nextQuotaWarning = loop.now.advanced(milliseconds: 1000)
    CoordinatorLog.server.warn("quota exceeded", ["paths": exceeded.joined(separator: " ")])
  }

  /// Applies a transaction that is agreed on: the next one by zxid. Tells watchers, then whoever
  /// asked for it.
  public func commit(_ txn: Txn) {
    let result = apply(txn)
    statistics.commits += 1
    statistics.propagationLatency.add(max(0, loop.wallNow.milliseconds - txn.header.time))
    if let connection = sessions[txn.header.clientID] {
      connection.committed(txn, result)
    }
    switch txn.body {
    case .createSession: becameGlobal(txn.header.clientID)
    case .closeSession: sessionClosed(txn.header.clientID)
    default: break
    }
    if replicator?.keepsLog == true, snapshotSchedule.isDue(logBytes: store.bytesSinceSnapshot),
      !store.isSnapshotting
    {
      takeSnapshot()
    }
  }

  /// Applies a transaction without anybody being told: replay while not serving.
  @discardableResult
  public func apply(_ txn: Txn) -> TxnResult {
    changes.removeAll(keepingCapacity: true)
    let result = database.replay(txn, changes: &changes)
    leadership?.preparer.retire(through: txn.header.zxid)
    if let digest = txn.digest, database.matches(digest) == false { digestDiffers(txn) }
    logDigest(txn.header.zxid)
    for change in changes {
      let mark = notifications.count
      watches.trigger(change, into: &notifications)
      if notifications.count > mark { countWatches(notifications[mark...]) }
    }
    deliverNotifications()
    return result
  }

  private func digestDiffers(_ txn: Txn) {
    statistics.digestMismatches += 1
    guard statistics.digestMismatches == 1 else { return }
    CoordinatorLog.server.error(
      "the tree differs from the leader's", ["zxid": "0x\(zxidText(txn.header.zxid))"])
  }

  func deliverNotifications() {
    guard !notifications.isEmpty else { return }
    for notification in notifications {
      connections[notification.watcher]?.send(notification, zxid: database.lastZxid)
    }
    notifications.removeAll(keepingCapacity: true)
  }

  /// Everything that was committed before the sync has been applied.
  public func synced(session: Int64, cxid: Int32) {
    sessions[session]?.synced(cxid: cxid)
  }

  public func takeSnapshot() {
    snapshotSchedule.reset()
    store.snapshot(database)
  }

  // MARK: Sessions

  /// The leader's word about a session that `Replicator.revalidate` asked for.
  public func revalidated(session: Int64, isValid: Bool) {
    sessions[session]?.revalidated(isValid: isValid)
  }

  /// A sign of life of a session, from a client here or, on the leader, from a learner.
  public func touch(_ session: Int64, timeoutMs: Int32) {
    if touchLocalSession(session, timeoutMs: timeoutMs) { return }
    if leadership != nil {
      _ = leadership?.tracker.touch(session, timeoutMs: timeoutMs, at: loop.now)
    } else {
      touched[session] = timeoutMs
    }
  }

  /// For a learner's PING: sessions heard of since the last time, sorted.
  public func takeTouched() -> [(session: Int64, timeoutMs: Int32)] {
    defer { touched = [:] }
    return touched.keys.sorted().map { ($0, touched[$0] ?? 0) }
  }

  /// On the leader: whether a session lives; from now on it belongs to `owner`, where its client
  /// has turned up.
  public func revalidate(_ session: Int64, timeoutMs: Int32, for owner: Int64) -> Bool {
    if owner != Coordinator.localOwner { statistics.revalidations += 1 }
    guard leadership?.tracker.touch(session, timeoutMs: timeoutMs, at: loop.now) == true
    else { return false }
    leadership?.tracker.setOwner(session, owner)
    return true
  }

  private func sessionClosed(_ session: Int64) {
    leadership?.tracker.remove(session)
    touched[session] = nil
    sessions[session]?.sessionClosed()
  }

  /// Proposes the end of every session whose time has run out. Called every tick.
  func expireSessions() {
    guard isServing else { return }
    expireLocalSessions()
    guard let expired = leadership?.tracker.expire(at: loop.now) else { return }
    for session in expired {
      CoordinatorLog.sessions.info(
        "session expired",
        ["session": "0x\(zxidText(session))", "timeoutMs": database.sessions[session] ?? 0])
      statistics.expiredSessions += 1
      replicator?.submit(
        WriteRequest(
          session: session, cxid: 0, type: .closeSession, body: [], owner: Coordinator.localOwner))
    }
  }

  /// Looks for containers that are empty and TTL znodes that are old, and proposes the end of
  /// each, one after the other.
  func collectContainers() {
    guard isServing, leadership != nil, reaper.isIdle else { return }
    reaper.look(at: database.tree, now: loop.wallNow.milliseconds)
    guard !reaper.isIdle else { return }
    guard reaper.intervalMs > 0 else {
      while collectNext() {}
      return
    }
    loop.repeating(everyMs: reaper.intervalMs) { [weak self] in self?.collectNext() ?? false }
  }

  /// False: nothing is left.
  private func collectNext() -> Bool {
    guard isServing, leadership != nil, let path = reaper.next() else { return false }
    replicator?.submit(
      WriteRequest(
        session: 0, cxid: 0, type: .deleteContainer, body: Array(path.utf8),
        owner: Coordinator.localOwner))
    return !reaper.isIdle
  }

  /// How `WriteRequest.owner` names this server; learners have numbers of their own above it.
  public static let localOwner: Int64 = 0
}

/// What a leader or a lone server has: the book of sessions, and what is proposed but not applied.
struct Leadership {
  var tracker: SessionTracker
  var preparer: RequestPreparer

  mutating func prepare(
    _ request: WriteRequest, over database: borrowing Database, at now: Instant,
    wallTime: WallTime
  ) -> Txn {
    preparer.prepare(
      request, over: database, sessions: &tracker, at: now, wallTime: wallTime)
  }
}
