// Which clients push metrics to a broker, what they were told to push, and when they may (KIP-714).
import KafkaProtocol
import Metadata
import Values

/// The subscriptions of a cluster, and the clients that have asked this broker for theirs.
///
/// A client asks once and then pushes at its interval. What it was told has an id, made of the
/// subscriptions that match it; when they change the id does, its next push is refused with
/// UNKNOWN_SUBSCRIPTION_ID, and it asks again. Whoever asks or pushes before its interval is over
/// is told THROTTLING_QUOTA_EXCEEDED; the first push after asking may come at any time, because
/// clients spread their pushes.
public struct TelemetryManager: Sendable {
  /// What a client is told when it asks.
  public struct Answer: Equatable, Sendable {
    public var instance: Uuid
    public var subscriptionID: Int32 = 0
    public var metrics: [String] = []
    public var intervalMs: Int32 = 0
  }

  private struct Instance {
    var client: TelemetryClient
    var subscriptionID: Int32
    /// Of the subscriptions, when the id was made.
    var version: Int
    var metrics: [String]
    var intervalMs: Int32
    var lastGet: Instant?
    var lastPush: Instant?
    var lastSeen: Instant
    var isTerminating = false
    var lastError = ErrorCode.none
  }

  private var subscriptions: [String: TelemetrySubscription] = [:]
  private var version = 0
  private var instances: [Uuid: Instance] = [:]
  private var sweptAt: Instant = .zero
  private let maxBytes: Int
  private let maxInstances: Int

  /// As they are offered: what a client knows first in this list is best.
  public static let compressionTypes: [Int8] = [4, 3, 1, 2]
  private static let knownCompressionTypes: ClosedRange<Int8> = 0...4
  /// A client that is silent for so long, or for three of its intervals, is forgotten.
  static let expiryMs: Int64 = 60_000

  /// - Parameters:
  ///   - maxBytes: `telemetry.max.bytes`.
  ///   - maxInstances: the most clients that are remembered; the one silent for longest goes first.
  public init(maxBytes: Int, maxInstances: Int = 16_384) {
    self.maxBytes = maxBytes
    self.maxInstances = maxInstances
  }

  public var instanceCount: Int { instances.count }

  // MARK: Subscriptions

  /// Takes over the `client-metrics` resources of an image. What cannot be understood was refused
  /// before it was stored, and is left out.
  public mutating func take(_ configs: ConfigsImage) {
    var found: [String: TelemetrySubscription] = [:]
    for resource in configs.resources where resource.type == .clientMetrics {
      found[resource.name] = try? TelemetrySubscription(
        name: resource.name, configs[resource])
    }
    guard found != subscriptions else { return }
    subscriptions = found
    version += 1
  }

  // MARK: Requests

  /// GetTelemetrySubscriptions.
  ///
  /// - Parameters:
  ///   - given: the instance id that the client has; zero when it asks for the first time.
  ///   - random: becomes its id then.
  /// - Throws: THROTTLING_QUOTA_EXCEEDED.
  public mutating func ask(
    _ given: Uuid, _ client: TelemetryClient, random: Uuid, at now: Instant
  ) throws(TelemetrySubscription.Refusal) -> Answer {
    let id = given.isZero ? random : given
    var instance = find(id, client, at: now)
    defer { instances[id] = instance }
    let last = [instance.lastGet, instance.lastPush].compactMap { $0 }.max()
    if Self.isOver(instance.intervalMs, since: last, at: now) {
      instance.lastGet = now
    } else if ![.unknownSubscriptionID, .unsupportedCompressionType].contains(instance.lastError) {
      throw .init(
        code: .throttlingQuotaExceeded,
        message: "the client \(id) asks before its push interval is over")
    }
    instance.lastError = .none
    return Answer(
      instance: id, subscriptionID: instance.subscriptionID, metrics: instance.metrics,
      intervalMs: instance.intervalMs)
  }

  /// What a client wants to push.
  public struct Push: Sendable {
    public var instance: Uuid
    public var subscriptionID: Int32
    public var isTerminating: Bool
    public var compressionType: Int8
    /// As it was sent.
    public var byteCount: Int

    public init(
      instance: Uuid, subscriptionID: Int32, isTerminating: Bool, compressionType: Int8,
      byteCount: Int
    ) {
      self.instance = instance
      self.subscriptionID = subscriptionID
      self.isTerminating = isTerminating
      self.compressionType = compressionType
      self.byteCount = byteCount
    }
  }

  /// PushTelemetry: whether it is taken.
  public mutating func push(
    _ push: Push, _ client: TelemetryClient, at now: Instant
  ) throws(TelemetrySubscription.Refusal) {
    guard !push.instance.isZero, push.instance != .one else {
      throw .init(code: .invalidRequest, message: "\(push.instance) is no client's instance id")
    }
    var instance = find(push.instance, client, at: now)
    let refusal = judge(push, &instance, at: now)
    instance.isTerminating = push.isTerminating
    if let refusal { instance.lastError = refusal.code } else { instance.lastError = .none }
    instances[push.instance] = instance
    if let refusal { throw refusal }
  }

  /// Notes that what was pushed could not be used.
  public mutating func failed(_ instance: Uuid, _ code: ErrorCode) {
    instances[instance]?.lastError = code
  }

  /// The client's connection has ended.
  public mutating func forget(_ instance: Uuid) { instances[instance] = nil }

  private func judge(
    _ push: Push, _ instance: inout Instance, at now: Instant
  ) -> TelemetrySubscription.Refusal? {
    if instance.isTerminating {
      return .init(
        code: .invalidRequest, message: "the client \(push.instance) has said its last before")
    }
    let hasAsked =
      instance.lastGet.map { asked in instance.lastPush.map { asked > $0 } ?? true } ?? false
    if hasAsked || Self.isOver(instance.intervalMs, since: instance.lastPush, at: now) {
      instance.lastPush = now
    } else if !push.isTerminating {
      return .init(
        code: .throttlingQuotaExceeded,
        message: "the client \(push.instance) pushes before its push interval is over")
    }
    if push.subscriptionID != instance.subscriptionID {
      return .init(
        code: .unknownSubscriptionID,
        message: "the client \(push.instance) does not know its subscriptions")
    }
    if !Self.knownCompressionTypes.contains(push.compressionType) {
      return .init(
        code: .unsupportedCompressionType,
        message: "no compression type \(push.compressionType)")
    }
    if push.byteCount > maxBytes {
      return .init(
        code: .telemetryTooLarge,
        message: "\(push.byteCount) bytes are more than telemetry.max.bytes=\(maxBytes)")
    }
    return nil
  }

  private static func isOver(_ intervalMs: Int32, since last: Instant?, at now: Instant) -> Bool {
    guard let last else { return true }
    return now.milliseconds(since: last) >= Int64(intervalMs)
  }

  // MARK: Instances

  /// The client as it is known, with its subscription as it now is.
  private mutating func find(
    _ id: Uuid, _ client: TelemetryClient, at now: Instant
  ) -> Instance {
    if var known = instances[id] {
      known.lastSeen = now
      guard known.version != version else { return known }
      // Told anew at once: with what changed its history begins again.
      return make(id, known.client, at: now)
    }
    sweep(now)
    return make(id, client, at: now)
  }

  private func make(_ id: Uuid, _ client: TelemetryClient, at now: Instant) -> Instance {
    let text = id.description
    var metrics: Set<String> = []
    var interval = TelemetrySubscription.defaultIntervalMs
    // The order does not matter: metrics are put together, and the shortest interval counts.
    for subscription in subscriptions.values where subscription.matches(client, instance: text) {
      metrics.formUnion(subscription.metrics)
      interval = min(interval, subscription.intervalMs)
    }
    let everything = TelemetrySubscription.everything
    let wanted = metrics.contains(everything) ? [everything] : metrics.sorted()
    return Instance(
      client: client, subscriptionID: Self.subscriptionID(wanted, interval, id), version: version,
      metrics: wanted, intervalMs: interval, lastSeen: now)
  }

  /// The same for the same client and the same subscriptions on every broker, so that a client that
  /// turns to another need not ask again. How it is made is nobody else's concern: FNV-1a here,
  /// mixed with the client's id.
  private static func subscriptionID(_ metrics: [String], _ interval: Int32, _ id: Uuid) -> Int32 {
    var hash: UInt32 = 2_166_136_261
    for byte in "\(metrics.joined(separator: ","));\(interval)".utf8 {
      hash = (hash ^ UInt32(byte)) &* 16_777_619
    }
    let mixed = id.high ^ id.low
    return Int32(
      bitPattern: hash ^ UInt32(truncatingIfNeeded: mixed >> 32) ^ UInt32(truncatingIfNeeded: mixed)
    )
  }

  /// Forgets who has gone without a word, and makes room.
  private mutating func sweep(_ now: Instant) {
    let isFull = instances.count >= maxInstances
    guard isFull || now.milliseconds(since: sweptAt) >= Self.expiryMs else { return }
    sweptAt = now
    instances = instances.filter { _, instance in
      now.milliseconds(since: instance.lastSeen)
        < max(Self.expiryMs, Int64(instance.intervalMs) * 3)
    }
    while instances.count >= maxInstances {
      let oldest = instances.min {
        ($0.value.lastSeen, $0.key) < ($1.value.lastSeen, $1.key)
      }
      guard let oldest else { return }
      instances[oldest.key] = nil
    }
  }

  /// Whether a client is still known; what it told may be shown.
  public func knows(_ instance: Uuid) -> Bool { instances[instance] != nil }
}
