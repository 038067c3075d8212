import Foundation
import Simulation
import TestKit
import Testing

@Suite struct RaftSimulationTests {
  /// Every seed twice: no violation, and the same run both times.
  @Test(arguments: 0..<4)
  func seedsHoldAllInvariants(_ batch: UInt64) {
    var counts = RaftCounts()
    var acknowledged = 0
    for seed in Seeds.range(200, from: 0) where seed % 4 == batch {
      let (first, _) = RaftCluster.run(seed: seed)
      let (second, _) = RaftCluster.run(seed: seed)
      #expect(first.violations.isEmpty, "seed \(seed)")
      #expect(first == second, "seed \(seed) does not repeat")
      counts += first.counts
      acknowledged += first.acknowledged
    }
    // The seeds must reach what they are there for.
    #expect(acknowledged > 2000)
    #expect(counts.crashes > 300)
    #expect(counts.leaders > 100)
    #expect(counts.truncations > 20)
    #expect(counts.snapshotsInstalled > 40)
    #expect(counts.voterChanges > 50)
  }
}

@Suite struct RaftKeptSeedsTests {
  /// Seeds that once found something: a removed voter that had called elections while it was cut
  /// off, and stayed outside (393, 1940); a vote that arrived when a later epoch had its leader
  /// (701); a disk that was lost between its replica's acknowledgement and the commit (1523).
  @Test(arguments: [393, 701, 1523, 1940] as [UInt64])
  func hold(_ seed: UInt64) {
    #expect(RaftCluster.run(seed: seed).outcome.violations.isEmpty)
  }
}

@Suite struct RaftSabotageTests {
  /// A protocol with a deliberate mistake must not get through: the invariants see it in some seed.
  @Test(arguments: RaftSabotage.allCases)
  func mistakesAreCaught(_ sabotage: RaftSabotage) {
    var caught: String?
    for seed in 0..<300 as Range<UInt64> where caught == nil {
      let violations = RaftCluster.run(seed: seed, sabotage: sabotage).outcome.violations
      caught = violations.first { !$0.hasPrefix("liveness") }.map { "\(seed): \($0)" }
    }
    #expect(caught != nil)
  }
}

@Suite struct RaftScenarioTests {
  static let folder = Fixtures.checkout.appending(path: "Tests/Scenarios/Raft")

  static var names: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
      .filter { $0.hasSuffix(".txt") }.sorted()
  }

  /// Scripts play as recorded; JACKDAW_RECORD=1 records them anew.
  @Test(arguments: names)
  func scriptsPlayAsRecorded(_ name: String) throws {
    let file = Self.folder.appending(path: name)
    let recorded = try String(contentsOf: file, encoding: .utf8)
    let played = RaftScenario.play(recorded)
    if ProcessInfo.processInfo.environment["JACKDAW_RECORD"] != nil {
      try played.write(to: file, atomically: true, encoding: .utf8)
    } else {
      #expect(played == recorded)
    }
    #expect(!played.contains("VIOLATED"))
  }

  @Test func thereAreScripts() { #expect(Self.names.count >= 10) }
}
