// How many partitions each client may create and delete (KIP-599).
import Metadata
import Values

/// Tokens that come back at the limit's rate, up to what a whole window brings. A burst may spend
/// more than there is; then nothing goes until the debt is paid.
public struct TokenBucket: Equatable, Sendable {
  private var tokens: Double
  private var updatedAt: Instant

  /// Full, as Kafka's is when it is first asked.
  public init(limit: Double, windowSeconds: Double, at now: Instant) {
    tokens = limit * windowSeconds
    updatedAt = now
  }

  /// What is there now; below zero: what is owed.
  public mutating func refill(limit: Double, windowSeconds: Double, at now: Instant) -> Double {
    let elapsed = Double(now.milliseconds(since: updatedAt)) / 1000
    tokens = min(limit * windowSeconds, tokens + limit * elapsed)
    updatedAt = now
    return tokens
  }

  public mutating func take(_ count: Double) { tokens -= count }
}

/// The mutations of one request while it is decided.
public struct MutationCharge: Sendable {
  fileprivate struct Payer: Hashable, Sendable {
    var user: String?
    var clientID: String?
  }
  /// Nil: no limit counts.
  fileprivate let payer: Payer?
  fileprivate let limit: Double
  /// Whether mutations above the limit are refused; older clients are only slowed.
  public let isStrict: Bool
  /// For how long the client must wait, in milliseconds.
  public fileprivate(set) var throttleMs: Int64 = 0
}

/// The buckets of all clients of one controller.
public struct MutationQuotas: Sendable {
  public static let key = "controller_mutation_rate"
  private var buckets: [MutationCharge.Payer: TokenBucket] = [:]
  private let windowSeconds: Double
  /// Client ids are the clients' own to choose: full buckets are as good as none.
  private static let maxBuckets = 10_000

  /// - Parameters:
  ///   - count: `controller.quota.window.num`.
  ///   - widthMs: `controller.quota.window.size.seconds`, in milliseconds.
  public init(count: Int = 11, widthMs: Int64 = 1000) {
    windowSeconds = Double(count) * Double(widthMs) / 1000
  }

  /// Begins to count a request.
  public func open(
    _ limits: ClientQuotasImage, user: String, clientID: String, isStrict: Bool
  ) -> MutationCharge {
    guard !limits.isEmpty,
      let found = limits.limit(Self.key, user: user, clientID: clientID), found.limit > 0
    else { return MutationCharge(payer: nil, limit: 0, isStrict: isStrict) }
    return MutationCharge(
      payer: .init(user: found.user, clientID: found.clientID), limit: found.limit,
      isStrict: isStrict)
  }

  /// Counts mutations.
  ///
  /// - Returns: false when they must not be made: strict, and there was a debt before.
  public mutating func charge(
    _ count: Int, _ charge: inout MutationCharge, at now: Instant
  ) -> Bool {
    guard let payer = charge.payer else { return true }
    if buckets[payer] == nil { makeRoom(at: now) }
    var bucket =
      buckets[payer]
      ?? TokenBucket(limit: charge.limit, windowSeconds: windowSeconds, at: now)
    var tokens = bucket.refill(limit: charge.limit, windowSeconds: windowSeconds, at: now)
    let isAllowed = !charge.isStrict || tokens >= 0
    if isAllowed {
      bucket.take(Double(count))
      // The burst that makes the debt is free for a strict client; the next one is not.
      if !charge.isStrict { tokens -= Double(count) }
    }
    buckets[payer] = bucket
    if tokens < 0 {
      let wait = (-tokens / charge.limit * 1000).rounded()
      charge.throttleMs = Int64(min(wait, Double(Int32.max)))
    }
    return isAllowed
  }

  /// Whoever has waited for a whole window starts with a full bucket anyway.
  private mutating func makeRoom(at now: Instant) {
    guard buckets.count >= Self.maxBuckets else { return }
    let window = Int64(windowSeconds * 1000)
    buckets = buckets.filter { !$0.value.isOlder(than: window, at: now) }
  }
}

extension TokenBucket {
  fileprivate func isOlder(than milliseconds: Int64, at now: Instant) -> Bool {
    tokens >= 0 && now.milliseconds(since: updatedAt) >= milliseconds
  }
}
