import Groups
import KafkaProtocol
import TestKit
import Values

/// Runs a scenario written as a script and returns it with what happened after each command.
///
/// Commands, one a line: `join`, `sync`, `beat`, `leave`, `commit`, `fetch`, `advance`, `hold`,
/// `release`, `fail`, `failover`, `describe`, `list`, `delete`, `delete-offsets`, `expire`. Words
/// after the first are a token for the reply, and `key=value` pairs. Members are called by the
/// client's name and a number, in the order in which ids were given out: `A1`, `B1`, `A2`.
/// Appends are committed at once, unless `hold` says to keep them.
struct GroupScript {
  var config = GroupConfig()
  private(set) var shard: GroupShard
  /// Committed records: what a failover finds.
  private(set) var log: [GroupRecord] = []
  private var held: [(WriteID, [GroupRecord])] = []
  private var isHolding = false
  private var now = Moment(instant: .zero, wall: WallTime(milliseconds: 1_000_000))
  private var random = SplitMix(seed: 7)
  private var tokens: [RequestToken: String] = [:]
  private var names: [String: String] = [:]
  private var ids: [String: String] = [:]
  private var counts: [String: Int] = [:]
  private var transcript = InlineScript()

  init(_ change: (inout GroupConfig) -> Void = { _ in }) {
    change(&config)
    shard = GroupShard(config: config)
  }

  /// Runs a script whose lines with `>` are expectations.
  /// - Returns: the script as it would have to read; equal to `script` if all went as expected.
  mutating func run(_ script: String) -> String {
    transcript = InlineScript()
    for line in InlineScript.lines(script) {
      if let command = transcript.take(line) { perform(command) }
    }
    return transcript.text
  }

  private mutating func print(_ line: String) { transcript.say(line) }

  // MARK: Commands

  private mutating func perform(_ command: InlineScript.Command) {
    let (token, options) = (command.token, command.options)
    switch command.name {
    case "join": step(.join(join(options), named(token)))
    case "sync": step(.sync(sync(options), named(token)))
    case "beat": step(.heartbeat(beat(options), named(token)))
    case "leave": step(.leave(leave(options), named(token)))
    case "commit": step(.commitOffsets(commit(options), named(token)))
    case "delete": step(.deleteGroup(id: options["group"] ?? "g", named(token)))
    case "delete-offsets":
      step(.deleteOffsets(groupID: "g", partitions(options["of"]), named(token)))
    case "expire": step(.expire)
    case "marker":
      step(
        .transactionEnded(ProducerID(9), isCommitted: options["commit"] == "yes"))
    case "advance": advance(Int64(options["ms"] ?? "") ?? 0)
    case "hold": isHolding = true
    case "release": release(.none)
    case "fail": release(ErrorCode(Int16(options["code"] ?? "") ?? 0))
    case "failover": failover()
    case "fetch": fetch(options)
    case "describe": describe()
    case "list":
      for group in shard.list(states: options["states"].map { [$0] } ?? []) {
        print("\(group.id) \(group.protocolType) \(group.state)")
      }
    default: print("unknown command")
    }
  }

  private mutating func named(_ name: String) -> RequestToken {
    let token = RequestToken(UInt64(tokens.count + 1))
    tokens[token] = name
    return token
  }

  private func id(_ name: String?) -> String { name.map { ids[$0] ?? $0 } ?? "" }

  private func join(_ options: [String: String]) -> JoinCommand {
    var command = JoinCommand()
    command.groupID = options["group"] ?? "g"
    command.memberID = id(options["id"])
    command.instanceID = options["instance"]
    command.requiresKnownMemberID = options["v"] != "3"
    command.canSkipAssignment = options["v"] == "9"
    command.clientID = options["client"] ?? String((options["id"] ?? "").dropLast())
    command.clientHost = "/127.0.0.1"
    command.rebalanceTimeoutMs = Int32(options["rebalance"] ?? "") ?? 60_000
    command.sessionTimeoutMs = Int32(options["session"] ?? "") ?? 10_000
    command.protocolType = options["type"] ?? "stream"
    command.protocols = (options["protocols"] ?? "range").split(separator: ",").map { text in
      let parts = text.split(separator: ":")
      return MemberProtocol(
        name: String(parts[0]), metadata: Array((parts.count > 1 ? parts[1] : "").utf8))
    }
    return command
  }

  private func sync(_ options: [String: String]) -> SyncCommand {
    var command = SyncCommand()
    command.groupID = "g"
    command.memberID = id(options["id"])
    command.instanceID = options["instance"]
    command.generation = Int32(options["gen"] ?? "") ?? 1
    command.protocolName = options["protocol"]
    command.assignments = (options["assign"] ?? "").split(separator: ",").map { text in
      let parts = text.split(separator: ":").map(String.init)
      return (id(parts[0]), Array(parts[1].utf8))
    }
    return command
  }

  private func beat(_ options: [String: String]) -> HeartbeatCommand {
    var command = HeartbeatCommand()
    command.groupID = "g"
    command.memberID = id(options["id"])
    command.instanceID = options["instance"]
    command.generation = Int32(options["gen"] ?? "") ?? 1
    return command
  }

  private func leave(_ options: [String: String]) -> LeaveCommand {
    var command = LeaveCommand()
    command.groupID = "g"
    command.members = (options["ids"] ?? "").split(separator: ",").map {
      .init(memberID: id(String($0)))
    }
    command.members += (options["instances"] ?? "").split(separator: ",").map {
      .init(memberID: "", instanceID: String($0))
    }
    return command
  }

  private func commit(_ options: [String: String]) -> OffsetCommitCommand {
    var command = OffsetCommitCommand()
    command.groupID = options["group"] ?? "g"
    command.memberID = id(options["id"])
    command.instanceID = options["instance"]
    command.generation = Int32(options["gen"] ?? "") ?? -1
    if options["txn"] != nil {
      command.transaction = TransactionalProducer(id: ProducerID(9), epoch: 0)
    }
    command.commits = (options["at"] ?? "").split(separator: ",").map { text in
      let parts = text.split(separator: ":").map(String.init)
      return OffsetCommit(
        partitions(parts[0])[0],
        OffsetAndMetadata(
          offset: Int64(parts[1]) ?? 0, metadata: parts.count > 2 ? parts[2] : "",
          commitTimestamp: now.wall,
          expireTimestamp: options["keep"].flatMap(Int64.init).map {
            WallTime(milliseconds: now.wall.milliseconds + $0)
          }))
    }
    return command
  }

  private func partitions(_ text: String?) -> [TopicPartition] {
    (text ?? "").split(separator: ",").map { name in
      let parts = name.split(separator: "-")
      return TopicPartition(String(parts[0]), Int32(parts[1]) ?? 0)
    }
  }

  // MARK: Time, log, failover

  private mutating func advance(_ ms: Int64) {
    let end = now.instant.advanced(milliseconds: ms)
    while let next = shard.nextDeadline, next <= end {
      let passed = max(next.milliseconds(since: now.instant), 0)
      now.wall.milliseconds += passed
      now.instant = max(next, now.instant)
      step(.tick)
    }
    now.wall.milliseconds += end.milliseconds(since: now.instant)
    now.instant = end
  }

  private mutating func step(_ event: GroupEvent) {
    var effects: [GroupEffect] = []
    shard.step(event, at: now, random: &random, into: &effects)
    for effect in effects {
      switch effect {
      case .reply(let token, let reply): show(tokens[token] ?? "?", reply)
      case .append(let id, let records, _):
        if isHolding {
          held.append((id, records))
        } else {
          let base = Int64(log.count)
          log += records
          step(.appendFinished(id, error: .none, baseOffset: base))
        }
      case .note: break
      }
    }
  }

  private mutating func release(_ error: ErrorCode) {
    isHolding = false
    let waiting = held
    held = []
    for (id, records) in waiting {
      let base = Int64(log.count)
      if error == .none { log += records }
      step(.appendFinished(id, error: error, baseOffset: base))
    }
  }

  /// The old coordinator is told, and another one loads what was committed, through the bytes.
  private mutating func failover() {
    step(.resign)
    held = []
    var loader = GroupLoader()
    for (offset, record) in log.enumerated() {
      let bytes = record.encoded()
      loader.load(
        key: bytes.key.span.bytes, value: bytes.value?.span.bytes, offset: Int64(offset))
    }
    var effects: [GroupEffect] = []
    shard = loader.finish(config: config, at: now, into: &effects)
  }

  // MARK: Showing

  private mutating func name(_ id: String) -> String {
    if id.isEmpty { return "-" }
    if let known = names[id] { return known }
    // The client's name is what precedes the UUID's 36 characters and a dash.
    let client = id.count > 37 ? String(id.dropLast(37)) : id
    counts[client, default: 0] += 1
    let name = "\(client)\(counts[client] ?? 0)"
    names[id] = name
    ids[name] = id
    return name
  }

  private mutating func show(_ token: String, _ reply: GroupReply) {
    switch reply {
    case .join(let join):
      var line = "\(token) join \(join.error.name) \(name(join.memberID))"
      if join.error == .none {
        line += " gen=\(join.generation) \(join.protocolName ?? "-") leader=\(name(join.leaderID))"
        if join.skipsAssignment { line += " skip" }
        for member in join.members {
          line += " \(name(member.id)):\(String(decoding: member.metadata, as: UTF8.self))"
        }
      }
      print(line)
    case .sync(let sync):
      let share = String(decoding: sync.assignment, as: UTF8.self)
      print("\(token) sync \(sync.error.name)" + (sync.error == .none ? " '\(share)'" : ""))
    case .heartbeat(let error): print("\(token) beat \(error.name)")
    case .leave(let leave):
      print(
        "\(token) leave \(leave.error.name)"
          + leave.members.map { " \($0.error.name)" }.joined())
    case .offsetCommit(let results):
      print(
        "\(token) commit"
          + results.map { " \($0.partition)=\($0.error.name)" }.joined())
    case .deleteGroup(let error): print("\(token) delete \(error.name)")
    case .deleteOffsets(let error, let results):
      print(
        "\(token) delete-offsets \(error.name)"
          + results.map { " \($0.partition)=\($0.error.name)" }.joined())
    }
  }

  private mutating func fetch(_ options: [String: String]) {
    let wanted = options["of"].map { partitions($0) }
    let offsets = shard.fetchOffsets(
      options["group"] ?? "g", wanted, requireStable: options["stable"] == "yes")
    if offsets.isEmpty { print("nothing") }
    for offset in offsets {
      print(
        "\(offset.partition) \(offset.offset)"
          + (offset.metadata.isEmpty ? "" : " '\(offset.metadata)'")
          + (offset.error == .none ? "" : " \(offset.error.name)"))
    }
  }

  private mutating func describe() {
    let group = shard.describe("g")
    var line = "\(group.state.rawValue) gen=\(shard.generation(of: "g") ?? -1)"
    if !group.protocolName.isEmpty { line += " \(group.protocolName)" }
    for member in group.members {
      line += " \(name(member.id))"
      if !member.assignment.isEmpty {
        line += ":\(String(decoding: member.assignment, as: UTF8.self))"
      }
    }
    print(line)
  }
}
