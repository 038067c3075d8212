import Raft
import Values

// A metadata quorum on a simulated network and disks: carries out what the machines ask for.
//
// Messages are lost, delayed and overtake each other; a request that is lost is never answered, one
// that comes to a closed port is refused. Disks lose what was not synced, by whole batches.

/// What can happen in a simulated quorum.
enum RaftSimulationEvent {
  case message(RaftMessage, from: Int, to: Int, fromLife: Int)
  case timer(server: Int, life: Int)
  case flushed(server: Int, life: Int, flush: (generation: Int, count: Int))
  case restart(server: Int, life: Int)
  case client
  case operate
  case fault
}

/// A simulated quorum, brokers included.
public struct RaftCluster {
  static let clusterID = "simulated"
  static let listener = "CONTROLLER"

  var options = RaftOptions()
  let sabotage: RaftSabotage?
  /// In force when the voters are static, that is, while no voters record is in a log.
  let staticVoters: VoterSet
  var servers: [RaftServer]
  var network = SimulatedNetwork<RaftMessage>()
  var events = EventQueue<RaftSimulationEvent>()
  var random: SplitMix
  public internal(set) var now = Instant.zero
  public internal(set) var trace: Trace
  public internal(set) var invariants = RaftInvariants()
  /// Of a thousand messages so many are lost.
  var lossPermille: UInt64 = 0
  var flushMs: ClosedRange<Int64> = 1...8
  var requests: UInt64 = 0
  var tokens: UInt64 = 0
  /// Values that clients have offered, and those that were acknowledged.
  var offered = 0
  public internal(set) var acknowledged = 0
  public internal(set) var counts = RaftCounts()
  /// A snapshot is made whenever so many records were committed since the last one; 0: never.
  var snapshotInterval = 0
  var directories: UInt64 = 0
  /// Whether controllers make themselves voters.
  var joinsAutomatically = false

  /// - Parameters:
  ///   - voters: servers 1 to `voters` vote at first; the others are observers.
  ///   - isDynamic: whether kraft.version is 1, with the voters in a bootstrap snapshot.
  public init(
    servers count: Int, voters: Int, brokers: Int = 0, isDynamic: Bool, seed: UInt64,
    sabotage: RaftSabotage? = nil, recording: Bool = false
  ) {
    self.sabotage = sabotage
    random = SplitMix(seed: seed)
    trace = Trace(isRecording: recording)
    servers = (1...count).map { number in
      RaftServer(
        key: ReplicaKey(BrokerID(Int32(number)), directory: Uuid(high: 1, low: UInt64(number))))
    }
    directories = UInt64(count)
    for index in (count - brokers)..<count { servers[index].isBroker = true }
    let initial = servers.prefix(voters).map(\.key)
    staticVoters =
      isDynamic
      ? .empty
      : VoterSet(initial.map { Voter(ReplicaKey($0.id), endpoints: Self.endpoints(of: $0.id)) })
    guard isDynamic else { return }
    let set = VoterSet(initial.map { Voter($0, endpoints: Self.endpoints(of: $0.id)) })
    for index in 0..<voters {
      servers[index].disk.snapshots = [
        RaftSnapshot(id: RaftLog.bootstrapSnapshot, history: [], voters: set, kraftVersion: 1)
      ]
      servers[index].formatted = servers[index].disk
    }
  }

  static func endpoints(of id: BrokerID) -> [Endpoint] {
    [Endpoint(listener: listener, host: "node\(id.rawValue)", port: 9093)]
  }

  public var violations: [String] { invariants.violations }
  public var committedCount: Int { invariants.committed.count }

  func index(_ node: RaftNode) -> Int { (Int(node.host.dropFirst(4)) ?? 1) - 1 }

  // MARK: Life

  /// Starts a server from its disk.
  mutating func start(_ index: Int) {
    servers[index].life += 1
    servers[index].timerAt = .distantFuture
    let log = servers[index].disk.recover()
    servers[index].applied = servers[index].disk.snapshots.last?.history ?? []
    var configuration = RaftConfiguration(
      own: servers[index].key, clusterID: Self.clusterID, listener: Self.listener,
      endpoints: servers[index].isBroker ? [] : Self.endpoints(of: servers[index].key.id),
      staticVoters: staticVoters)
    configuration.options = options
    configuration.flushesAsObserver = !servers[index].isBroker
    configuration.bootstrapServers = servers.filter { !$0.isBroker }
      .map { (host: "node\($0.name)", port: 9093) }
    configuration.joinsAutomatically = joinsAutomatically && !servers[index].isBroker
    let election = servers[index].disk.election
    servers[index].machine = RaftMachine(
      configuration, election: election, log: log, seed: random.next())
    if let epoch = servers[index].machine?.epoch { invariants.enters(epoch, &servers[index]) }
    trace.note(now, "\(servers[index].name) starts, its log ends at \(log.end)")
    step(index, .start)
  }

  /// Ends a server at once; its disk loses what it may lose.
  mutating func crash(_ index: Int) {
    guard servers[index].isUp else { return }
    counts.crashes += 1
    servers[index].machine = nil
    servers[index].life += 1
    servers[index].isFlushing = false
    servers[index].crashCountdown = nil
    servers[index].inbox = []
    servers[index].isStepping = false
    for id in servers[index].asked.keys.sorted() {
      guard let asked = servers[index].asked[id] else { continue }
      send(.failed(asked.correlation, isRefused: false), from: index, to: asked.from)
    }
    servers[index].asked = [:]
    servers[index].waiting = []
    servers[index].partial = nil
    servers[index].disk.log.crash(using: &random)
    if sabotage == .forgetsVotes, let epoch = servers[index].disk.election?.epoch {
      servers[index].disk.election = ElectionState(epoch: epoch)
    }
    if sabotage == .keepsDirectoryOfLostDisk {
      servers[index].disk = servers[index].formatted
      servers[index].greatestEpoch = LeaderEpoch(0)
    }
    trace.note(now, "\(servers[index].name) crashes")
    trace.mix(UInt64(index))
  }

  /// The disk is replaced by an empty one; whoever comes back is another replica.
  mutating func loseDisk(_ index: Int) {
    crash(index)
    servers[index].disk = RaftDisk()
    servers[index].greatestEpoch = LeaderEpoch(0)
    directories += 1
    servers[index].key.directory = Uuid(high: 1, low: directories)
    trace.note(now, "\(servers[index].name) gets a new disk")
  }

  mutating func schedule(_ event: RaftSimulationEvent, inMs delay: Int64) {
    events.schedule(event, at: now.advanced(milliseconds: delay))
  }

  // MARK: Steps

  mutating func step(_ index: Int, _ event: RaftEvent) {
    guard servers[index].isUp else { return }
    servers[index].inbox.append(event)
    guard !servers[index].isStepping else { return }
    let life = servers[index].life
    servers[index].isStepping = true
    while servers[index].life == life, !servers[index].inbox.isEmpty {
      var effects: [RaftEffect] = []
      let event = servers[index].inbox.removeFirst()
      servers[index].machine?.step(event, at: now, into: &effects)
      carryOut(effects, index)
    }
    guard servers[index].life == life else { return }
    servers[index].isStepping = false
    if servers[index].machine?.isStopped == false { armTimer(index) }
  }

  private mutating func carryOut(_ effects: [RaftEffect], _ index: Int) {
    let life = servers[index].life
    for effect in effects {
      guard servers[index].life == life else { return }
      if let left = servers[index].crashCountdown {
        // A crash may come between any two effects.
        if left == 0 { return crashForAWhile(index) }
        servers[index].crashCountdown = left - 1
      }
      carryOut(effect, index)
    }
  }

  mutating func crashForAWhile(_ index: Int) {
    crash(index)
    let back = Int64.random(in: 20...2500, using: &random)
    schedule(.restart(server: index, life: servers[index].life), inMs: back)
  }

  /// Schedules the machine's next deadline, unless an earlier call is on its way.
  private mutating func armTimer(_ index: Int) {
    guard let deadline = servers[index].machine?.nextDeadline, deadline != .distantFuture,
      deadline < servers[index].timerAt
    else { return }
    // A deadline that has passed would stop the clock; the next millisecond is soon enough.
    let at = max(deadline, now.advanced(milliseconds: deadline <= now ? 1 : 0))
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

  private mutating func handle(_ event: RaftSimulationEvent) {
    switch event {
    case .message(let message, let from, let to, let life):
      deliver(message, from: from, to: to, fromLife: life)
    case .timer(let index, let life):
      guard servers[index].life == life, servers[index].timerAt <= now else { return }
      servers[index].timerAt = .distantFuture
      trace.mix(UInt64(index))
      step(index, .timer)
    case .flushed(let index, let life, let flush):
      guard servers[index].life == life else { return }
      flushed(index, flush)
    case .restart(let index, let life):
      guard servers[index].life == life, !servers[index].isUp else { return }
      start(index)
    case .client: offerWrites()
    case .operate: operate()
    case .fault: injectFault()
    }
  }

  // MARK: Network

  mutating func send(_ message: RaftMessage, from: Int, to: Int) {
    guard network.canReach(from, to), random.next() % 1000 >= lossPermille else { return }
    schedule(
      .message(message, from: from, to: to, fromLife: servers[from].life),
      inMs: network.delay(using: &random))
  }

  private mutating func deliver(_ message: RaftMessage, from: Int, to: Int, fromLife: Int) {
    guard network.canReach(from, to) else { return }
    trace.mix(UInt64(from * 64 + to))
    switch message {
    case .request(let request, let correlation):
      guard servers[to].isUp, servers[to].machine?.isStopped == false else {
        return send(.failed(correlation, isRefused: true), from: to, to: from)
      }
      requests += 1
      let id = RequestID(requests)
      servers[to].asked[id] = (from, fromLife, correlation)
      note(request, from: from, to: to)
      if case .apiVersions = request {
        let response = ApiVersionsResponse(.none, kraftVersions: 0...1)
        return respond(id, .apiVersions(response), to)
      }
      step(to, .request(request, id: id))
    case .response(let response, let correlation, let batches, let snapshot):
      guard servers[to].isUp else { return }
      note(response, from: from, to: to, batches)
      servers[to].received = batches
      servers[to].receivedSnapshot = snapshot
      step(to, .response(received(response, batches), to: correlation))
      servers[to].received = []
      servers[to].receivedSnapshot = nil
    case .failed(let correlation, let isRefused):
      step(to, .requestFailed(correlation, isRefused: isRefused))
    }
  }

  /// A response as its receiver's driver decodes it.
  private func received(_ response: RaftResponse, _ batches: [RaftBatch]) -> RaftResponse {
    switch response {
    case .fetch(var fetch):
      if case .read = fetch.records {
        let described = batches.enumerated().map { index, batch in
          var described = batch.described
          described.token = Token(index)
          return described
        }
        fetch.records = .batches(described)
      }
      return .fetch(fetch)
    case .fetchSnapshot(var fetch):
      if case .read(let count) = fetch.chunk {
        fetch.chunk = .bytes(token: 0, count: Int64(count))
      }
      return .fetchSnapshot(fetch)
    default:
      return response
    }
  }
}

/// How often a run reached what it is there for.
public struct RaftCounts: Hashable, Sendable {
  public var crashes = 0
  public var leaders = 0
  public var truncations = 0
  public var snapshotsInstalled = 0
  public var voterChanges = 0
  public var lostDisks = 0

  public init() {}

  public static func += (a: inout Self, b: Self) {
    a.crashes += b.crashes
    a.leaders += b.leaders
    a.truncations += b.truncations
    a.snapshotsInstalled += b.snapshotsInstalled
    a.voterChanges += b.voterChanges
    a.lostDisks += b.lostDisks
  }
}
