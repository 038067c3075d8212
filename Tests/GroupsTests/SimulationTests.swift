import Testing

@Suite struct SimulationTests {
  @Test(arguments: 1...40 as ClosedRange<UInt64>)
  func invariantsHoldThroughAStorm(seed: UInt64) {
    var simulation = GroupSimulation(seed: seed)
    simulation.run(steps: 1_200)
    for violation in simulation.violations.prefix(5) {
      Issue.record("seed \(seed): \(violation)")
    }
    #expect(simulation.generations > 0, "seed \(seed)")
  }

  @Test func aSeedAlwaysGivesTheSameRun() {
    var (first, second) = (GroupSimulation(seed: 99), GroupSimulation(seed: 99))
    first.run(steps: 1_000)
    second.run(steps: 1_000)
    #expect(first.digest == second.digest && first.commits == second.commits)
    #expect(first.commits > 0)
  }
}
