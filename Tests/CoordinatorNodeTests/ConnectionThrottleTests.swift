import Platform
import TestKit
import Testing
import Values

@testable import CoordinatorNode

/// `connection_throttle_*`: who is turned away, and when no longer.
@Suite struct ConnectionThrottleTests {
  private var random = SplitMix(seed: 5)

  private func milliseconds(_ count: Int64) -> Instant {
    Instant.zero.advanced(milliseconds: count)
  }

  private mutating func admitted(
    _ throttle: inout ConnectionThrottle, _ count: Int, _ kind: ConnectionThrottle.Kind,
    at now: Instant
  ) -> Int {
    var admitted = 0
    for _ in 0..<count where throttle.admits(kind, at: now, using: &random) { admitted += 1 }
    return admitted
  }

  @Test mutating func withoutTokensNobodyIsTurnedAway() {
    var throttle = ConnectionThrottle(ConnectionThrottle.Limits(), at: .zero)
    #expect(admitted(&throttle, 10_000, .newSession, at: .zero) == 10_000)
  }

  /// As many as the bucket holds; then as many as come back, counted from the last whole step.
  @Test mutating func tokensAreTakenAndComeBack() {
    var limits = ConnectionThrottle.Limits()
    (limits.tokens, limits.fillMs, limits.fillCount) = (5, 100, 2)
    var throttle = ConnectionThrottle(limits, at: .zero)
    #expect(admitted(&throttle, 9, .newSession, at: .zero) == 5)
    #expect(admitted(&throttle, 9, .newSession, at: milliseconds(99)) == 0)
    #expect(admitted(&throttle, 9, .newSession, at: milliseconds(150)) == 2)
    #expect(admitted(&throttle, 9, .newSession, at: milliseconds(200)) == 2)
    // Never more than there is room for.
    #expect(admitted(&throttle, 9, .newSession, at: milliseconds(.max >> 24)) == 5)
  }

  /// A session of each kind takes its own weight, only where weights count.
  @Test mutating func sessionsAreWeighed() {
    var limits = ConnectionThrottle.Limits()
    (limits.tokens, limits.fillCount, limits.isWeighted) = (12, 0, true)
    let all: [(ConnectionThrottle.Kind, Int)] = [
      (.newSession, 4), (.oldSession, 6), (.newLocalSession, 12),
    ]
    for (kind, most) in all {
      var throttle = ConnectionThrottle(limits, at: .zero)
      #expect(admitted(&throttle, 20, kind, at: .zero) == most)
    }
    limits.isWeighted = false
    var throttle = ConnectionThrottle(limits, at: .zero)
    #expect(admitted(&throttle, 20, .newSession, at: .zero) == 12)
  }

  /// While the bucket is empty more and more are turned away by chance, and fewer again when it has
  /// been full for a while.
  @Test mutating func chanceRisesAndFalls() {
    var limits = ConnectionThrottle.Limits()
    (limits.tokens, limits.fillMs, limits.fillCount) = (10, 1000, 10)
    (limits.freezeMs, limits.dropIncrease, limits.dropDecrease) = (10, 0.25, 0.5)
    var throttle = ConnectionThrottle(limits, at: .zero)
    #expect(admitted(&throttle, 10, .newSession, at: .zero) == 10)
    for step in 1...4 as ClosedRange<Int64> {
      #expect(admitted(&throttle, 1, .newSession, at: milliseconds(step * 11)) == 0)
      #expect(throttle.dropProbability == Double(step) * 0.25)
      // Frozen: the next change has to wait.
      _ = admitted(&throttle, 1, .newSession, at: milliseconds(step * 11 + 5))
      #expect(throttle.dropProbability == Double(step) * 0.25)
    }
    // There are tokens again, and chance still says no.
    #expect(throttle.dropProbability == 1)
    _ = admitted(&throttle, 1, .newSession, at: milliseconds(1000))
    #expect(throttle.dropProbability == 0.5)
    _ = admitted(&throttle, 1, .newSession, at: milliseconds(2000))
    #expect(throttle.dropProbability == 0)
    #expect(admitted(&throttle, 10, .newSession, at: milliseconds(3000)) == 10)
  }
}
