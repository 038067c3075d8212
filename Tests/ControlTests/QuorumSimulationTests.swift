import Control
import Metadata
import TestKit
import Testing
import Values

@Suite struct QuorumSimulationTests {
  private func run(_ seed: UInt64) -> QuorumSimulation {
    var simulation = QuorumSimulation(seed: seed)
    simulation.failOver()
    for _ in 0..<400 { simulation.act() }
    simulation.recover()
    return simulation
  }

  @Test func invariantsHold() {
    var codes: Set<String> = []
    var unclean = 0
    var created = 0
    let seeds = Seeds.range(200)
    for seed in seeds {
      let first = run(seed)
      let failures = first.failures + first.invariants.failures
      #expect(failures.isEmpty, "seed \(seed): \(failures.prefix(3))")
      let image = first.invariants.image
      #expect(image.brokers.alive.count == 5, "seed \(seed): brokers stay fenced")
      #expect(image.topics.leaderlessCount == 0, "seed \(seed): partitions without a leader")
      for controller in first.controllers {
        let isSame = controller.image == image
        #expect(isSame, "seed \(seed): controllers differ")
      }
      let second = run(seed)
      #expect(
        second.invariants.digest == first.invariants.digest && second.now == first.now,
        "seed \(seed) is not repeatable")
      codes.formUnion(first.answered.keys.map(\.name))
      unclean += first.invariants.uncleanElections
      created += first.invariants.everCreated.count
    }
    // The runs went where they were meant to go.
    for code in [
      "NONE", "NOT_CONTROLLER", "STALE_BROKER_EPOCH", "DUPLICATE_BROKER_REGISTRATION",
      "TOPIC_ALREADY_EXISTS", "INELIGIBLE_REPLICA", "INVALID_UPDATE_VERSION",
    ] {
      #expect(codes.contains(code), "no answer was \(code)")
    }
    #expect(unclean > 0 && created > seeds.count * 3)
  }
}
