import Foundation
import Simulation
import Testing

@Suite struct ZabSimulationTests {
  /// Every seed twice: no violation, and the same run both times.
  @Test(arguments: 0..<4)
  func seedsHoldAllInvariants(_ batch: UInt64) {
    // More on demand: JACKDAW_SEEDS=1000 per batch.
    let seeds = ProcessInfo.processInfo.environment["JACKDAW_SEEDS"].flatMap(UInt64.init) ?? 50
    for seed in (batch * seeds)..<(batch * seeds + seeds) {
      let (first, _) = ZabCluster.run(seed: seed)
      let (second, _) = ZabCluster.run(seed: seed)
      #expect(first.violations.isEmpty, "seed \(seed)")
      #expect(first == second, "seed \(seed) does not repeat")
    }
  }

  @Test func theEnsembleDoesItsWork() {
    let (outcome, _) = ZabCluster.run(seed: 1)
    #expect(outcome.acknowledged > 20)
  }
}

@Suite struct ZabSabotageTests {
  /// A protocol with a deliberate mistake must not get through: the invariants see it in some seed.
  @Test(arguments: ZabSabotage.allCases)
  func mistakesAreCaught(_ sabotage: ZabSabotage) {
    var caught: String?
    for seed in 0..<200 as Range<UInt64> where caught == nil {
      let violations = ZabCluster.run(seed: seed, sabotage: sabotage).outcome.violations
      caught = violations.first { !$0.hasPrefix("liveness") }.map { "\(seed): \($0)" }
    }
    #expect(caught != nil)
  }
}
