import KafkaRecords
import Metadata
import Testing
import Values

@testable import Quotas

/// With ten windows of a second and ten mutations a second: the example of Kafka's own tests.
@Suite struct MutationQuotasTests {
  private func at(_ ms: Int64) -> Instant { Instant.zero.advanced(milliseconds: 1_000_000 + ms) }

  private func limits(_ entity: [(String, String?)] = [("user", nil)]) -> ClientQuotasImage {
    var image = MetadataImage()
    image.apply(
      .clientQuota(
        ClientQuotaRecord {
          $0.entity = entity.map { type, name in
            .init {
              $0.entityType = type
              $0.entityName = name
            }
          }
          $0.key = "controller_mutation_rate"
          $0.value = 10
        }))
    return image.clientQuotas
  }

  private var quotas: MutationQuotas { MutationQuotas(count: 10, widthMs: 1000) }

  private func open(
    _ quotas: MutationQuotas, isStrict: Bool = true, user: String = "u", client: String = "c",
    _ limits: ClientQuotasImage? = nil
  ) -> MutationCharge {
    quotas.open(limits ?? self.limits(), user: user, clientID: client, isStrict: isStrict)
  }

  @Test func aStrictClientMayMakeADebtOnce() {
    var quotas = self.quotas
    var charge = open(quotas)
    #expect(quotas.charge(90, &charge, at: at(0)) && charge.throttleMs == 0)
    // The burst that empties the bucket goes through; nothing goes after it.
    #expect(quotas.charge(90, &charge, at: at(0)) && charge.throttleMs == 0)
    #expect(!quotas.charge(90, &charge, at: at(0)) && charge.throttleMs == 8000)
    charge = open(quotas)
    #expect(!quotas.charge(1, &charge, at: at(5000)) && charge.throttleMs == 3000)
    charge = open(quotas)
    #expect(quotas.charge(1, &charge, at: at(8000)) && charge.throttleMs == 0)
  }

  @Test func anOlderClientIsOnlySlowed() {
    var quotas = self.quotas
    var charge = open(quotas, isStrict: false)
    #expect(quotas.charge(90, &charge, at: at(0)) && charge.throttleMs == 0)
    #expect(quotas.charge(90, &charge, at: at(0)) && charge.throttleMs == 8000)
    #expect(quotas.charge(90, &charge, at: at(0)) && charge.throttleMs == 17_000)
  }

  @Test func aBucketFillsUpToAWindow() {
    var quotas = self.quotas
    var charge = open(quotas)
    #expect(quotas.charge(100, &charge, at: at(0)))
    // An hour later there are a hundred again, not thousands.
    #expect(quotas.charge(101, &charge, at: at(3_600_000)))
    #expect(!quotas.charge(1, &charge, at: at(3_600_000)) && charge.throttleMs == 100)
  }

  @Test func whoSharesALimitSharesABucket() {
    var quotas = self.quotas
    var first = open(quotas, client: "a")
    #expect(quotas.charge(200, &first, at: at(0)))
    var second = open(quotas, client: "b")
    #expect(!quotas.charge(1, &second, at: at(0)))
    var other = open(quotas, user: "v")
    #expect(quotas.charge(1, &other, at: at(0)))
  }

  @Test func withoutALimitNothingCounts() {
    var quotas = self.quotas
    var charge = open(quotas, limits([("client-id", "other")]))
    for _ in 0..<3 { #expect(quotas.charge(1_000_000, &charge, at: at(0))) }
    #expect(charge.throttleMs == 0)
  }
}

@Suite struct ConnectionRatesTests {
  private func at(_ ms: Int64) -> Instant { Instant.zero.advanced(milliseconds: 1_000_000 + ms) }

  private func limits(_ rates: [(String?, Double)]) -> ClientQuotasImage {
    var image = MetadataImage()
    for (name, rate) in rates {
      image.apply(
        .clientQuota(
          ClientQuotaRecord {
            $0.entity = [
              .init {
                $0.entityType = "ip"
                $0.entityName = name
              }
            ]
            $0.key = "connection_creation_rate"
            $0.value = rate
          }))
    }
    return image.clientQuotas
  }

  @Test func theBrokersLimitMakesConnectionsWait() {
    var rates = ConnectionRates(count: 3, widthMs: 1000)
    rates.brokerLimit = 2
    rates.protectedListener = "INTERNAL"
    // Two whole windows are full: four connections, at two a second.
    for _ in 0..<4 {
      #expect(rates.connected(from: "10.0.0.1", to: "EXTERNAL", at: at(0)) == .serve)
    }
    // The fifth is (5/2 - 2) / 2 * 2000 ms too early.
    #expect(rates.connected(from: "10.0.0.2", to: "EXTERNAL", at: at(0)) == .wait(ms: 500))
    // The longest wait is one window's width.
    for _ in 0..<9 { _ = rates.connected(from: "10.0.0.2", to: "EXTERNAL", at: at(0)) }
    #expect(rates.connected(from: "10.0.0.2", to: "EXTERNAL", at: at(0)) == .wait(ms: 1000))
    #expect(rates.connected(from: "10.0.0.2", to: "INTERNAL", at: at(0)) == .serve)
    #expect(rates.connected(from: "10.0.0.2", to: "EXTERNAL", at: at(3000)) == .serve)
  }

  @Test func aListenerHasALimitOfItsOwn() {
    var rates = ConnectionRates(count: 3, widthMs: 1000)
    #expect(!rates.isLimiting)
    rates.listenerLimits = ["INTERNAL": 1]
    rates.protectedListener = "INTERNAL"
    #expect(rates.isLimiting)
    #expect(rates.connected(from: "a", to: "INTERNAL", at: at(0)) == .serve)
    #expect(rates.connected(from: "a", to: "INTERNAL", at: at(0)) == .serve)
    #expect(rates.connected(from: "a", to: "INTERNAL", at: at(0)) == .wait(ms: 1000))
    #expect(rates.connected(from: "a", to: "EXTERNAL", at: at(0)) == .serve)
  }

  @Test func anAddressIsTurnedAwayAndNotCounted() {
    var rates = ConnectionRates(count: 3, widthMs: 1000)
    rates.take(limits([(nil, 1), ("10.0.0.9", 2)]))
    for _ in 0..<2 { #expect(rates.connected(from: "10.0.0.1", to: "L", at: at(0)) == .serve) }
    for _ in 0..<20 {
      #expect(
        rates.connected(from: "10.0.0.1", to: "L", at: at(0)) == .turnAway(afterMs: 1000))
    }
    // Of another address more is taken, and what was turned away was not counted.
    for _ in 0..<4 { #expect(rates.connected(from: "10.0.0.9", to: "L", at: at(0)) == .serve) }
    #expect(rates.connected(from: "10.0.0.9", to: "L", at: at(0)) == .turnAway(afterMs: 500))
    #expect(rates.connected(from: "10.0.0.1", to: "L", at: at(1500)) == .turnAway(afterMs: 500))
    #expect(rates.connected(from: "10.0.0.1", to: "L", at: at(3000)) == .serve)
  }
}

@Suite struct RequestTimeTests {
  /// Fifty percent of a thread, measured over ten seconds: no wait is longer than a window.
  @Test func aClientThatTakesTooMuchTimeWaitsForAWindowAtMost() {
    var image = MetadataImage()
    image.apply(
      .clientQuota(
        ClientQuotaRecord {
          $0.entity = [
            .init {
              $0.entityType = "client-id"
              $0.entityName = nil
            }
          ]
          $0.key = "request_percentage"
          $0.value = 50
        }))
    var quotas = ClientQuotas(count: 11, widthMs: 1000)
    quotas.take(image.clientQuotas)
    #expect(quotas.isLimiting(.request) && !quotas.isLimiting(.produce))
    let now = Instant.zero.advanced(milliseconds: 5_000_000)
    // Five seconds of work in ten are the limit.
    #expect(quotas.record(.request, 500, user: "u", clientID: "c", at: now) == 0)
    // A tenth of a percent more: (50.05 - 50) / 50 * 10 s.
    #expect(quotas.record(.request, 0.5, user: "u", clientID: "c", at: now) == 10)
    #expect(quotas.record(.request, 5000, user: "u", clientID: "c", at: now) == 1000)
    #expect(quotas.record(.request, 5000, user: "u", clientID: "d", at: now) == 1000)
    #expect(quotas.record(.request, 0, user: "u", clientID: "e", at: now) == 0)
  }
}
