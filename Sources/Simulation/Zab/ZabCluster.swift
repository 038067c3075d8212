import Bytes
import Values
import Zab
import ZooKeeperProtocol

// An ensemble on the simulated network and disks: carries out what the peers ask for.

/// What can happen in a simulated ensemble.
enum ZabEvent {
  case network(SimulatedNetwork<ZabMessage>.Event)
  case timer(server: Int, life: Int)
  case flushed(server: Int, life: Int, flush: (generation: Int, count: Int))
  /// An attempt to connect to the leader reaches it, or fails.
  case connecting(from: Int, to: ServerID, life: Int, attempt: Int)
  /// The election link of a pair may be tried.
  case linkElection(Int, Int)
  case restart(server: Int, life: Int)
  case client
  case fault
  /// Somebody asks for another ensemble.
  case reconfigure
}

/// A simulated ensemble.
public struct ZabCluster {
  typealias Network = SimulatedNetwork<ZabMessage>

  let timing: EnsembleTiming
  let sabotage: ZabSabotage?
  var servers: [ZabServer]
  var network = Network()
  var events = EventQueue<ZabEvent>()
  var random: SplitMix
  public internal(set) var now = Instant.zero
  public internal(set) var trace: Trace
  public internal(set) var invariants = ZabInvariants()
  /// Election links by pair, lower server first.
  var electionLinks: [Int: Int] = [:]
  /// Writes offered by clients, and those a leader has answered.
  var offered = 0
  public internal(set) var acknowledged = 0
  /// Milliseconds a flush takes.
  var flushMs: ClosedRange<Int64> = 1...8
  var connectAttempts = 0
  /// Whether something before every server takes connections for it, also while it does not listen.
  var isProxied = false
  /// Whether observers keep logs; otherwise they have pauses as well, as a large fleet would.
  var observersKeepLogs = true
  /// Whether the ensemble may be changed while it runs.
  let isChangeable: Bool
  /// Reconfigurations that a leader has committed.
  public internal(set) var reconfigured = 0

  /// - Parameters:
  ///   - count: Servers that vote at first.
  ///   - observers: Servers that watch at first.
  ///   - spares: Servers that are in no configuration at first, and know of the others.
  public init(
    servers count: Int, observers: Int = 0, spares: Int = 0, seed: UInt64,
    isChangeable: Bool = false, observersKeepLogs: Bool = true, sabotage: ZabSabotage? = nil,
    recording: Bool = false, starting: Bool = true
  ) {
    self.isChangeable = isChangeable
    self.observersKeepLogs = observersKeepLogs
    let members = (1...(count + observers)).map { id in
      var member = Self.member(id)
      member.isObserver = id > count
      return member
    }
    let first = EnsembleConfig(servers: members)
    let ids = (1...(count + observers + spares)).map { ServerID(Int64($0)) }
    var timing = EnsembleTiming(tickTimeMs: 200, initLimit: 10, syncLimit: 5)
    timing.finalizeWaitMs = 50
    timing.minNotificationIntervalMs = 50
    timing.maxNotificationIntervalMs = 1000
    timing.connectRetryMs = 30
    self.timing = timing
    self.sabotage = sabotage
    random = SplitMix(seed: seed)
    trace = Trace(isRecording: recording)
    servers = ids.map { id in
      var server = ZabServer(id: id)
      // A server that is to join starts with a configuration of its own that names it.
      server.disk.config =
        first.server(id.rawValue) == nil
        ? EnsembleConfig(servers: members + [Self.member(Int(id.rawValue))]) : first
      return server
    }
    if starting { for index in servers.indices { start(index) } }
    for low in servers.indices {
      for high in servers.indices where high > low { relink(low, high) }
    }
  }

  static func member(_ id: Int) -> EnsembleServer {
    EnsembleServer(id: Int64(id), host: "s\(id)", quorumPort: 2888, electionPort: 3888)
  }

  /// What the invariants found.
  public var violations: [String] { invariants.violations }
  public var committedCount: Int { invariants.committed.count }

  func index(_ id: ServerID) -> Int { Int(id.rawValue) - 1 }

  // MARK: Life

  /// Starts a server from its disk: everything that is left of its log is in its tree.
  mutating func start(_ index: Int) {
    servers[index].life += 1
    let disk = servers[index].disk
    let tree = disk.recover()
    servers[index].tree = tree
    servers[index].unapplied = []
    let last = max(tree.last?.zxid ?? .zero, disk.snapshot.zxid)
    servers[index].gate = DurabilityGate(durable: last)
    var configuration = PeerConfiguration(
      own: servers[index].id,
      membership: Membership(
        disk.config, next: disk.nextConfig, isChangeable: isChangeable),
      timing: timing)
    configuration.commitLogCount = 20
    configuration.observerKeepsLog = observersKeepLogs
    if !observersKeepLogs {
      configuration.observerElectionDelayMs = 50
      configuration.observerReconnectDelayMs = 30
      configuration.seed = UInt64(index * 1000 + servers[index].life)
    }
    let recent = tree.filter { $0.zxid > disk.snapshot.zxid }
    servers[index].peer = Peer(
      configuration, epochs: disk.epochs, lastProcessed: last, recent: recent)
    servers[index].timerAt = .distantFuture
    trace.note(now, "\(servers[index].id) starts at \(last), \(disk.epochs.text)")
    step(index, .start)
  }

  /// Ends a server at once. Its connections are cut, its disk loses what it may lose.
  mutating func crash(_ index: Int) {
    guard servers[index].isUp else { return }
    trace.note(now, "\(servers[index].id) crashes")
    servers[index].peer = nil
    servers[index].life += 1
    servers[index].isFlushing = false
    servers[index].crashCountdown = nil
    servers[index].disk.log.crash(using: &random)
    servers[index].leaderLink = nil
    servers[index].learnerLinks = [:]
    for id in network.connections(of: index) { cut(id) }
  }

  mutating func schedule(_ event: ZabEvent, inMs delay: Int64) {
    events.schedule(event, at: now.advanced(milliseconds: delay))
  }

  mutating func schedule(_ event: (at: Instant, event: Network.Event)?) {
    if let event { events.schedule(.network(event.event), at: event.at) }
  }

  mutating func cut(_ id: Network.ConnectionID) {
    for event in network.cut(id, at: now, using: &random) { schedule(event) }
  }

  // MARK: Election links

  /// Brings a pair's election link up if both are there, and tries again later if not.
  mutating func relink(_ low: Int, _ high: Int) {
    let pair = low * 100 + high
    guard electionLinks[pair] == nil else { return }
    guard servers[low].isUp, servers[high].isUp, network.canReach(low, high) else {
      tellRefused(low, high)
      return schedule(.linkElection(low, high), inMs: 60)
    }
    electionLinks[pair] = network.open(from: high, to: low)
    step(low, .electionLinkUp(servers[high].id))
    step(high, .electionLinkUp(servers[low].id))
  }

  /// Whoever tries to link up with a server that is down is refused. Behind a broken network a few
  /// are refused as well, in the name of servers that run: the machines must survive the mistake.
  private mutating func tellRefused(_ low: Int, _ high: Int) {
    for (index, other) in [(low, high), (high, low)] where servers[index].isUp {
      guard !servers[other].isUp || random.next() % 4 == 0 else { continue }
      step(index, .electionLinkRefused(servers[other].id))
    }
  }

  // MARK: Steps

  mutating func step(_ index: Int, _ event: PeerEvent) {
    guard servers[index].isUp else { return }
    var effects: [PeerEffect] = []
    servers[index].peer?.step(event, at: now, into: &effects)
    let life = servers[index].life
    for effect in effects {
      guard servers[index].life == life else { return }
      if let left = servers[index].crashCountdown {
        // A crash may come between any two effects.
        if left == 0 {
          crash(index)
          let back = Int64.random(in: 20...1500, using: &random)
          schedule(.restart(server: index, life: servers[index].life), inMs: back)
          return
        }
        servers[index].crashCountdown = left - 1
      }
      carryOut(effect, index)
    }
    armTimer(index)
  }

  /// Schedules the peer's next deadline, unless an earlier call is on its way.
  private mutating func armTimer(_ index: Int) {
    guard let deadline = servers[index].peer?.nextDeadline, deadline != .distantFuture,
      deadline < servers[index].timerAt
    else { return }
    let at = max(deadline, now)
    servers[index].timerAt = at
    events.schedule(.timer(server: index, life: servers[index].life), at: at)
  }

  /// Takes the next event; false when none is left before `end`.
  mutating func runOne(until end: Instant) -> Bool {
    guard let next = events.nextTime, next <= end, let (at, event) = events.next() else {
      now = max(now, end)
      return false
    }
    now = at
    trace.mix(at.nanoseconds)
    handle(event)
    return true
  }

  private mutating func handle(_ event: ZabEvent) {
    switch event {
    case .network(.pump(let id, let toAccepter)): pump(id, toAccepter)
    case .network(.closed(let id, let atAccepter)): closed(id, atAccepter)
    case .timer(let index, let life):
      guard servers[index].life == life, servers[index].timerAt <= now else { return }
      servers[index].timerAt = .distantFuture
      trace.mix(Int64(index))
      step(index, .timer)
    case .flushed(let index, let life, let flush): flushed(index, life, flush)
    case .connecting(let from, let to, let life, let attempt):
      connect(from, to, life, attempt)
    case .linkElection(let low, let high): relink(low, high)
    case .restart(let index, let life):
      guard servers[index].life == life, !servers[index].isUp else { return }
      start(index)
    case .client: offerWrite()
    case .fault: injectFault()
    case .reconfigure: offerReconfiguration()
    }
  }

  // MARK: Network

  private mutating func pump(_ id: Network.ConnectionID, _ toAccepter: Bool) {
    let (arrival, retryAt) = network.pump(id, toAccepter: toAccepter, at: now)
    if let retryAt {
      events.schedule(.network(.pump(id, toAccepter: toAccepter)), at: retryAt)
    }
    guard case .message(let message) = arrival, let connection = network[id] else { return }
    let to = toAccepter ? connection.accepter : connection.opener
    let from = toAccepter ? connection.opener : connection.accepter
    guard servers[to].isUp else { return }
    trace.mix(UInt64(to * 16 + from))
    switch message {
    case .notification(let notification, let config):
      trace.mix(notification.vote.leader.rawValue)
      trace.note(
        now, "\(servers[from].id) > \(servers[to].id) \(notification.state), "
          + "vote \(notification.vote.leader) at \(notification.vote.zxid)")
      if let known = servers[to].peer?.membership.current, config.version > known.version {
        step(to, .heardConfig(config))
      }
      step(to, .notification(notification, from: servers[from].id))
    case .packet(let packet):
      trace.mix(Int64(packet.type.rawValue) << 48 ^ packet.zxid)
      if packet.type != .ping {
        trace.note(
          now, "\(servers[from].id) > \(servers[to].id) \(packet.type.name) "
            + "\(Zxid(rawValue: packet.zxid))")
      }
      if servers[to].leaderLink == id {
        step(to, .leaderPacket(packet))
      } else if let learner = learner(on: id, of: to) {
        step(to, .learnerPacket(learner, packet))
      }
    case .snapshot(let zxid, let tree):
      guard servers[to].leaderLink == id else { return }
      install(to, zxid, tree, over: id)
    }
  }

  private func learner(on id: Network.ConnectionID, of index: Int) -> LearnerID? {
    servers[index].learnerLinks.keys.sorted().first { servers[index].learnerLinks[$0] == id }
  }

  /// A snapshot in one piece. Both files change at once: a crash between them is the real driver's
  /// to survive, which writes the snapshot aside before it removes the log.
  private mutating func install(
    _ index: Int, _ zxid: Zxid, _ tree: [Proposal], over id: Network.ConnectionID
  ) {
    step(index, .leaderPacket(QuorumPacket(.snap, zxid: zxid.rawValue)))
    guard servers[index].leaderLink == id else { return }
    trace.note(now, "\(servers[index].id) installs the snapshot at \(zxid)")
    servers[index].disk.snapshot = (zxid, tree)
    servers[index].disk.log.removeAll()
    servers[index].tree = tree
    servers[index].unapplied = []
    servers[index].gate.reset(durable: zxid)
    step(index, .snapshotInstalled(zxid))
  }

  private mutating func closed(_ id: Network.ConnectionID, _ atAccepter: Bool) {
    guard let connection = network[id] else { return }
    let index = atAccepter ? connection.accepter : connection.opener
    trace.mix(UInt64(id * 2 + (atAccepter ? 1 : 0)))
    for pair in electionLinks.keys.sorted() where electionLinks[pair] == id {
      electionLinks[pair] = nil
      schedule(.linkElection(pair / 100, pair % 100), inMs: 40)
      return
    }
    if servers[index].leaderLink == id {
      servers[index].leaderLink = nil
      servers[index].gate.dropAll()
      step(index, .leaderDisconnected)
    } else if let learner = learner(on: id, of: index) {
      servers[index].learnerLinks[learner] = nil
      step(index, .learnerDisconnected(learner))
    }
  }

  /// An attempt to connect arrives: refused unless the other side leads and can be reached. Behind
  /// a proxy it opens all the same, and ends when the proxy finds nobody.
  private mutating func connect(_ from: Int, _ leader: ServerID, _ life: Int, _ attempt: Int) {
    guard servers[from].life == life, servers[from].leaderLink == -attempt else { return }
    let to = index(leader)
    guard servers[to].isLeading, network.canReach(from, to) else {
      if isProxied {
        let id = network.open(from: from, to: to)
        servers[from].leaderLink = id
        step(from, .leaderConnected)
        return cut(id)
      }
      servers[from].leaderLink = nil
      return step(from, .leaderDisconnected)
    }
    let id = network.open(from: from, to: to)
    servers[from].leaderLink = id
    servers[to].learnersAccepted += 1
    let learner = LearnerID(servers[to].learnersAccepted)
    servers[to].learnerLinks[learner] = id
    step(to, .learnerConnected(learner))
    step(from, .leaderConnected)
  }

  // MARK: Disk

  /// One flush at a time; what is appended meanwhile waits for the next, as in group commit.
  mutating func beginFlush(_ index: Int) {
    guard !servers[index].isFlushing else { return }
    servers[index].isFlushing = true
    let flush = servers[index].disk.log.beginFlush()
    let delay = Int64.random(in: flushMs, using: &random)
    schedule(.flushed(server: index, life: servers[index].life, flush: flush), inMs: delay)
  }

  private mutating func flushed(
    _ index: Int, _ life: Int, _ flush: (generation: Int, count: Int)
  ) {
    guard servers[index].life == life else { return }
    servers[index].isFlushing = false
    if servers[index].disk.log.completeFlush(flush), flush.count > 0 {
      let zxid = servers[index].disk.log.entries[flush.count - 1].zxid
      trace.mix(zxid.rawValue)
      var released: [QuorumPacket] = []
      servers[index].gate.flushed(zxid) { released.append($0) }
      for packet in released { sendToLeader(packet, index) }
      step(index, .flushed(zxid))
    }
    guard servers[index].life == life else { return }
    if servers[index].disk.log.durableCount < servers[index].disk.log.entries.count {
      beginFlush(index)
    }
  }

  mutating func sendToLeader(_ packet: QuorumPacket, _ index: Int) {
    guard let link = servers[index].leaderLink, link > 0 else { return }
    schedule(
      network.send(.packet(packet), over: link, toAccepter: true, at: now, using: &random))
  }
}
