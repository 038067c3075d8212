import Values

/// What happened in a simulation: a digest of everything, and the text of it when it is wanted.
///
/// Two runs of one seed must end with equal digests; if they do not, something reads a clock, a
/// hash order or memory that it should not.
public struct Trace {
  /// A running hash of all that was noted.
  public private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
  /// The newest lines, when recording.
  public private(set) var lines: [String] = []
  public var isRecording: Bool
  /// How many lines are kept.
  public var limit: Int

  public init(isRecording: Bool = false, limit: Int = 4000) {
    self.isRecording = isRecording
    self.limit = limit
  }

  public mutating func mix(_ value: UInt64) {
    digest = (digest ^ value) &* 0x100_0000_01b3
    digest ^= digest >> 29
  }

  public mutating func mix(_ value: Int64) { mix(UInt64(bitPattern: value)) }

  /// Adds a line of text; evaluated only when recording.
  public mutating func note(_ now: Instant, _ text: @autoclosure () -> String) {
    guard isRecording else { return }
    if lines.count >= limit * 2 { lines.removeFirst(limit) }
    lines.append("\(now.milliseconds) \(text())")
  }
}
