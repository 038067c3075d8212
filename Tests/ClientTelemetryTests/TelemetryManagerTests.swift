import KafkaProtocol
import KafkaRecords
import Metadata
import Testing
import Values

@testable import ClientTelemetry

@Suite struct TelemetryManagerTests {
  private let client = TelemetryClient(
    clientID: "app", softwareName: "lib", softwareVersion: "1", address: "10.0.0.7", port: 1)
  private let id = Uuid(high: 0x4000, low: 9)

  private func at(_ ms: Int64) -> Instant { Instant.zero.advanced(milliseconds: 1_000_000 + ms) }

  private func configs(_ settings: [(String, String, String)]) -> ConfigsImage {
    var image = MetadataImage()
    for (name, key, value) in settings {
      image.apply(
        .config(
          ConfigRecord {
            $0.resourceType = ConfigResourceType.clientMetrics.rawValue
            $0.resourceName = name
            $0.name = key
            $0.value = value
          }))
    }
    return image.configs
  }

  private func manager(_ settings: [(String, String, String)] = []) -> TelemetryManager {
    var manager = TelemetryManager(maxBytes: 100)
    manager.take(configs(settings))
    return manager
  }

  private func ask(
    _ manager: inout TelemetryManager, _ given: Uuid? = nil, at ms: Int64
  ) throws -> TelemetryManager.Answer {
    try manager.ask(given ?? id, client, random: Uuid(high: 1, low: 2), at: at(ms))
  }

  private func push(
    _ manager: inout TelemetryManager, _ subscription: Int32, at ms: Int64, last: Bool = false,
    compression: Int8 = 0, bytes: Int = 10, as id: Uuid? = nil
  ) -> ErrorCode {
    do throws(TelemetrySubscription.Refusal) {
      try manager.push(
        .init(
          instance: id ?? self.id, subscriptionID: subscription, isTerminating: last,
          compressionType: compression, byteCount: bytes), client, at: at(ms))
      return .none
    } catch { return error.code }
  }

  private func code(_ body: () throws -> Void) -> ErrorCode {
    do {
      try body()
      return .none
    } catch { return (error as? TelemetrySubscription.Refusal)?.code ?? .unknownServerError }
  }

  @Test func subscriptionsThatMatchArePutTogether() throws {
    var manager = manager([
      ("a", "metrics", "m.b,m.a"), ("a", "interval.ms", "5000"),
      ("b", "metrics", "m.c,m.a"), ("b", "interval.ms", "1000"), ("b", "match", "client_id=app"),
      ("c", "metrics", "m.d"), ("c", "interval.ms", "100"), ("c", "match", "client_id=other"),
    ])
    let answer = try ask(&manager, at: 0)
    #expect(answer.metrics == ["m.a", "m.b", "m.c"] && answer.intervalMs == 1000)
    #expect(answer.instance == id)
  }

  @Test func everythingIsMoreThanSomething() throws {
    var manager = manager([("a", "metrics", "m.b"), ("b", "metrics", "*")])
    #expect(try ask(&manager, at: 0).metrics == ["*"])
  }

  @Test func aClientWithoutAnIDIsGivenOne() throws {
    var manager = manager()
    let answer = try ask(&manager, .zero, at: 0)
    #expect(answer.instance == Uuid(high: 1, low: 2))
    #expect(answer.metrics.isEmpty && answer.intervalMs == 300_000)
  }

  @Test func anIDStandsForASubscriptionAndAClient() throws {
    var (first, second) = (manager([("a", "metrics", "m")]), manager([("z", "metrics", "m")]))
    let answer = try ask(&first, at: 0)
    #expect(try ask(&second, at: 0).subscriptionID == answer.subscriptionID)
    let other = try ask(&second, Uuid(high: 0x4000, low: 10), at: 0)
    #expect(other.subscriptionID != answer.subscriptionID)
    first.take(configs([("a", "metrics", "m2")]))
    #expect(try ask(&first, at: 1).subscriptionID != answer.subscriptionID)
  }

  @Test func whoAsksOrPushesTooEarlyIsThrottled() throws {
    var manager = manager([("a", "metrics", "m"), ("a", "interval.ms", "1000")])
    let asked = try ask(&manager, at: 0)
    #expect(code { _ = try ask(&manager, at: 999) } == .throttlingQuotaExceeded)
    // The first push after asking may come at any time; the next when the interval is over.
    #expect(push(&manager, asked.subscriptionID, at: 10) == .none)
    #expect(push(&manager, asked.subscriptionID, at: 1009) == .throttlingQuotaExceeded)
    #expect(push(&manager, asked.subscriptionID, at: 1010) == .none)
    #expect(code { _ = try ask(&manager, at: 1500) } == .throttlingQuotaExceeded)
    #expect(code { _ = try ask(&manager, at: 2010) } == .none)
  }

  @Test func changedSubscriptionsAreAskedForAtOnce() throws {
    var manager = manager([("a", "metrics", "m"), ("a", "interval.ms", "1000")])
    let before = try ask(&manager, at: 0)
    #expect(push(&manager, before.subscriptionID, at: 10) == .none)
    manager.take(configs([("a", "metrics", "m2"), ("a", "interval.ms", "1000")]))
    #expect(push(&manager, before.subscriptionID, at: 1010) == .unknownSubscriptionID)
    let after = try ask(&manager, at: 1011)
    #expect(after.subscriptionID != before.subscriptionID && after.metrics == ["m2"])
    // The refused push was a push: the interval runs from it, as in Kafka.
    #expect(push(&manager, after.subscriptionID, at: 1012) == .throttlingQuotaExceeded)
    #expect(push(&manager, after.subscriptionID, at: 2010) == .none)
  }

  @Test func whatCannotBeTakenIsRefused() throws {
    var manager = manager([("a", "metrics", "m"), ("a", "interval.ms", "1000")])
    let subscription = try ask(&manager, at: 0).subscriptionID
    #expect(push(&manager, subscription, at: 1, as: .zero) == .invalidRequest)
    #expect(push(&manager, subscription, at: 1, as: .one) == .invalidRequest)
    #expect(push(&manager, subscription, at: 1, compression: 5) == .unsupportedCompressionType)
    // Who packed wrongly may ask again at once, and learns what is taken.
    #expect(code { _ = try ask(&manager, at: 2) } == .none)
    #expect(push(&manager, subscription, at: 2000, bytes: 101) == .telemetryTooLarge)
    #expect(push(&manager, subscription, at: 3000, bytes: 100) == .none)
    #expect(push(&manager, subscription + 1, at: 4000) == .unknownSubscriptionID)
  }

  @Test func aLastPushMayBeEarlyAndIsTheLast() throws {
    var manager = manager([("a", "metrics", "m"), ("a", "interval.ms", "1000")])
    let subscription = try ask(&manager, at: 0).subscriptionID
    #expect(push(&manager, subscription, at: 1) == .none)
    #expect(push(&manager, subscription, at: 2, last: true) == .none)
    #expect(push(&manager, subscription, at: 5000) == .invalidRequest)
  }

  @Test func silentClientsAreForgottenAndRoomIsMade() throws {
    var manager = TelemetryManager(maxBytes: 100, maxInstances: 3)
    manager.take(configs([("a", "interval.ms", "1000")]))
    for index in 1...5 {
      _ = try ask(&manager, Uuid(high: 0x4000, low: UInt64(index)), at: Int64(index))
    }
    #expect(manager.instanceCount == 3)
    #expect(!manager.knows(Uuid(high: 0x4000, low: 1)) && manager.knows(Uuid(high: 0x4000, low: 5)))
    _ = try ask(&manager, Uuid(high: 0x4000, low: 9), at: 70_000)
    #expect(manager.instanceCount == 1)
    manager.forget(Uuid(high: 0x4000, low: 9))
    #expect(manager.instanceCount == 0)
  }
}
