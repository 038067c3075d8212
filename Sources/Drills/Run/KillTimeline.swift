// What happened between a kill and the writes after it, step by step.
import Glibc
import Values

/// One step on the way from a kill to writes, as a member's log or a client saw it.
public struct FailoverStep: Codable, Sendable, Equatable {
  public enum Kind: String, Codable, Sendable, CaseIterable {
    /// A member found that the process is gone.
    case detected
    /// The term of a controller that died was ended.
    case deposed
    /// A controller took office.
    case elected
    /// The controller gave what the dead broker led to others.
    case fenced
    /// A broker leads more partitions than before.
    case leads
    /// A client's metadata name other leaders.
    case seen
    /// The first, and the last, of the partitions takes a write.
    case firstWrite
    case allWrite
  }
  public var kind: Kind
  public var by: String
  /// Milliseconds since the kill.
  public var atMs: Int64

  public init(_ kind: Kind, by: String, atMs: Int64) {
    self.kind = kind
    self.by = by
    self.atMs = atMs
  }
}

/// One kill: who, how long, and why so long.
public struct FailoverKill: Codable, Sendable {
  public var victim: String
  /// Whether it was the controller too.
  public var wasController: Bool
  /// Milliseconds until the first, and the last, of the partitions that it had led took a write
  /// that was sent after the kill.
  public var toFirstMs: Int64
  public var toAllMs: Int64
  /// In the order of time.
  public var steps: [FailoverStep]

  /// One line: the steps with their times.
  public var text: String {
    let told = steps.map { "\($0.kind.rawValue) \($0.atMs) (\($0.by))" }
    let role = wasController ? ", the controller" : ""
    return "\(victim)\(role): first write after \(toFirstMs) ms, all after \(toAllMs) ms: "
      + told.joined(separator: ", ")
  }
}

/// Finds the steps of one kill in members' logs.
///
/// Members log in local time with milliseconds; they and the drill run on one machine, so that
/// their clocks are one.
struct KillTimeline {
  /// The dead broker.
  let victim: Int32
  let killed: WallTime

  /// The steps that a member's log has from the kill on, up to `limitMs` later.
  func steps(in log: String, of member: String, limitMs: Int64) -> [FailoverStep] {
    var steps: [FailoverStep] = []
    // The newest lines are enough, and logs grow long.
    for line in log.split(separator: "\n").reversed() {
      guard let at = Self.time(of: line) else { continue }
      let after = at.milliseconds - killed.milliseconds
      if after < 0 { break }
      if after <= limitMs, let kind = kind(of: line) {
        steps.append(FailoverStep(kind, by: member, atMs: after))
      }
    }
    return steps.reversed()
  }

  private func kind(of line: Substring) -> FailoverStep.Kind? {
    if line.contains("the process of a broker is gone"), line.contains(" broker=\(victim) ") {
      return .detected
    }
    if line.contains("Controller \(victim) is gone") { return .deposed }
    if line.contains("controller: elected ") || line.contains("Becoming the active controller") {
      return .elected
    }
    if line.contains("Fencing broker \(victim) ") || isLoss(line) { return .fenced }
    if line.contains("replicas: leading in new epochs") { return .leads }
    return nil
  }

  /// `Brokers: … arrived, … of them restarted; 1,3 lost`.
  private func isLoss(_ line: Substring) -> Bool {
    guard line.contains("controller: Brokers: "), line.hasSuffix(" lost"),
      let list = line.dropLast(" lost".count).split(separator: " ").last
    else { return false }
    return list.split(separator: ",").contains { $0 == "\(victim)" }
  }

  /// The time at the front of a line: `[2026-01-31 12:00:00,123]`; nil for other lines.
  static func time(of line: Substring) -> WallTime? {
    guard line.first == "[", let end = line.firstIndex(of: "]") else { return nil }
    let numbers = line[line.index(after: line.startIndex)..<end]
      .split { !$0.isNumber }.compactMap { Int32($0) }
    guard numbers.count == 7 else { return nil }
    var parts = tm()
    parts.tm_year = numbers[0] - 1900
    parts.tm_mon = numbers[1] - 1
    parts.tm_mday = numbers[2]
    parts.tm_hour = numbers[3]
    parts.tm_min = numbers[4]
    parts.tm_sec = numbers[5]
    parts.tm_isdst = -1
    let seconds = mktime(&parts)
    guard seconds >= 0 else { return nil }
    return WallTime(milliseconds: Int64(seconds) * 1000 + Int64(numbers[6]))
  }
}
