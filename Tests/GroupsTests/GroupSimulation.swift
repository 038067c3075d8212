import Groups
import KafkaProtocol
import Values

/// A group of consumers, a log and a coordinator that fails over, driven by one seed.
///
/// Consumers follow the classic protocol as clients do: find the coordinator, join, sync,
/// heartbeat, commit what they have "read", leave or die. The network delays and loses messages;
/// the coordinator loses what was not committed when it fails over.
struct GroupSimulation {
  static let group = "g"
  static let partitions = 6

  struct Consumer {
    enum Phase: Equatable { case joining, syncing, consuming }
    var name: Int
    var instance: String?
    var memberID = ""
    var generation: Int32 = -1
    var phase = Phase.joining
    var isAlive = true
    var assignment: [Int] = []
    /// The request that is under way, and when it is given up.
    var waiting: RequestToken?
    var deadline: Int64 = 0
    var nextHeartbeat: Int64 = 0
    var leaderRoster: [JoinReply.Member] = []
    /// When it last was part of a stable generation, for liveness.
    var lastStable: Int64 = 0
  }

  private(set) var violations: [String] = []
  private(set) var digest: UInt64 = 14_695_981_039_346_656_037
  private(set) var generations = 0
  private(set) var commits = 0
  private(set) var failovers = 0

  private var random: SplitMix
  private var ids: SplitMix
  private var now: Int64 = 0
  private var shard: GroupShard
  private var log: [GroupRecord] = []
  private var unreplicated: [(WriteID, [GroupRecord])] = []
  private var consumers: [Consumer] = []
  private var nextName = 0
  private var nextToken: UInt64 = 0
  private var requests: [RequestToken: (consumer: Int, commits: [(Int, Int64)])] = [:]
  private var mail: [(at: Int64, token: RequestToken, reply: GroupReply)] = []
  private var isDown = false
  /// By generation: which member was given each partition.
  private var owners: [Int32: [Int: String]] = [:]
  private var lastGeneration: Int32 = 0
  /// What each partition's last acknowledged commit was.
  private var acknowledged: [Int: Int64] = [:]
  private var nextOffset: Int64 = 1
  private var answered: Set<RequestToken> = []

  init(seed: UInt64) {
    random = SplitMix(seed: seed)
    ids = SplitMix(seed: seed &+ 1)
    var config = GroupConfig()
    config.initialRebalanceDelayMs = 500
    shard = GroupShard(config: config)
  }

  private var moment: Moment {
    Moment(
      instant: Instant(milliseconds: now), wall: WallTime(milliseconds: 1_000_000 + now))
  }

  private mutating func chance(_ percent: Int) -> Bool {
    Int.random(in: 0..<100, using: &random) < percent
  }

  private mutating func note(_ text: String) {
    for byte in text.utf8 { digest = (digest ^ UInt64(byte)) &* 1_099_511_628_211 }
  }

  // MARK: Running

  /// A storm of so many steps of 50 ms, then a calm in which everybody must become stable.
  mutating func run(steps: Int) {
    for _ in 0..<3 { addConsumer() }
    for _ in 0..<steps {
      disturb()
      turn(lossPercent: 3)
    }
    isDown = false
    for _ in 0..<1_200 { turn(lossPercent: 0) }
    checkLiveness()
  }

  private mutating func turn(lossPercent: Int) {
    now += 50
    replicate()
    let due = mail.filter { $0.at <= now }
    mail.removeAll { $0.at <= now }
    for letter in due where !chance(lossPercent) { deliver(letter.token, letter.reply) }
    if let next = shard.nextDeadline, next <= moment.instant { step(.tick) }
    if !isDown {
      for index in consumers.indices where consumers[index].isAlive { act(index, lossPercent) }
    }
    checkGroup()
  }

  private mutating func disturb() {
    switch Int.random(in: 0..<400, using: &random) {
    case 0..<4 where consumers.count(where: \.isAlive) < 5: addConsumer()
    case 4..<7:
      // Dies without a word; a static one may come back later.
      if let index = consumers.indices.filter({ consumers[$0].isAlive }).randomElement(
        using: &random)
      {
        consumers[index].isAlive = false
      }
    case 7..<9:
      if let index = consumers.indices.filter({ consumers[$0].isAlive }).randomElement(
        using: &random)
      {
        leave(index)
      }
    case 9..<11: failover()
    case 11: isDown.toggle()
    case 12..<15: isDown = false
    default: break
    }
  }

  private mutating func addConsumer() {
    nextName += 1
    var consumer = Consumer(name: nextName)
    consumer.lastStable = now
    if chance(30) {
      let free = ["i", "j", "k"].filter { instance in
        !consumers.contains { $0.isAlive && $0.instance == instance }
      }
      consumer.instance = free.isEmpty ? nil : free[0]
    }
    consumers.append(consumer)
  }

  private mutating func failover() {
    failovers += 1
    step(.resign)
    unreplicated.removeAll()
    // Replies of the old coordinator may still be on their way, or lost with it.
    if chance(50) { mail.removeAll() }
    var loader = GroupLoader()
    for (offset, record) in log.enumerated() {
      let bytes = record.encoded()
      loader.load(key: bytes.key.span.bytes, value: bytes.value?.span.bytes, offset: Int64(offset))
    }
    var effects: [GroupEffect] = []
    shard = loader.finish(config: shard.config, at: moment, into: &effects)
    perform(effects)
    checkCommitted()
  }

  // MARK: Coordinator's side

  private mutating func step(_ event: GroupEvent) {
    var effects: [GroupEffect] = []
    shard.step(event, at: moment, random: &ids, into: &effects)
    perform(effects)
  }

  private mutating func perform(_ effects: [GroupEffect]) {
    for effect in effects {
      switch effect {
      case .reply(let token, let reply):
        if !answered.insert(token).inserted { violations.append("\(token) answered twice") }
        mail.append((now + Int64.random(in: 0...200, using: &random), token, reply))
      case .append(let id, let records, _): unreplicated.append((id, records))
      case .note(let text): note(text)
      }
    }
  }

  /// Some of the appends reach all replicas; now and then one fails.
  private mutating func replicate() {
    while !unreplicated.isEmpty, chance(60) {
      let (id, records) = unreplicated.removeFirst()
      if chance(2) {
        step(.appendFinished(id, error: .notEnoughReplicas, baseOffset: -1))
        continue
      }
      let base = Int64(log.count)
      log += records
      for record in records { observe(record) }
      step(.appendFinished(id, error: .none, baseOffset: base))
    }
  }

  private mutating func observe(_ record: GroupRecord) {
    guard case .group(_, let value?) = record else { return }
    if value.generation < lastGeneration {
      violations.append("generation \(value.generation) stored after \(lastGeneration)")
    }
    if value.generation > lastGeneration { generations += 1 }
    lastGeneration = value.generation
    var owners: [Int: String] = [:]
    for member in value.members {
      for partition in Self.partitions(member.assignment) {
        if let other = owners[partition] {
          violations.append("\(partition) given to \(other) and \(member.memberID)")
        }
        owners[partition] = member.memberID
      }
    }
  }

  // MARK: Consumers' side

  private mutating func send(
    _ index: Int, _ lossPercent: Int, commits: [(Int, Int64)] = [],
    _ event: (RequestToken) -> GroupEvent
  ) {
    nextToken += 1
    let token = RequestToken(nextToken)
    requests[token] = (index, commits)
    if commits.isEmpty {
      consumers[index].waiting = token
      consumers[index].deadline = now + 30_000
    }
    // A lost request is noticed when it is given up.
    if !chance(lossPercent) { step(event(token)) }
  }

  private mutating func act(_ index: Int, _ lossPercent: Int) {
    let consumer = consumers[index]
    if consumer.waiting != nil {
      if now < consumer.deadline { return }
      consumers[index].waiting = nil
    }
    switch consumer.phase {
    case .joining: sendJoin(index, lossPercent)
    case .syncing: sendSync(index, lossPercent)
    case .consuming where now >= consumer.nextHeartbeat:
      consumers[index].nextHeartbeat = now + 1_000
      var beat = HeartbeatCommand()
      beat.groupID = Self.group
      beat.memberID = consumer.memberID
      beat.instanceID = consumer.instance
      beat.generation = consumer.generation
      send(index, lossPercent) { .heartbeat(beat, $0) }
    case .consuming:
      if !consumer.assignment.isEmpty, chance(10) { sendCommit(index, lossPercent) }
    }
  }

  private mutating func sendJoin(_ index: Int, _ lossPercent: Int) {
    let consumer = consumers[index]
    var join = JoinCommand()
    join.groupID = Self.group
    join.memberID = consumer.memberID
    join.instanceID = consumer.instance
    join.canSkipAssignment = true
    join.clientID = "c\(consumer.name)"
    join.rebalanceTimeoutMs = 5_000
    join.sessionTimeoutMs = 6_000
    join.protocolType = "consumer-like"
    join.protocols = [MemberProtocol(name: "range", metadata: [])]
    send(index, lossPercent) { .join(join, $0) }
  }

  private mutating func sendSync(_ index: Int, _ lossPercent: Int) {
    let consumer = consumers[index]
    var sync = SyncCommand()
    sync.groupID = Self.group
    sync.memberID = consumer.memberID
    sync.instanceID = consumer.instance
    sync.generation = consumer.generation
    let roster = consumer.leaderRoster
    for (place, member) in roster.enumerated() {
      let share = (0..<Self.partitions).filter { $0 % roster.count == place }
      sync.assignments.append((member.id, share.map(UInt8.init)))
    }
    send(index, lossPercent) { .sync(sync, $0) }
  }

  private mutating func sendCommit(_ index: Int, _ lossPercent: Int) {
    let consumer = consumers[index]
    var command = OffsetCommitCommand()
    command.groupID = Self.group
    command.memberID = consumer.memberID
    command.instanceID = consumer.instance
    command.generation = consumer.generation
    var commits: [(Int, Int64)] = []
    for partition in consumer.assignment {
      nextOffset += 1
      commits.append((partition, nextOffset))
      command.commits.append(
        OffsetCommit(
          TopicPartition("t", Int32(partition)),
          OffsetAndMetadata(offset: nextOffset, commitTimestamp: moment.wall)))
    }
    send(index, lossPercent, commits: commits) { .commitOffsets(command, $0) }
  }

  private mutating func leave(_ index: Int) {
    consumers[index].isAlive = false
    guard !consumers[index].memberID.isEmpty else { return }
    var command = LeaveCommand()
    command.groupID = Self.group
    command.members = [
      .init(memberID: consumers[index].memberID, instanceID: consumers[index].instance)
    ]
    nextToken += 1
    step(.leave(command, RequestToken(nextToken)))
  }

  private static func partitions(_ assignment: [UInt8]) -> [Int] { assignment.map(Int.init) }

  private mutating func deliver(_ token: RequestToken, _ reply: GroupReply) {
    guard let request = requests.removeValue(forKey: token) else { return }
    let index = request.consumer
    if case .offsetCommit(let results) = reply {
      // A commit that was acknowledged is kept whether or not its consumer still lives.
      for (commit, result) in zip(request.commits, results) where result.error == .none {
        commits += 1
        acknowledged[commit.0] = max(acknowledged[commit.0] ?? 0, commit.1)
      }
      return
    }
    guard consumers[index].isAlive, consumers[index].waiting == token else { return }
    consumers[index].waiting = nil
    note("\(now) \(index)")
    switch reply {
    case .join(let join): joined(index, join)
    case .sync(let sync): synced(index, sync)
    case .heartbeat(let error): failed(index, error)
    default: break
    }
  }

  private mutating func joined(_ index: Int, _ join: JoinReply) {
    if join.error == .memberIDRequired {
      consumers[index].memberID = join.memberID
      return
    }
    guard join.error == .none else { return failed(index, join.error) }
    consumers[index].memberID = join.memberID
    consumers[index].generation = join.generation
    consumers[index].leaderRoster = join.skipsAssignment ? [] : join.members
    consumers[index].phase = .syncing
  }

  private mutating func synced(_ index: Int, _ sync: SyncReply) {
    guard sync.error == .none else { return failed(index, sync.error) }
    let partitions = Self.partitions(sync.assignment)
    let consumer = consumers[index]
    consumers[index].assignment = partitions
    consumers[index].phase = .consuming
    consumers[index].nextHeartbeat = now
    note("\(consumer.generation) \(partitions)")
    for partition in partitions {
      let owner = consumer.instance ?? consumer.memberID
      if let other = owners[consumer.generation]?[partition], other != owner {
        violations.append("generation \(consumer.generation): \(partition) owned twice")
      }
      owners[consumer.generation, default: [:]][partition] = owner
    }
  }

  private mutating func failed(_ index: Int, _ error: ErrorCode) {
    switch error {
    case .none:
      consumers[index].lastStable = now
      return
    case .unknownMemberID, .fencedInstanceID, .illegalGeneration:
      if error != .illegalGeneration { consumers[index].memberID = "" }
    default: break
    }
    consumers[index].generation = -1
    consumers[index].assignment = []
    consumers[index].phase = .joining
  }

  // MARK: Invariants

  /// What was acknowledged is there after a failover, or something later is.
  private mutating func checkCommitted() {
    for partition in acknowledged.keys.sorted() {
      let stored = shard.fetchOffsets(
        Self.group, [TopicPartition("t", Int32(partition))], requireStable: false)[0].offset
      if stored < acknowledged[partition] ?? 0 {
        violations.append(
          "\(now): \(partition) went back to \(stored) from \(acknowledged[partition] ?? 0)")
      }
    }
  }

  private mutating func checkGroup() {
    checkCommitted()
    let summary = shard.describe(Self.group)
    var seen: Set<Int> = []
    for partition in summary.members.flatMap({ Self.partitions($0.assignment) })
    where !seen.insert(partition).inserted {
      violations.append("\(now): \(partition) assigned twice")
    }
  }

  /// After a calm everybody who lives consumes, in one generation, and owns every partition.
  private mutating func checkLiveness() {
    let alive = consumers.filter(\.isAlive)
    for consumer in alive
    where consumer.phase != .consuming || now - consumer.lastStable > 15_000 {
      violations.append("consumer \(consumer.name) is stuck in \(consumer.phase)")
    }
    if Set(alive.map(\.generation)).count > 1 { violations.append("generations differ") }
    let owned = alive.flatMap(\.assignment).sorted()
    if !alive.isEmpty, owned != Array(0..<Self.partitions) {
      violations.append("partitions owned: \(owned)")
    }
  }
}
