import Foundation
import Simulation
import TestKit
import Testing

@Suite struct ZabSimulationTests {
  /// Every seed twice: no violation, and the same run both times.
  @Test(arguments: 0..<4)
  func seedsHoldAllInvariants(_ batch: UInt64) {
    for seed in Seeds.range(300, from: 0) where seed % 4 == batch {
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

  /// Ensembles that are changed while they run get their changes through, and go on writing.
  @Test func ensemblesChange() {
    var (changed, runs) = (0, 0)
    for seed in 0..<40 as Range<UInt64> {
      let (outcome, _) = ZabCluster.run(seed: seed)
      changed += outcome.reconfigured
      runs += outcome.reconfigured > 0 ? 1 : 0
    }
    #expect(changed > 20 && runs > 8, "\(changed) changes in \(runs) runs")
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

@Suite struct ZabScenarioTests {
  static let folder = Fixtures.checkout.appending(path: "Tests/Scenarios/Zab")

  static var names: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
      .filter { $0.hasSuffix(".txt") }.sorted()
  }

  /// Scripts play as recorded; JACKDAW_RECORD=1 records them anew.
  @Test(arguments: names)
  func scriptsPlayAsRecorded(_ name: String) throws {
    let file = Self.folder.appending(path: name)
    let recorded = try String(contentsOf: file, encoding: .utf8)
    let played = ZabScenario.play(recorded)
    if ProcessInfo.processInfo.environment["JACKDAW_RECORD"] != nil {
      try played.write(to: file, atomically: true, encoding: .utf8)
    } else {
      #expect(played == recorded)
    }
    #expect(!played.contains("VIOLATED"))
  }

  @Test func thereAreScripts() { #expect(Self.names.count >= 5) }
}
