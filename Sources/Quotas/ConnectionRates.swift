// How fast connections may be made: to a broker or a listener, and from an address (KIP-612).
import Metadata
import Values

/// The rates at which connections are made, against their limits.
///
/// A connection that is too much for the broker or a listener waits, and with it all that come
/// after; one that is too much for its address is closed after a while and not counted. The
/// listener that brokers use among themselves does not wait for the broker's limit.
public struct ConnectionRates: Sendable {
  public enum Verdict: Equatable, Sendable {
    case serve
    /// Not before so many milliseconds have passed.
    case wait(ms: Int64)
    /// Not at all: close it when so many milliseconds have passed.
    case turnAway(afterMs: Int64)
  }

  /// `max.connection.creation.rate`; nil: no limit.
  public var brokerLimit: Double?
  /// `listener.name.<listener>.max.connection.creation.rate`, by names in capitals.
  public var listenerLimits: [String: Double] = [:]
  /// `inter.broker.listener.name`
  public var protectedListener: String?
  private var limits = ClientQuotasImage()
  private var defaultLimit: Double?
  private var broker: SampledRate
  private var listeners: [String: SampledRate] = [:]
  private var addresses: [String: SampledRate] = [:]
  private let count: Int
  private let widthMs: Int64
  private static let key = "connection_creation_rate"
  private static let maxAddresses = 10_000

  /// - Parameters:
  ///   - count: `quota.window.num`.
  ///   - widthMs: `quota.window.size.seconds`, in milliseconds; also the longest wait.
  public init(count: Int = 11, widthMs: Int64 = 1000) {
    self.count = count
    self.widthMs = widthMs
    broker = SampledRate(count: count, widthMs: widthMs)
  }

  /// Takes over the limits of addresses.
  public mutating func take(_ image: ClientQuotasImage) {
    limits = image
    defaultLimit = limit(nil)
  }

  /// Whether anything has a limit.
  public var isLimiting: Bool {
    brokerLimit != nil || !listenerLimits.isEmpty || defaultLimit != nil
      || limits.entities.contains { $0.name(of: "ip") != nil && limits[$0][Self.key] != nil }
  }

  private func limit(_ address: String?) -> Double? {
    limits[QuotaEntity([QuotaEntity.Part(type: "ip", name: address)])][Self.key]
  }

  /// Counts a connection that has been made.
  public mutating func connected(
    from address: String, to listener: String, at now: Instant
  ) -> Verdict {
    if let limit = limit(address) ?? defaultLimit {
      if addresses[address] == nil { makeRoom(at: now) }
      var rate = addresses[address] ?? SampledRate(count: count, widthMs: widthMs)
      let before = rate
      rate.record(1, at: now)
      let wait = min(rate.excessMs(over: limit, at: now), widthMs)
      // What is not served does not count.
      addresses[address] = wait > 0 ? before : rate
      if wait > 0 { return .turnAway(afterMs: wait) }
    }
    var wait: Int64 = 0
    if listener != protectedListener {
      wait = Self.record(&broker, brokerLimit, widthMs, at: now)
    }
    if let limit = listenerLimits[listener] {
      var rate = listeners[listener] ?? SampledRate(count: count, widthMs: widthMs)
      wait = max(wait, Self.record(&rate, limit, widthMs, at: now))
      listeners[listener] = rate
    }
    return wait > 0 ? .wait(ms: wait) : .serve
  }

  private static func record(
    _ rate: inout SampledRate, _ limit: Double?, _ widthMs: Int64, at now: Instant
  ) -> Int64 {
    guard let limit else { return 0 }
    rate.record(1, at: now)
    return min(rate.excessMs(over: limit, at: now), widthMs)
  }

  private mutating func makeRoom(at now: Instant) {
    guard addresses.count >= Self.maxAddresses else { return }
    for address in Array(addresses.keys) where addresses[address]?.isIdle(at: now) == true {
      addresses[address] = nil
    }
  }
}
