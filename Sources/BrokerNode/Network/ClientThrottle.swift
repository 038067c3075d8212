/// Client quotas at work: what clients use is measured, and who is over the limit is not heard for
/// a while (KIP-219: the answer goes out at once, and says how long).
import KafkaProtocol
import Metadata
import Platform
import Quotas
import Synchronization
import Transport
import Values

final class ClientThrottle: Sendable {
  private let quotas: Mutex<ClientQuotas>
  /// Whether there is any limit: without one a request costs a load.
  private let limiting = Atomic<Bool>(false)
  private let limitingTime = Atomic<Bool>(false)

  /// - Parameters:
  ///   - sampleCount: `quota.window.num`.
  ///   - sampleMs: `quota.window.size.seconds`, in milliseconds.
  init(sampleCount: Int, sampleMs: Int64) {
    quotas = Mutex(ClientQuotas(count: sampleCount, widthMs: sampleMs))
  }

  /// Takes over the limits of an image; called by whoever publishes images.
  func take(_ image: ClientQuotasImage) {
    let isLimitingTime = quotas.withLock { quotas in
      quotas.take(image)
      return quotas.isLimiting(.request)
    }
    limitingTime.store(isLimitingTime, ordering: .releasing)
    limiting.store(!image.isEmpty, ordering: .releasing)
  }

  var isLimiting: Bool { limiting.load(ordering: .relaxed) }
  /// Whether anybody's share of the loops' time is limited.
  var isLimitingTime: Bool { limitingTime.load(ordering: .relaxed) }

  /// Notes for how long a loop was busy with a client's request.
  /// - Returns: for how many milliseconds it must not be heard.
  func spent(_ nanoseconds: Int64, for client: ThrottledClient, at now: Instant) -> Int64 {
    // Percent of one thread, as a rate: a second's worth of nanoseconds is 100 in a second.
    let percent = Double(max(0, nanoseconds)) * 100 / 1_000_000_000
    return quotas.withLock {
      $0.record(.request, percent, user: client.user, clientID: client.id, at: now)
    }
  }

  /// Notes what a client has sent.
  /// - Returns: for how many milliseconds it must not be heard.
  func produced(_ bytes: Int, by client: ThrottledClient, at now: Instant) -> Int64 {
    quotas.withLock {
      $0.record(.produce, Double(bytes), user: client.user, clientID: client.id, at: now)
    }
  }

  /// Notes what a client is about to get. When that is too much it is not counted, and the client
  /// gets nothing.
  /// - Returns: for how many milliseconds it must not be heard.
  func fetched(_ bytes: Int, by client: ThrottledClient, at now: Instant) -> Int64 {
    quotas.withLock {
      $0.recordIfAllowed(.fetch, Double(bytes), user: client.user, clientID: client.id, at: now)
    }
  }

  /// The most that a client can get at once; nil without a limit. An answer above it would never be
  /// allowed.
  func largestFetch(by client: ThrottledClient) -> Int? {
    quotas.withLock { $0.largest(.fetch, user: client.user, clientID: client.id) }
  }
}

/// Whom limits are about.
struct ThrottledClient: Sendable {
  /// The principal's name.
  var user: String
  /// The client id, which may be empty.
  var id: String
}

/// The request that a loop is busy with, while anybody's time is limited (KIP-124).
struct RequestTiming {
  var began = Instant.zero
  /// Whether its time is noted, or of no concern.
  var isSettled = true
}

extension RequestContext {
  /// What servers ask each other is nobody's quota.
  private static let amongServers: Set<ApiKey> = [
    .leaderAndIsr, .stopReplica, .updateMetadata, .controlledShutdown, .alterPartition,
    .allocateProducerIDs, .writeTxnMarkers, .envelope,
  ]

  /// Notes the time that this request has taken until now.
  /// - Returns: for how many milliseconds the client must not be heard.
  func settleTime() -> Int64 {
    guard services.throttle.isLimitingTime, !loop.timing.isSettled else { return 0 }
    loop.timing.isSettled = true
    guard let client = timedClient else { return 0 }
    let spent = Clock.now().nanoseconds - loop.timing.began.nanoseconds
    return services.throttle.spent(spent, for: client, at: loop.now)
  }

  /// A follower's Fetch takes nobody's time.
  func exemptFromTime() { loop.timing.isSettled = true }

  /// Whose time it is; nil when nobody's is limited, and between servers.
  var timedClient: ThrottledClient? {
    guard services.throttle.isLimitingTime, !Self.amongServers.contains(api) else { return nil }
    return throttledClient
  }

  /// Nil when nobody is limited.
  var throttledClient: ThrottledClient? {
    guard services.throttle.isLimiting else { return nil }
    return ThrottledClient(user: client.requestPrincipal.name, id: clientID ?? "")
  }

  /// Does not hear the client for a while; what it has sent already waits.
  func mute(forMs milliseconds: Int64) {
    Self.mute(connection, on: loop, forMs: milliseconds)
  }

  /// - Precondition: on the connection's loop.
  static func mute(_ connection: Connection, on loop: BrokerLoop, forMs milliseconds: Int64) {
    guard milliseconds > 0, connection.isOpen else { return }
    connection.hold()
    loop.eventLoop.schedule(afterMs: milliseconds) {
      if connection.isOpen { connection.release() }
    }
  }
}
