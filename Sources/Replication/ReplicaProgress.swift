import Values

/// What a leader knows about one of its followers, all of it learnt from the follower's fetches.
struct ReplicaProgress: Equatable, Sendable {
  let broker: BrokerID
  /// The offset the follower asked for last: everything below it is in the follower's log.
  /// Unknown (-1) until the first fetch of this leadership.
  private(set) var logEndOffset: Offset = -1
  private(set) var logStartOffset: Offset = -1
  /// Where the leader's log ended, and when, as of the previous fetch. A follower that now asks for
  /// that offset was caught up at that time, even though the log has moved on since.
  private var leaderEndOffsetAtLastFetch: Offset = -1
  private var lastFetch: Instant?
  /// When the follower last had all that the leader had; nil: never during this leadership.
  private(set) var lastCaughtUp: Instant?
  private(set) var brokerEpoch: BrokerEpoch = .none
  /// Whether the broker is alive, unfenced and not shutting down, as far as the metadata tells.
  var isEligible = true

  init(broker: BrokerID) { self.broker = broker }

  /// Takes over a fetch. Returns false for one of an earlier incarnation of the broker, which must
  /// not count: its successor may have lost what the fetch attests.
  mutating func note(_ fetch: FollowerFetch, at now: Instant) -> Bool {
    if fetch.brokerEpoch != .none, fetch.brokerEpoch < brokerEpoch { return false }
    if fetch.offset >= fetch.leaderEndOffset {
      lastCaughtUp = max(lastCaughtUp ?? now, now)
    } else if fetch.offset >= leaderEndOffsetAtLastFetch, let lastFetch {
      lastCaughtUp = max(lastCaughtUp ?? lastFetch, lastFetch)
    }
    logStartOffset = fetch.logStartOffset
    logEndOffset = fetch.offset
    leaderEndOffsetAtLastFetch = fetch.leaderEndOffset
    lastFetch = now
    brokerEpoch = max(brokerEpoch, fetch.brokerEpoch)
    return true
  }

  /// Forgets the progress when a leadership begins; members of the ISR get one full lag time before
  /// they can be found missing.
  mutating func reset(leaderEndOffset: Offset, isNewLeader: Bool, isInSync: Bool, at now: Instant) {
    lastCaughtUp = isInSync ? now : nil
    if isNewLeader {
      logEndOffset = -1
      logStartOffset = -1
      leaderEndOffsetAtLastFetch = -1
      lastFetch = nil
      brokerEpoch = .none
    } else {
      leaderEndOffsetAtLastFetch = leaderEndOffset
      lastFetch = isInSync ? now : nil
    }
  }

  func isCaughtUp(leaderEndOffset: Offset, at now: Instant, maxLagMs: Int64) -> Bool {
    if logEndOffset == leaderEndOffset { return true }
    guard let lastCaughtUp else { return false }
    return now.milliseconds(since: lastCaughtUp) <= maxLagMs
  }
}

/// One partition of a follower's fetch request, as its leader sees it.
public struct FollowerFetch: Equatable, Sendable {
  public var replica: BrokerID
  public var brokerEpoch: BrokerEpoch
  public var offset: Offset
  public var logStartOffset: Offset
  /// Where the leader's log ended when the fetch was read.
  public var leaderEndOffset: Offset

  public init(
    replica: BrokerID, brokerEpoch: BrokerEpoch, offset: Offset, logStartOffset: Offset,
    leaderEndOffset: Offset
  ) {
    self.replica = replica
    self.brokerEpoch = brokerEpoch
    self.offset = offset
    self.logStartOffset = logStartOffset
    self.leaderEndOffset = leaderEndOffset
  }
}

/// A leader's view of its ISR while the controller may be deciding about a change.
///
/// | state | counts for the high watermark | counts for min.insync.replicas |
/// |---|---|---|
/// | stored | isr | isr |
/// | expanding | isr and the newcomer | isr |
/// | shrinking | isr before the change | isr before the change |
///
/// Until the answer is known either set may be in force, so the larger one must be satisfied: a
/// record may be acknowledged only when any leader elected from either set would have it.
struct InSyncSet: Equatable, Sendable {
  private(set) var stored: [BrokerID]
  private(set) var proposal: ISRProposal?
  private var newcomer: BrokerID?

  init(_ isr: [BrokerID]) { stored = isr }

  var isInFlight: Bool { proposal != nil }

  /// Whether the high watermark must wait for the replica.
  func mayContain(_ broker: BrokerID) -> Bool { newcomer == broker || stored.contains(broker) }

  mutating func propose(_ change: ISRProposal, newcomer: BrokerID? = nil) {
    proposal = change
    self.newcomer = newcomer
  }

  mutating func store(_ isr: [BrokerID]) { self = InSyncSet(isr) }

  mutating func abandonProposal() {
    proposal = nil
    newcomer = nil
  }
}
