import TestKit
import Testing

@Suite struct SimulationTests {
  /// Every seed twice: no violation, and the same run both times.
  @Test func invariantsHoldThroughAStorm() {
    for seed in Seeds.range(100) {
      var simulation = GroupSimulation(seed: seed)
      simulation.run(steps: 1_200)
      for violation in simulation.violations.prefix(5) {
        Issue.record("seed \(seed): \(violation)")
      }
      #expect(simulation.generations > 0, "seed \(seed)")
      var again = GroupSimulation(seed: seed)
      again.run(steps: 1_200)
      #expect(simulation.digest == again.digest, "seed \(seed) does not repeat")
    }
  }

  @Test func aSeedAlwaysGivesTheSameRun() {
    var (first, second) = (GroupSimulation(seed: 99), GroupSimulation(seed: 99))
    first.run(steps: 1_000)
    second.run(steps: 1_000)
    #expect(first.digest == second.digest && first.commits == second.commits)
    #expect(first.commits > 0)
  }
}
