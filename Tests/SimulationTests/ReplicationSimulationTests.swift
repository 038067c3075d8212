import Simulation
import TestKit
import Testing

@Suite struct ReplicationSimulationTests {
  @Test func `no acknowledged record is lost, over many seeds, each reproducible`() throws {
    var total = ReplicationSimulation.Outcome()
    for seed in Seeds.range(150) {
      let outcome = try ReplicationSimulation.run(seed: seed)
      #expect(outcome == (try ReplicationSimulation.run(seed: seed)))
      total.acknowledged += outcome.acknowledged
      total.leaderships += outcome.leaderships
      total.crashes += outcome.crashes
      total.truncations += outcome.truncations
      total.isrChanges += outcome.isrChanges
    }
    // The seeds must reach what they are there for.
    #expect(total.acknowledged > 3_000)
    #expect(total.leaderships > 80)
    #expect(total.crashes > 40)
    #expect(total.truncations > 20)
    #expect(total.isrChanges > 80)
  }
}
