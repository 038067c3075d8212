// What a run comes to: the verdict and all that speaks for it.
import Histories
import Values

/// A report, as it is written and read back. Times are milliseconds since the run's start unless
/// they are called durations.
public struct DrillReport: Codable, Sendable {
  public struct Event: Codable, Sendable {
    public var kind: String
    public var atMs: Int64
    public var text: String
  }
  public struct Counts: Codable, Sendable {
    public var attempted: Int
    public var acknowledged: Int
    public var failed: Int
    public var unknown: Int
    public var consumed: Int
  }
  public struct Finding: Codable, Sendable {
    public var kind: String
    public var subject: String
    public var detail: String
    /// The operations that prove it, told in words.
    public var operations: [String]
  }
  public struct Check: Codable, Sendable {
    public var name: String
    public var holds: Bool
    public var detail: String
  }
  /// Durations in milliseconds from the first fault; absent where nothing was to be measured.
  public struct Recovery: Codable, Sendable {
    public var toDetectMs: Int64?
    public var toElectMs: Int64?
    public var toFirstWriteMs: Int64?
    public var toFullISRMs: Int64?
    /// The longest time without an acknowledged write, and without a read.
    public var longestWithoutWriteMs: Int64?
    public var longestWithoutReadMs: Int64?
  }
  /// One point of the latency plot: the worst and the median of acknowledged writes that began
  /// within a slice of the run, in milliseconds.
  public struct LatencyPoint: Codable, Sendable {
    public var atMs: Int64
    public var medianMs: Double
    public var worstMs: Double
    public var writes: Int
  }

  public var number: Int
  public var name: String
  public var title: String
  public var breaks: String
  public var mustHold: String
  public var mode: String
  public var cluster: String
  public var build: String
  public var settings: [String: String]
  public var valid: Bool
  public var durationMs: Int64
  public var events: [Event]
  public var recovery: Recovery
  public var records: Counts
  public var znodes: Counts
  public var administration: Counts
  /// Kind → how often.
  public var anomalies: [String: Int]
  public var findings: [Finding]
  /// Acknowledged records that are gone, where the drill tolerates it.
  public var countedLosses: Int
  public var checks: [Check]
  public var latency: [LatencyPoint]

  /// The first anomaly or failed check, as one line; nil for a valid run.
  public var firstProblem: String? {
    if let finding = findings.first(where: { !tolerated($0.kind) }) {
      return "\(finding.kind) \(finding.subject): \(finding.detail)"
    }
    return checks.first { !$0.holds }.map { "\($0.name): \($0.detail)" }
  }

  private func tolerated(_ kind: String) -> Bool {
    countedLosses > 0 && DrillReport.losses.contains { $0.rawValue == kind }
  }

  /// What is counted rather than condemned when a drill tolerates losses: records that are gone,
  /// and offsets that were given anew after them.
  static let losses: Set<AnomalyKind> = [
    .lostWrite, .unseen, .inconsistentOffsets, .nonmonotonicSend, .nonmonotonicPoll,
    .offsetRegression, .duplicate,
  ]
}
