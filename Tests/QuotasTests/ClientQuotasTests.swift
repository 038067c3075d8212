import KafkaRecords
import Metadata
import Testing
import Values

@testable import Quotas

@Suite struct SampledRateTests {
  private func at(_ ms: Int64) -> Instant { Instant.zero.advanced(milliseconds: 1_000_000 + ms) }

  @Test func aFirstRequestIsSpreadOverTheWindow() {
    var rate = SampledRate(count: 11, widthMs: 1000)
    rate.record(10_000, at: at(0))
    // Ten full samples and what has passed of the current one.
    #expect(rate.rate(at: at(0)) == 1000)
    #expect(abs(rate.rate(at: at(500)) - 10_000 / 10.5) < 0.001)
    // When the sample has left the window it counts no more.
    #expect(rate.rate(at: at(11_000)) == 0)
  }

  @Test func theExcessIsWhatTheWindowHasTooMuch() {
    var rate = SampledRate(count: 11, widthMs: 1000)
    rate.record(20_000, at: at(0))
    let wait = rate.excessMs(over: 1000, at: at(0))
    #expect(wait == 10_000)
    // A burst counts until its sample leaves the window.
    #expect(rate.excessMs(over: 1000, at: at(wait)) > 0)
    #expect(rate.excessMs(over: 1000, at: at(11_000)) == 0)
    #expect(rate.excessMs(over: 2000, at: at(0)) == 0)
  }

  @Test func aSteadyClientIsMeasuredAsItIs() {
    var rate = SampledRate(count: 11, widthMs: 1000)
    for ms in stride(from: Int64(0), to: 30_000, by: 100) { rate.record(100, at: at(ms)) }
    #expect(abs(rate.rate(at: at(29_999)) - 1000) < 60)
  }

  @Test func aLimitOfZeroWaitsForAWholeWindow() {
    var rate = SampledRate(count: 3, widthMs: 1000)
    rate.record(1, at: at(0))
    #expect(rate.excessMs(over: 0, at: at(0)) == 3000)
  }
}

@Suite struct ClientQuotasTests {
  private let now = Instant.zero.advanced(milliseconds: 5_000_000)

  private func quotas(
    _ limits: [([(String, String?)], Double)], key: String = "producer_byte_rate"
  ) -> ClientQuotas {
    var image = MetadataImage()
    for (entity, limit) in limits {
      image.apply(
        .clientQuota(
          ClientQuotaRecord {
            $0.entity = entity.map { type, name in
              .init {
                $0.entityType = type
                $0.entityName = name
              }
            }
            $0.key = key
            $0.value = limit
          }))
    }
    var quotas = ClientQuotas()
    quotas.take(image.clientQuotas)
    return quotas
  }

  /// Each candidate is the best when those before it are not there.
  @Test func theMostSpecificEntityCounts() {
    let order: [[(String, String?)]] = [
      [("user", "u"), ("client-id", "c")], [("user", "u"), ("client-id", nil)], [("user", "u")],
      [("user", nil), ("client-id", "c")], [("user", nil), ("client-id", nil)], [("user", nil)],
      [("client-id", "c")], [("client-id", nil)],
    ]
    for first in order.indices {
      let left = order[first...].enumerated().map { ($1, Double($0 + first + 1)) }
      let found = quotas(left).limit(.produce, user: "u", clientID: "c")
      #expect(found?.limit == Double(first + 1))
    }
    #expect(quotas([]).limit(.produce, user: "u", clientID: "c") == nil)
    let others: [([(String, String?)], Double)] = [
      ([("user", "v")], 1), ([("client-id", "d")], 1), ([("ip", "10.0.0.1")], 1),
    ]
    #expect(quotas(others).limit(.produce, user: "u", clientID: "c") == nil)
    #expect(quotas([([("user", "u")], 1)]).limit(.fetch, user: "u", clientID: "c") == nil)
  }

  @Test func clientsOfOneUserShareItsLimit() {
    var shared = quotas([([("user", "u")], 1000)])
    #expect(shared.record(.produce, 8000, user: "u", clientID: "a", at: now) == 0)
    #expect(shared.record(.produce, 8000, user: "u", clientID: "b", at: now) > 0)
    // The default is a limit for each client by itself.
    var each = quotas([([("client-id", nil)], 1000)])
    #expect(each.record(.produce, 8000, user: "u", clientID: "a", at: now) == 0)
    #expect(each.record(.produce, 8000, user: "u", clientID: "b", at: now) == 0)
    #expect(each.record(.produce, 8000, user: "v", clientID: "a", at: now) > 0)
  }

  @Test func withoutALimitNothingIsMeasured() {
    var quotas = quotas([])
    #expect(!quotas.isLimiting)
    #expect(quotas.record(.produce, 1e9, user: "u", clientID: "a", at: now) == 0)
  }

  @Test func aLimitCountsFromWhenItIsSet() {
    var quotas = quotas([([("user", "u")], 100)], key: "consumer_byte_rate")
    #expect(quotas.isLimiting)
    #expect(quotas.record(.fetch, 10_000, user: "u", clientID: "a", at: now) > 0)
    quotas.take(ClientQuotasImage())
    #expect(quotas.record(.fetch, 10_000, user: "u", clientID: "a", at: now) == 0)
  }

  @Test func whatWouldBeTooMuchIsNotCounted() {
    var quotas = quotas([([("user", "u")], 100)], key: "consumer_byte_rate")
    #expect(quotas.largest(.fetch, user: "u", clientID: "a") == 1000)
    #expect(quotas.largest(.produce, user: "u", clientID: "a") == nil)
    #expect(quotas.recordIfAllowed(.fetch, 600, user: "u", clientID: "a", at: now) == 0)
    #expect(quotas.recordIfAllowed(.fetch, 600, user: "u", clientID: "a", at: now) == 2000)
    #expect(quotas.recordIfAllowed(.fetch, 400, user: "u", clientID: "a", at: now) == 0)
    #expect(quotas.recordIfAllowed(.fetch, 1, user: "u", clientID: "a", at: now) > 0)
    // What is too much by itself is given to who has been silent for a window.
    let later = now.advanced(milliseconds: 11_000)
    #expect(quotas.recordIfAllowed(.fetch, 5000, user: "u", clientID: "a", at: later) == 0)
    #expect(quotas.recordIfAllowed(.fetch, 1, user: "u", clientID: "a", at: later) > 0)
  }
}
