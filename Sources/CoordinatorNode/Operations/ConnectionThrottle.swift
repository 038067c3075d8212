// How fast sessions may be opened: a bucket of tokens and, before it is empty, chance.

import Settings
import Values

/// ZooKeeper's connection throttle (`connection_throttle_*`).
///
/// Each handshake takes tokens out of a bucket that fills with time; where there are too few, the
/// client is turned away. With a freeze time, clients are also turned away at random, and the
/// likelihood rises while the bucket is empty and falls while little of it is used (the BLUE
/// scheme): a herd that is turned away all at once would come back all at once.
struct ConnectionThrottle: Sendable {
  struct Limits: Sendable {
    /// `connection_throttle_tokens`: what the bucket holds; 0: nobody is turned away.
    var tokens = 0
    /// `connection_throttle_fill_time`, in milliseconds, and `connection_throttle_fill_count`.
    var fillMs: Int64 = 1
    var fillCount: Int64 = 1
    /// `connection_throttle_freeze_time`: milliseconds between changes of the likelihood; −1: no
    /// chance.
    var freezeMs: Int64 = -1
    /// `connection_throttle_drop_increase` and `_decrease`: by how much it rises and falls.
    var dropIncrease = 0.02
    var dropDecrease = 0.002
    /// `connection_throttle_decrease_ratio`: it falls while no more than this share is used.
    var decreaseRatio = 0.0
    /// `connection_throttle_weight_enabled`: otherwise each handshake takes one token.
    var isWeighted = false
    var newSession = 3
    var newLocalSession = 1
    var oldSession = 2
  }

  /// What a handshake asks for.
  enum Kind: Sendable { case newSession, newLocalSession, oldSession }

  private let limits: Limits
  private var tokens: Int
  private var lastFill: Instant
  private var lastChange: Instant
  /// How likely a client is turned away while there are tokens.
  private(set) var dropProbability = 0.0

  /// Tokens that are in use.
  var deficit: Int { limits.tokens - tokens }

  init(_ limits: Limits, at now: Instant) {
    self.limits = limits
    tokens = limits.tokens
    lastFill = now
    lastChange = now
  }

  /// Whether a client may come in; if so, its tokens are taken.
  mutating func admits(
    _ kind: Kind, at now: Instant, using random: inout some RandomNumberGenerator
  ) -> Bool {
    guard limits.tokens > 0 else { return true }
    fill(at: now)
    if limits.freezeMs >= 0 {
      adapt(at: now)
      if Double.random(in: 0..<1, using: &random) < dropProbability { return false }
    }
    let need = weight(of: kind)
    guard tokens >= need else { return false }
    tokens -= need
    return true
  }

  private func weight(of kind: Kind) -> Int {
    guard limits.isWeighted else { return 1 }
    return switch kind {
    case .newSession: limits.newSession
    case .newLocalSession: limits.newLocalSession
    case .oldSession: limits.oldSession
    }
  }

  private mutating func fill(at now: Instant) {
    let step = max(1, limits.fillMs)
    let fills = now.milliseconds(since: lastFill) / step
    guard fills > 0 else { return }
    // What is left of a step counts for the next one.
    lastFill = lastFill.advanced(milliseconds: fills * step)
    let (added, overflow) = fills.multipliedReportingOverflow(by: limits.fillCount)
    let room = limits.tokens - tokens
    tokens += overflow || added > Int64(room) ? room : Int(added)
  }

  private mutating func adapt(at now: Instant) {
    guard now.milliseconds(since: lastChange) > limits.freezeMs else { return }
    lastChange = now
    let used = limits.tokens - tokens
    if tokens == 0 {
      dropProbability = min(1, dropProbability + limits.dropIncrease)
    } else if Double(used) <= (Double(limits.tokens) * limits.decreaseRatio).rounded() {
      dropProbability = max(0, dropProbability - limits.dropDecrease)
    }
  }
}

extension ConnectionThrottle.Limits {
  init(_ settings: CoordinatorSettings) {
    tokens = settings.int("connection_throttle_tokens")
    fillMs = settings.int64("connection_throttle_fill_time")
    fillCount = settings.int64("connection_throttle_fill_count")
    freezeMs = settings.int64("connection_throttle_freeze_time")
    dropIncrease = settings.double("connection_throttle_drop_increase")
    dropDecrease = settings.double("connection_throttle_drop_decrease")
    decreaseRatio = settings.double("connection_throttle_decrease_ratio")
    isWeighted = settings.bool("connection_throttle_weight_enabled")
    newSession = settings.int("connection_throttle_global_session_weight")
    newLocalSession = settings.int("connection_throttle_local_session_weight")
    oldSession = settings.int("connection_throttle_renew_session_weight")
  }
}
