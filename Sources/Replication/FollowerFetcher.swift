/// How one follower replica catches up with its leader: what to ask next, and what to do with
/// answers.
///
/// | phase | asks | answer | next |
/// |---|---|---|---|
/// | truncating | OffsetForLeaderEpoch | end of our last epoch at the leader | truncating or
/// fetching |
/// | fetching | Fetch | records | fetching |
/// | fetching | Fetch | diverging epoch (KIP-595) | fetching, after truncation |
/// | fetching | Fetch | out of range | findingEnd |
/// | findingEnd | ListOffsets latest | below our end | fetching, after truncation |
/// | findingEnd | ListOffsets latest | not below | findingStart |
/// | findingStart | ListOffsets earliest | above our end | fetching from there, log emptied |
/// | any | – | fenced leader epoch | stopped, until a new assignment |
/// | any | – | any other error | same, after a pause |
import Values

/// What the fetcher must know of the local log; the log itself or a model of it.
public protocol FollowerLog {
  var logStartOffset: Offset { get }
  var logEndOffset: Offset { get }
  var highWatermark: Offset { get }
  /// The epoch of the last record; nil when no epoch is known.
  var latestEpoch: LeaderEpoch? { get }
  /// The largest known epoch not above `epoch`, and where it ends; nil when `epoch` is newer than
  /// all that is known or nothing is known.
  func end(of epoch: LeaderEpoch) -> EpochEnd?
}

/// Where a leader epoch ends: the first offset of the next epoch, or the end of the log (KIP-101).
public struct EpochEnd: Equatable, Sendable {
  public var epoch: LeaderEpoch
  public var endOffset: Offset
  public init(epoch: LeaderEpoch, endOffset: Offset) {
    self.epoch = epoch
    self.endOffset = endOffset
  }
}

public struct FollowerFetcher: Equatable, Sendable {
  public enum Phase: Equatable, Sendable {
    case truncating, fetching, findingEnd, findingStart
    /// The leader has a newer epoch than ours: the controller's next word is needed.
    case stopped
  }

  public enum Question: Equatable, Sendable {
    case fetch(offset: Offset, lastFetchedEpoch: LeaderEpoch?, logStartOffset: Offset)
    case endOfEpoch(LeaderEpoch)
    case latestOffset
    case earliestOffset
  }

  public enum Answer: Equatable, Sendable {
    /// `recordBytes` of records follow our end.
    case fetched(highWatermark: Offset, logStartOffset: Offset, recordBytes: Int)
    case diverging(EpochEnd)
    /// nil: the leader knows nothing of the epoch.
    case epochEnd(EpochEnd?)
    case offset(Offset)
    case outOfRange
    case fenced
    /// NOT_LEADER_OR_FOLLOWER, UNKNOWN_LEADER_EPOCH, a broken connection and the like.
    case failed
  }

  /// Carried out in this order.
  public enum Effect: Equatable, Sendable {
    /// Cut the log, and drop every epoch that starts at or after its new end. Asked for even when
    /// no record has to go: a leader that fell before its first record leaves an epoch at the end
    /// that the new leader never heard of, and would be diverging for ever.
    case truncate(to: Offset)
    /// Empty the log and let it start here.
    case restart(at: Offset)
    /// Append what the fetch brought; the log's end moves.
    case append
    /// Take over the leader's high watermark, capped by the local end.
    case followHighWatermark(Offset)
    case raiseLogStart(to: Offset)
  }

  public let leaderEpoch: LeaderEpoch
  public private(set) var phase: Phase
  public private(set) var pausedUntil: Instant = .zero
  /// Fetch ≥ 12 tells of divergence itself; below that OffsetForLeaderEpoch must be asked first.
  let divergenceInFetch: Bool
  let backoffMs: Int64
  /// Failures one after the other.
  private var failures = 0
  /// The pause after a first failure.
  static let firstBackoffMs: Int64 = 20

  /// - Parameters:
  ///   - divergenceInFetch: whether inter.broker.protocol.version is at least 2.7-IV1.
  ///   - backoffMs: `replica.fetch.backoff.ms`
  public init(
    leaderEpoch: LeaderEpoch, divergenceInFetch: Bool = true, backoffMs: Int64 = 1_000
  ) {
    self.leaderEpoch = leaderEpoch
    self.divergenceInFetch = divergenceInFetch
    self.backoffMs = backoffMs
    phase = divergenceInFetch ? .fetching : .truncating
  }

  /// What to ask the leader now; nil while pausing or stopped.
  public func question(for log: some FollowerLog, at now: Instant) -> Question? {
    if phase == .stopped || now < pausedUntil { return nil }
    switch phase {
    case .truncating:
      // Without any epoch there is nothing to compare; fetching goes on from the end.
      if let latest = log.latestEpoch { return .endOfEpoch(latest) }
    case .findingEnd: return .latestOffset
    case .findingStart: return .earliestOffset
    case .fetching, .stopped: break
    }
    return .fetch(
      offset: log.logEndOffset, lastFetchedEpoch: divergenceInFetch ? log.latestEpoch : nil,
      logStartOffset: log.logStartOffset)
  }

  public mutating func step(
    _ answer: Answer, log: some FollowerLog, at now: Instant, into effects: inout [Effect]
  ) {
    if answer != .failed { failures = 0 }
    switch answer {
    case .fetched(let highWatermark, let logStartOffset, let recordBytes):
      phase = .fetching
      if recordBytes > 0 { effects.append(.append) }
      effects.append(.followHighWatermark(highWatermark))
      if logStartOffset > log.logStartOffset { effects.append(.raiseLogStart(to: logStartOffset)) }
    case .diverging(let end):
      truncate(log, leaderEnd: end, into: &effects)
    case .epochEnd(let end):
      phase = .fetching
      truncate(log, leaderEnd: end, into: &effects)
    case .outOfRange:
      phase = .findingEnd
    case .offset(let offset):
      resolveRange(offset, log: log, at: now, into: &effects)
    case .fenced:
      phase = .stopped
    case .failed:
      // A new leader may hear of its office a moment after its followers: the first pauses are
      // short, so that a topic that has just been made is not without replicas for a second.
      let pause = Self.firstBackoffMs << Int64(min(failures, 10))
      failures += 1
      pausedUntil = now.advanced(milliseconds: min(backoffMs, pause))
    }
  }

  /// Cuts the log to where it may still agree with the leader's.
  ///
  /// When the leader's epoch is older than any of ours near the end, the next question repeats the
  /// comparison one epoch further back; each round removes at least one epoch.
  private mutating func truncate(
    _ log: some FollowerLog, leaderEnd: EpochEnd?, into effects: inout [Effect]
  ) {
    let target: Offset
    if let leaderEnd {
      if let ours = log.end(of: leaderEnd.epoch) {
        if ours.epoch == leaderEnd.epoch {
          target = min(ours.endOffset, leaderEnd.endOffset)
        } else {
          target = ours.endOffset
          if !divergenceInFetch { phase = .truncating }
        }
      } else {
        target = leaderEnd.endOffset
      }
    } else {
      // The leader knows no epochs: all that is certain is what was acknowledged.
      target = log.highWatermark
    }
    let bounded = max(min(target, log.logEndOffset), log.logStartOffset)
    effects.append(.truncate(to: bounded))
  }

  private mutating func resolveRange(
    _ offset: Offset, log: some FollowerLog, at now: Instant, into effects: inout [Effect]
  ) {
    switch phase {
    case .findingEnd:
      if offset < log.logEndOffset {
        // Only an unclean election makes a leader shorter than its follower.
        effects.append(
          offset < log.logStartOffset ? .restart(at: offset) : .truncate(to: offset))
        phase = .fetching
      } else {
        phase = .findingStart
      }
    case .findingStart:
      if offset > log.logEndOffset { effects.append(.restart(at: offset)) }
      phase = .fetching
    case .truncating, .fetching, .stopped:
      pausedUntil = now.advanced(milliseconds: backoffMs)
    }
  }
}
