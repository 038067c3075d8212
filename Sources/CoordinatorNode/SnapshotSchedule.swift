import Values

/// When the next snapshot is due: after half of `snapCount` transactions (or of
/// `snapSizeLimitInKb`) and a random part of the other half, so that the servers of an ensemble do
/// not all write one at the same time.
struct SnapshotSchedule {
  private let snapCount: Int
  /// Bytes of transactions between snapshots; nil: no limit.
  private let logBytes: Int64?
  private var count: Int
  private var limit = 0
  private var byteLimit = Int64.max
  private var random: SplitMix

  init(snapCount: Int, logBytes: Int64? = nil, replayed: Int, seed: UInt64) {
    self.snapCount = max(2, snapCount)
    self.logBytes = logBytes
    random = SplitMix(seed: seed)
    count = 0
    reset()
    count = replayed
  }

  mutating func reset() {
    count = 0
    limit = snapCount / 2 + Int.random(in: 0...(snapCount / 2), using: &random)
    if let logBytes {
      byteLimit = logBytes / 2 + Int64.random(in: 0...(logBytes / 2), using: &random)
    }
  }

  /// Counts one transaction.
  ///
  /// - Parameter written: Bytes of transactions since the last snapshot.
  mutating func isDue(logBytes written: Int64) -> Bool {
    count += 1
    return count > limit || written > byteLimit
  }
}
