// The ensemble's side of a server: drives a ZAB `Peer` with sockets, files and the tree.
//
//   election port --- ElectionLinks ---+
//   quorum port ----- LearnerListener -+-> Peer (machine) -effects-> +- TxnStore: log, snapshots
//   the leader ------ LeaderLink ------+                             +- epoch files
//   clients' writes - Coordinator -----+                             +- Coordinator: tree, clients
//
// One event at a time: what an effect brings about is queued and stepped when all effects of the
// event before it are carried out, so machine and tree never disagree about what has happened.

import Bytes
import Containers
import Platform
import Telemetry
import Values
import Zab
import ZooKeeperProtocol
import Znodes

/// Takes requests to agreement through an ensemble. Confined to the coordinator's loop.
final class EnsembleDriver: Replicator, @unchecked Sendable {  // confined to `loop`
  unowned let coordinator: Coordinator
  let store: TxnStore
  let config: CoordinatorConfig
  let loop: EventLoop
  let group: EventLoopGroup
  var peer: Peer
  let links: ElectionLinks
  let learners: LearnerListener
  let leader: LeaderLink

  /// Transactions in the log and not in the tree, oldest first.
  var unapplied = RingQueue<Proposal>()
  /// Transactions on their way to our disk, oldest first, with their times.
  var unflushed = RingQueue<(zxid: Int64, time: Int64)>()
  /// What this server counts of its part in the ensemble.
  var quorum = QuorumStatistics()
  /// The leader's own, as they were made, so that they need not be read again.
  var proposed = RingQueue<Txn>()
  /// Syncs of clients here that the leader has not answered, oldest first.
  var syncs = RingQueue<(session: Int64, cxid: Int32)>()
  /// The configuration in force, as votes carry it.
  var configBytes: [UInt8]
  /// A reconfiguration that was proposed here and may not be agreed on yet.
  var reconfigProposed: Int64 = 0
  /// Whether the static file was kept aside before it is rewritten.
  var hasBackup = false
  /// Called when this server has handed over what it had.
  var onResigned: (() -> Void)?
  /// Called when a reconfiguration gives this server another client address.
  var onClientAddress: ((String, UInt16) -> Void)?
  var proposalSizes: (last: Int, min: Int, max: Int) = (-1, -1, -1)

  private var waiting = RingQueue<PeerEvent>()
  private var isStepping = false
  /// Votes that come before `start` are not listened to; they are repeated.
  private var isStarted = false
  private var timer = LoopTimer.none
  var readOnlyTimer = LoopTimer.none
  private var timerAt = Instant.distantFuture

  /// Binds the election port, so that a server that cannot take part does not start.
  ///
  /// - Parameters:
  ///   - recovered: What the data directory held; it is already the coordinator's database.
  ///   - group: One loop, the coordinator's.
  init(
    _ coordinator: Coordinator, recovered: Recovered, on group: EventLoopGroup
  ) throws(StorageError) {
    self.coordinator = coordinator
    store = coordinator.store
    config = coordinator.config
    self.group = group
    loop = group.loops[0]
    let last = Zxid(rawValue: recovered.database.lastZxid)
    let snapshot = recovered.snapshotZxid ?? 0
    // What lies in the log before the snapshot need not lead up to it.
    let recent = recovered.recent.filter { $0.zxid > snapshot }
    let epochs = try Self.epochs(store.directory)
    peer = Peer(
      config.peerConfiguration, epochs: epochs,
      lastProcessed: last,
      recent: recent.map { Proposal(zxid: Zxid(rawValue: $0.zxid), data: $0.bytes) })
    configBytes = peer.membership.current.bytes
    let maxData = config.maxPacketBytes
    links = ElectionLinks(config, on: loop)
    learners = LearnerListener(
      at: try Self.address(config, \.quorumPort), on: group, maxData: maxData,
      tls: config.security.quorumTLS, tuning: config.peers)
    leader = LeaderLink(
      on: loop, durable: last, maxData: maxData,
      extendedTypes: config.extendedTypesEnabled, tls: config.security.quorumTLS.client,
      tuning: config.peers)
    try settleEpochs(epochs)
    try listenForVotes(at: try Self.address(config, \.electionPort))
    connect()
  }

  /// Where this server listens; a name is looked up once, at the start.
  private static func address(
    _ config: CoordinatorConfig, _ port: KeyPath<EnsembleServer, UInt16>
  ) throws(StorageError) -> SocketAddress {
    guard let own = config.ownServer else {
      throw .ensemble("server.\(config.serverID) is not configured")
    }
    let port = own[keyPath: port]
    if config.quorumListensOnAllIPs { return SocketAddress(.any, port: port) }
    let addresses: [SocketAddress]
    do throws(Hosts.ResolutionError) { addresses = try Hosts.resolve(own.host, port: port) } catch {
      throw .ensemble(error.description)
    }
    guard let address = addresses.first else { throw .ensemble("\(own.host) has no address") }
    return address
  }

  /// A former life may still hold the port for a moment.
  private func listenForVotes(at address: SocketAddress) throws(StorageError) {
    var attempts = 0
    while true {
      do throws(SystemError) { return try links.listen(at: address, on: group) } catch {
        attempts += 1
        if config.electionPortBindRetry > 0, attempts >= config.electionPortBindRetry {
          throw .system(error)
        }
        CoordinatorLog.quorum.warn("election port is taken; trying again", ["reason": error])
        Thread.sleep(ms: 1_000)
      }
    }
  }

  private static func epochs(_ directory: DataDirectory) throws(StorageError) -> Epochs {
    Epochs(
      accepted: try directory.readEpoch("acceptedEpoch") ?? 0,
      current: try directory.readEpoch("currentEpoch") ?? 0)
  }

  /// What the log says about the epochs must stand in their files: a real server that is started
  /// here later insists on it.
  private func settleEpochs(_ onDisk: Epochs) throws(StorageError) {
    if peer.epochs.accepted != onDisk.accepted {
      try store.directory.writeEpoch("acceptedEpoch", peer.epochs.accepted)
    }
    if peer.epochs.current != onDisk.current {
      try store.directory.writeEpoch("currentEpoch", peer.epochs.current)
    }
  }

  private func connect() {
    links.isLooking = { [unowned self] in peer.state == .looking }
    links.onLinkUp = { [unowned self] in handle(.electionLinkUp($0)) }
    links.onRefused = { [unowned self] in handle(.electionLinkRefused($0)) }
    links.member = { [unowned self] in member($0) }
    links.onMessage = { [unowned self] message, sender in
      if let config = newerConfig(in: message) { handle(.heardConfig(config)) }
      handle(.notification(Notification(message), from: sender))
    }
    learners.onConnected = { [unowned self] in handle(.learnerConnected($0)) }
    learners.onPacket = { [unowned self] learner, packet in
      measure(packet, from: learner)
      handle(.learnerPacket(learner, packet))
    }
    learners.onStreams = { [unowned self] in quorum.snapshotsUnderWay.add(Int64($0)) }
    learners.onDisconnected = { [unowned self] in handle(.learnerDisconnected($0)) }
    leader.onConnected = { [unowned self] in handle(.leaderConnected) }
    leader.onPacket = { [unowned self] packet in
      measure(packet)
      handle(.leaderPacket(packet))
    }
    leader.onSnapshot = { [unowned self] in install($0) }
    leader.onDisconnected = { [unowned self] in handle(.leaderDisconnected) }
    store.onFlushed = { [unowned self] zxid in
      measureFlush(through: zxid)
      leader.flushed(Zxid(rawValue: zxid))
      handle(.flushed(Zxid(rawValue: zxid)))
    }
  }

  /// Begins to look for a leader. On the loop.
  func start() {
    isStarted = true
    showConfig()
    CoordinatorLog.quorum.info(
      "looking for a leader",
      [
        "server": config.serverID, "members": peer.membership.current.servers.count,
        "zxid": "0x\(zxidText(peer.history.lastLogged.rawValue))",
        "epoch": peer.epochs.current,
      ])
    handle(.start)
  }

  /// Leaves the ensemble. On the loop.
  func stop() {
    loop.cancel(timer)
    learners.close()
    leader.close()
    links.closeAll()
  }

  // MARK: Steps

  /// Gives the machine an event, and carries out what it asks for.
  func handle(_ event: PeerEvent) {
    if isStarted { waiting.append(event) }
    guard !isStepping, isStarted else { return }
    isStepping = true
    var effects: [PeerEffect] = []
    while let next = waiting.popFirst() {
      peer.step(next, at: loop.now, into: &effects)
      for effect in effects { carryOut(effect) }
      effects.removeAll(keepingCapacity: true)
    }
    isStepping = false
    armTimer()
  }

  private func armTimer() {
    let deadline = peer.nextDeadline
    guard deadline != timerAt else { return }
    loop.cancel(timer)
    timerAt = deadline
    guard deadline != .distantFuture else { return }
    timer = loop.schedule(at: deadline) { [weak self] in
      self?.timerAt = .distantFuture
      self?.handle(.timer)
    }
  }

  // MARK: Replicator

  func submit(_ request: WriteRequest) {
    if peer.state == .leading {
      propose(request)
    } else {
      var writer = ByteWriter(reserving: request.body.count + 16)
      writer.writeInt64(request.session)
      writer.writeInt32(request.cxid)
      writer.writeInt32(request.type.rawValue)
      writer.writeBytes(request.body)
      handle(.forward(request: writer.array(), authInfo: request.identities))
    }
  }

  /// Makes a request a transaction and broadcasts it.
  func propose(_ request: WriteRequest) {
    guard peer.nextZxid != nil else { return }
    var request = request
    if request.type == .reconfig { request.reconfiguration = reconfiguration(request.body) }
    guard let txn = coordinator.prepare(request) else { return }
    if txn.header.type == .reconfig { reconfigProposed = txn.header.zxid }
    let data = txn.encoded()
    let sizes = proposalSizes
    proposalSizes = (
      data.count, sizes.min < 0 ? data.count : min(sizes.min, data.count),
      max(sizes.max, data.count)
    )
    proposed.append(txn)
    handle(.propose(Proposal(zxid: Zxid(rawValue: txn.header.zxid), data: data)))
  }

  func sync(session: Int64, cxid: Int32) {
    syncs.append((session, cxid))
    if peer.state == .leading { return handle(.sync) }
    // The answer is a bare packet: the leader needs neither path nor anything else of the body.
    var writer = ByteWriter()
    writer.writeInt64(session)
    writer.writeInt32(cxid)
    writer.writeInt32(OpCode.sync.rawValue)
    handle(.forward(request: writer.array(), authInfo: []))
  }

  func revalidate(session: Int64, timeoutMs: Int32) {
    handle(.revalidate(session: session, timeoutMs: timeoutMs))
  }

  var keepsLog: Bool { peer.keepsLog }

  func resetStatistics() {
    let (unavailableSince, syncSince) = (quorum.unavailableSince, quorum.syncSince)
    quorum = QuorumStatistics()
    (quorum.unavailableSince, quorum.syncSince) = (unavailableSince, syncSince)
    proposalSizes = (-1, -1, -1)
  }

  var status: ReplicationStatus {
    let mode: ReplicationStatus.Mode =
      switch peer.state {
      case .leading: .leader
      case .observing: .observer
      case .looking where coordinator.isReadOnly: .readOnly
      default: .follower
      }
    var status = ReplicationStatus(mode: mode)
    let phase = peer.isServing ? "broadcast" : "synchronization"
    switch peer.state {
    case .looking: status.peerState = "looking"
    case .leading: status.peerState = "leading - \(phase)"
    case .following: status.peerState = "following - \(phase)"
    case .observing: status.peerState = "observing - \(phase)"
    }
    let counts = peer.learnerCounts
    status.learners = counts.all
    status.syncedFollowers = counts.all - counts.observers
    status.syncedObservers = counts.observers
    status.leader = peer.leaderID.map { Int64($0.rawValue) }
    status.nonVotingFollowers = peer.nonVotingFollowers
    status.pendingSyncs = syncs.count
    status.quorumSize = peer.membership.ensemble.voters.count
    status.proposalSizes = proposalSizes
    return status
  }
}
