import KafkaProtocol
import TestKit
import Testing
import Transactions
import Values

/// Runs a scenario written as a script and returns it with what happened after each command.
///
/// Commands, one a line: `init`, `add`, `verify`, `commit`, `abort`, `written`, `refused`,
/// `advance`, `timeouts`, `expire`, `retry`, `hold`, `release`, `fail`, `failover`, `stored`,
/// `show`, `list`.
/// Words after the first are a token for the reply, and `key=value` pairs; `as=7/0` says who
/// speaks. Appends are committed at once, unless `hold` says to keep them. Producer ids are given
/// out from 7 on.
struct TransactionScript {
  var config = TransactionConfig()
  private(set) var shard: TransactionShard
  /// Committed records as bytes: what a failover finds.
  private var log: [(key: [UInt8], value: [UInt8]?)] = []
  private var held: [(TransactionWriteID, [TransactionRecord])] = []
  private var isHolding = false
  private var now = WallTime(milliseconds: 1_000_000)
  private var tokens: [TransactionToken: String] = [:]
  private var nextProducer: Int64 = 7
  private var transcript = InlineScript()

  init(_ change: (inout TransactionConfig) -> Void = { _ in }) {
    change(&config)
    shard = TransactionShard(config: config)
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
    let (name, options) = (command.token, command.options)
    let speaker = TransactionCommand(options["id"] ?? "x", identity(options["as"]))
    let of = partitions(options["of"])
    switch command.name {
    case "init": step(.initProducer(initCommand(options), named(name)))
    case "add": step(.addPartitions(speaker, of, named(name)))
    case "verify": step(.verifyPartitions(speaker, of, named(name)))
    case "commit": step(.end(speaker, isCommit: true, named(name)))
    case "abort": step(.end(speaker, isCommit: false, named(name)))
    case "written": step(.markersWritten(speaker, of))
    case "refused": step(.markersRefused(speaker))
    case "advance": now.milliseconds += Int64(options["ms"] ?? "") ?? 0
    case "timeouts": step(.abortTimedOut)
    case "expire": step(.expire)
    case "retry": step(.retry)
    case "hold": isHolding = true
    case "release": release(.none)
    case "fail": release(ErrorCode(Int16(options["code"] ?? "") ?? 0))
    case "failover": failover()
    case "stored": stored(identity(options["as"]))
    case "show": show(options["id"] ?? "x")
    case "list": list(options)
    default: print("unknown command")
    }
  }

  private mutating func named(_ name: String) -> TransactionToken {
    let token = TransactionToken(UInt64(tokens.count + 1))
    tokens[token] = name
    return token
  }

  private func identity(_ text: String?) -> ProducerIdentity {
    let parts = (text ?? "7/0").split(separator: "/")
    return ProducerIdentity(ProducerID(Int64(parts[0]) ?? 0), epoch: Int16(parts[1]) ?? 0)
  }

  private func initCommand(_ options: [String: String]) -> InitProducerCommand {
    var command = InitProducerCommand()
    command.transactionalID = options["id"] ?? "x"
    command.timeoutMs = Int32(options["timeout"] ?? "") ?? 60_000
    if options["as"] != nil { command.expected = identity(options["as"]) }
    return command
  }

  private func partitions(_ text: String?) -> [TopicPartition] {
    (text ?? "").split(separator: ",").map { name in
      let parts = name.split(separator: "-")
      return TopicPartition(String(parts[0]), Int32(parts[1]) ?? 0)
    }
  }

  private mutating func list(_ options: [String: String]) {
    var filter = TransactionFilter()
    if let name = options["state"] {
      filter.states = Set([TransactionState(name: name)].compactMap { $0 })
    }
    if let id = options["producer"].flatMap({ Int64($0) }) { filter.producerIDs = [ProducerID(id)] }
    filter.durationMs = options["longer"].flatMap { Int64($0) } ?? -1
    let rows = shard.list(filter, at: now)
    if rows.isEmpty { print("nothing") }
    for row in rows { print("\(row.id) \(row.producerID.rawValue) \(row.state)") }
  }

  // MARK: Log and failover

  private mutating func step(_ event: TransactionEvent) {
    var effects: [TransactionEffect] = []
    shard.step(event, at: now, into: &effects)
    perform(effects)
  }

  private mutating func perform(_ effects: [TransactionEffect]) {
    for effect in effects {
      switch effect {
      case .reply(let token, let reply): show(tokens[token] ?? "?", reply)
      case .append(let id, let records):
        if isHolding {
          held.append((id, records))
        } else {
          log += records.map { $0.encoded() }
          step(.appendFinished(id, error: .none))
        }
      case .needProducerID(var command, let token):
        command.newProducerID = ProducerID(nextProducer)
        nextProducer += 1
        step(.initProducer(command, token))
      case .sendMarkers(let markers):
        print(
          "markers \(markers.isCommit ? "COMMIT" : "ABORT") \(markers.transaction.producer) "
            + markers.partitions.map { "\($0)" }.joined(separator: ","))
      case .retryLater: print("retry later")
      case .note: break
      }
    }
  }

  private mutating func release(_ error: ErrorCode) {
    isHolding = false
    let waiting = held
    held = []
    for (id, records) in waiting {
      if error == .none { log += records.map { $0.encoded() } }
      step(.appendFinished(id, error: error))
    }
  }

  /// The old coordinator is told, and another one loads what was committed, through the bytes.
  private mutating func failover() {
    step(.resign)
    held = []
    isHolding = false
    var loader = TransactionLoader()
    for record in log { loader.load(key: record.key.span.bytes, value: record.value?.span.bytes) }
    var effects: [TransactionEffect] = []
    shard = loader.finish(config: config, at: now, into: &effects)
    perform(effects)
  }

  /// A coordinator takes over from one that has stored this producer.
  private mutating func stored(_ producer: ProducerIdentity) {
    let value = TransactionMetadata(
      producerID: producer.id, producerEpoch: producer.epoch, timeoutMs: 60_000, lastUpdate: now)
    log.append(TransactionRecord(id: "x", value: value).encoded())
    nextProducer = producer.id.rawValue + 1
    failover()
  }

  // MARK: Showing

  private mutating func show(_ token: String, _ reply: TransactionReply) {
    switch reply {
    case .initProducer(let error, let producer):
      print("\(token) init \(error.name)" + (producer.map { " \($0)" } ?? ""))
    case .addPartitions(let error): print("\(token) add \(error.name)")
    case .verifyPartitions(let results):
      print("\(token) verify" + results.map { " \($0.partition)=\($0.error.name)" }.joined())
    case .end(let error): print("\(token) end \(error.name)")
    }
  }

  private mutating func show(_ id: String) {
    let found = shard.describe(id)
    guard found.error == .none else { return print("\(found.error.name)") }
    print(
      "\(found.state) \(found.producer) timeout=\(found.timeoutMs) start=\(found.startMs)"
        + (found.partitions.isEmpty
          ? "" : " " + found.partitions.map { "\($0)" }.joined(separator: ",")))
  }
}

/// Runs a script and compares it with what happened.
func check(
  _ script: String, _ change: (inout TransactionConfig) -> Void = { _ in },
  at location: SourceLocation = #_sourceLocation
) {
  var runner = TransactionScript(change)
  if let difference = InlineScript.difference(script, runner.run(script)) {
    Issue.record("\(difference)", sourceLocation: location)
  }
}
