// How much each client may produce and consume (KIP-13, KIP-55, KIP-124).
import Metadata
import Values

/// What is limited, by the key that sets the limit.
public enum QuotaKind: String, CaseIterable, Sendable {
  /// Bytes of Produce requests a second.
  case produce = "producer_byte_rate"
  /// Bytes of Fetch responses a second.
  case fetch = "consumer_byte_rate"
  /// Percent of one thread's time; 200 is all the time of two threads (KIP-124).
  case request = "request_percentage"
}

/// The rates of all clients of one broker, against the limits of the metadata.
///
/// The most specific entity that has a limit counts, and all clients that share it share the limit:
/// user and client id, user and default client id, user; the same for the default user; then client
/// id, and the default client id. Without any limit nothing is measured.
public struct ClientQuotas: Sendable {
  /// Who shares a rate. A default's limit counts for each user or client id by itself.
  private struct Meter: Hashable, Sendable {
    var kind: QuotaKind
    var user: String?
    var clientID: String?
  }

  private var rates: [Meter: SampledRate] = [:]
  private var limits = ClientQuotasImage()
  /// The kinds that anybody has a limit of.
  private var limited: Set<QuotaKind> = []
  private let count: Int
  private let widthMs: Int64
  private var sweptAt: Instant = .zero
  /// Client ids are the clients' own to choose: rates of those that are gone are dropped.
  private static let sweepMs: Int64 = 60_000

  /// - Parameters:
  ///   - count: `quota.window.num`.
  ///   - widthMs: `quota.window.size.seconds`, in milliseconds.
  public init(count: Int = 11, widthMs: Int64 = 1000) {
    self.count = count
    self.widthMs = widthMs
  }

  /// Whether there is any limit at all.
  public var isLimiting: Bool { !limits.isEmpty }

  /// Takes the limits over. Rates that were measured go on being measured.
  public mutating func take(_ image: ClientQuotasImage) {
    limits = image
    limited = Set(
      QuotaKind.allCases.filter { kind in
        image.entities.contains { image[$0][kind.rawValue] != nil }
      })
  }

  /// Whether anybody has a limit of this kind.
  public func isLimiting(_ kind: QuotaKind) -> Bool { limited.contains(kind) }

  /// The limit that counts for a client, and who shares it; nil without any.
  public func limit(_ kind: QuotaKind, user: String, clientID: String) -> QuotaLimit? {
    guard limited.contains(kind) else { return nil }
    return limits.limit(kind.rawValue, user: user, clientID: clientID)
  }

  /// Notes what a client has used.
  ///
  /// - Returns: for how many milliseconds it must not be heard; 0 within its limit.
  public mutating func record(
    _ kind: QuotaKind, _ amount: Double, user: String, clientID: String, at now: Instant
  ) -> Int64 {
    guard let found = limit(kind, user: user, clientID: clientID) else { return 0 }
    sweep(now)
    let meter = Meter(kind: kind, user: found.user, clientID: found.clientID)
    var rate = rates[meter] ?? SampledRate(count: count, widthMs: widthMs)
    rate.record(amount, at: now)
    let wait = rate.excessMs(over: found.limit, at: now)
    rates[meter] = rate
    // Requests are small: whoever is over is heard again in a window, and judged again.
    return kind == .request ? min(wait, widthMs) : wait
  }

  /// Notes what a client is about to get, unless that would be too much.
  ///
  /// - Returns: for how many milliseconds it must wait before it asks again; 0: it has been noted.
  public mutating func recordIfAllowed(
    _ kind: QuotaKind, _ amount: Double, user: String, clientID: String, at now: Instant
  ) -> Int64 {
    guard let found = limit(kind, user: user, clientID: clientID) else { return 0 }
    sweep(now)
    let meter = Meter(kind: kind, user: found.user, clientID: found.clientID)
    var rate = rates[meter] ?? SampledRate(count: count, widthMs: widthMs)
    // One batch may be above the limit by itself: who has waited for a window must get it.
    let hasWaited = found.limit > 0 && rate.isIdle(at: now)
    rate.record(amount, at: now)
    let wait = hasWaited ? 0 : rate.excessMs(over: found.limit, at: now)
    if wait == 0 { rates[meter] = rate }
    return wait
  }

  /// The largest amount that is within the limit when nothing has been used for a window; nil
  /// without a limit.
  public func largest(_ kind: QuotaKind, user: String, clientID: String) -> Int? {
    guard let found = limit(kind, user: user, clientID: clientID) else { return nil }
    let amount = found.limit * Double(count - 1) * Double(widthMs) / 1000
    return Int(min(amount, Double(Int32.max)))
  }

  private mutating func sweep(_ now: Instant) {
    guard now.milliseconds(since: sweptAt) >= Self.sweepMs else { return }
    sweptAt = now
    // The order does not matter: each is dropped or kept by itself.
    for meter in Array(rates.keys) where rates[meter]?.isIdle(at: now) == true {
      rates[meter] = nil
    }
  }
}
