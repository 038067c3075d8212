// What a server notes of itself for those who look at it.

import Platform
import Transport
import Values
import Zab
import ZooKeeperProtocol
import Znodes

/// A tree's digest after a transaction, for `hash`: servers of an ensemble must agree on it.
struct LoggedDigest: Hashable {
  var zxid: Int64
  var version: Int32
  var digest: Int64

  /// Every so many transactions one is kept, and so many are kept: ZooKeeper's numbers.
  static let interval: Int64 = 128
  static let limit = 1024
}

extension Coordinator {
  /// Notes what loading took.
  func measure(_ recovered: Recovered) {
    statistics.startup.snapshotMs.add(recovered.snapshotMs)
    statistics.startup.transactionsMs.add(recovered.replayMs)
    statistics.startup.transactions.add(Int64(recovered.replayed))
    statistics.startup.databaseMs.add(recovered.snapshotMs + recovered.replayMs)
  }

  /// Notes what the disk takes. On the loop, once.
  func measureStore() {
    store.onFlushMeasured = { [unowned self] ms, txns in
      statistics.flushTime.add(ms)
      statistics.flushBatch.add(txns)
      statistics.logged += txns
      if ms > config.storage.slowFlushMs { statistics.slowFlushes += 1 }
    }
    store.onSnapshotMeasured = { [unowned self] ms in statistics.snapshotTime.add(ms) }
  }

  /// A leader is looked for, or one was found.
  func measureElection(isLooking: Bool) {
    if isLooking {
      statistics.lookings += 1
      statistics.lookingSince = loop.now
    } else if let since = statistics.lookingSince {
      statistics.electionTime.add(loop.now.milliseconds(since: since))
      statistics.lookingSince = nil
    }
  }

  func logDigest(_ zxid: Int64) {
    guard zxid % LoggedDigest.interval == 0, config.digestEnabled else { return }
    if digestLog.count >= LoggedDigest.limit { digestLog.removeFirst() }
    digestLog.append(
      LoggedDigest(
        zxid: zxid, version: TxnDigest.currentVersion, digest: database.treeDigest))
  }

  /// Counts who hears of one change.
  func countWatches(_ notifications: ArraySlice<WatchNotification>) {
    var counts: [WatchEventType: Int64] = [:]
    for notification in notifications { counts[notification.event, default: 0] += 1 }
    if let count = counts[.nodeCreated] { statistics.createdWatches.add(count) }
    if let count = counts[.nodeDeleted] { statistics.deletedWatches.add(count) }
    if let count = counts[.nodeDataChanged] { statistics.changedWatches.add(count) }
    if let count = counts[.nodeChildrenChanged] { statistics.childrenWatches.add(count) }
  }

  /// Connections that a limit turned away.
  var refusedConnections: Int { listeners.reduce(0) { $0 + $1.refusedTotal } }

  /// The ensemble as it is by now.
  var membership: EnsembleConfig {
    (replicator as? EnsembleDriver)?.peer.membership.current ?? config.membership
  }

  // MARK: Silence

  /// Ends connections that have been silent for too long: those without a session after a time of
  /// their own, the others after their session's timeout. What is half open ends this way, too.
  func dropSilentConnections() {
    for id in connections.keys.sorted() {
      guard let client = connections[id] else { continue }
      if client.isTakingAnswers { touch(client.session, timeoutMs: client.timeoutMs) }
      guard client.silenceDeadline <= loop.now else { continue }
      if client.session == 0 { statistics.sessionlessExpired += 1 }
      statistics.droppedConnections += 1
      CoordinatorLog.sessions.info(
        "connection dropped for its silence",
        ["peer": client.connection.peer, "session": "0x\(zxidText(client.session))"])
      client.connection.close(.idle)
    }
  }
}

extension ClientConnection {
  /// When the connection ends unless it is heard of.
  var silenceDeadline: Instant {
    let patience =
      session == 0 ? coordinator.config.limits.sessionlessTimeoutMs : Int64(timeoutMs)
    // What it has sent may be waiting for us to read it: then it shows its life by what it takes.
    return connection.lastMoved.advanced(milliseconds: patience)
  }

  /// Whether it is busy with taking what it is owed: its session lives, though it says nothing.
  var isTakingAnswers: Bool {
    phase == .open && (connection.isHeldBack || connection.unsentBytes > 0)
      && coordinator.loop.now.milliseconds(since: connection.lastMoved)
        < Int64(coordinator.config.tickTimeMs)
  }
}
