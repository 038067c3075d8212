// What goes wrong, and when: drawn from a seed before anything runs.
import Values

/// Something that is broken for a while. Members are named as the cluster's plan names them.
enum Fault: Equatable, Sendable {
  /// SIGKILL; started again afterwards.
  case kill(String)
  /// SIGTERM; started again afterwards.
  case stop(String)
  /// The host's power fails: what it had not flushed is lost, and peers are told nothing.
  case losePower(String)
  /// SIGSTOP and SIGCONT.
  case pause(String)
  /// Every member of a kind is killed at once.
  case killAll([String])
  /// Nothing reaches a member, and nothing leaves it.
  case isolate(String)
  /// The other members and this one cannot reach each other; clients can reach all of them.
  case separate(String)
  /// What one sends to the other does not arrive; the way back is open.
  case cut(from: String, to: String)
  /// Both ways, again and again for a moment.
  case flap(String, String)
  /// Everything to and from a member takes longer.
  case slow(String, ms: Int64)
  /// The time of day of a member's host; it is not set back.
  case jumpClock(String, ms: Int64)
  /// Nothing more can be written to a member's disk (ENOSPC). Whoever finds that out ends, or takes
  /// its log directory offline; a broker is started again when there is room.
  case fillDisk(String)
}

/// A fault with its time: milliseconds from the first moment of the phase of faults.
struct ScheduledFault: Equatable, Sendable {
  var atMs: Int64
  var durationMs: Int64
  var fault: Fault
}

/// Who can be struck.
struct FaultTargets: Sendable {
  var brokers: [String]
  /// Coordinators, or controllers.
  var quorum: [String]
  /// Processes of clients; only their links are touched.
  var clients: [String]
  /// Leadership is moved on request, too.
  var movesPartitions = false

  var members: [String] { quorum + brokers }
}

enum FaultSchedule {
  /// Faults over so many milliseconds, in the order of their beginnings. Every one ends within the
  /// time; several may go on at once.
  static func draw(
    seed: UInt64, _ targets: FaultTargets, overMs length: Int64
  ) -> [ScheduledFault] {
    // Not the machine's sequence of numbers.
    var random = SplitMix(seed: seed ^ 0x5eed_fa17)
    var schedule: [ScheduledFault] = []
    // Some seeds are quiet, some are not; some strike one kind of member only.
    let gapMs = Int64.random(in: 800...5_000, using: &random)
    var at = Int64.random(in: 0...gapMs, using: &random)
    let weights = Weights(using: &random)
    while at < length {
      let fault = draw(targets, weights, &random)
      let longest = min(length - at, durationLimit(of: fault))
      schedule.append(
        ScheduledFault(
          atMs: at, durationMs: Int64.random(in: min(50, longest)...longest, using: &random),
          fault: fault))
      at += Int64.random(in: gapMs / 4...gapMs * 2, using: &random)
    }
    return schedule
  }

  /// Longer than a session (6 s) now and then, so that members are missed.
  private static func durationLimit(of fault: Fault) -> Int64 {
    switch fault {
    case .stop, .killAll: 3_000
    case .flap: 5_000
    default: 12_000
    }
  }

  /// How likely each kind is in one schedule.
  private struct Weights {
    var kinds: [Int]
    var quorumShare: Double

    init(using random: inout SplitMix) {
      kinds = (0..<Self.count).map { _ in Int.random(in: 0...4, using: &random) }
      if kinds.allSatisfy({ $0 == 0 }) { kinds[0] = 1 }
      quorumShare = Double.random(in: 0.1...0.5, using: &random)
    }

    static let count = 12

    func draw(_ random: inout SplitMix) -> Int {
      var ticket = Int.random(in: 0..<kinds.reduce(0, +), using: &random)
      for (kind, weight) in kinds.enumerated() {
        if ticket < weight { return kind }
        ticket -= weight
      }
      return 0
    }
  }

  private static func draw(
    _ targets: FaultTargets, _ weights: Weights, _ random: inout SplitMix
  ) -> Fault {
    let isQuorum = Double.random(in: 0..<1, using: &random) < weights.quorumShare
    let kind = isQuorum && !targets.quorum.isEmpty ? targets.quorum : targets.brokers
    let victim = pick(kind, &random)
    let others = (targets.members + targets.clients).filter { $0 != victim }
    let other = pick(others, &random)
    switch weights.draw(&random) {
    case 0: return .kill(victim)
    case 1: return .stop(victim)
    case 2: return .losePower(victim)
    case 3: return .pause(victim)
    case 4: return .killAll(kind)
    case 5: return .isolate(victim)
    case 6:
      return Bool.random(using: &random)
        ? .cut(from: victim, to: other) : .cut(from: other, to: victim)
    case 7: return .flap(victim, other)
    case 8: return .separate(victim)
    case 9: return .slow(victim, ms: Int64.random(in: 20...1_500, using: &random))
    case 10:
      return .jumpClock(victim, ms: Int64.random(in: -3_600_000...3_600_000, using: &random))
    default: return .fillDisk(victim)
    }
  }

  private static func pick(_ names: [String], _ random: inout SplitMix) -> String {
    names.randomElement(using: &random) ?? ""
  }
}
