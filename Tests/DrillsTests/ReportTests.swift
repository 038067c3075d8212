import Foundation
import Settings
import Testing

@testable import Drills

@Suite struct CatalogueTests {
  @Test func numbersAndNamesAreUnique() {
    let drills = DrillCatalogue.all
    #expect(Set(drills.map(\.number)).count == drills.count)
    #expect(Set(drills.map(\.name)).count == drills.count)
    // The field's catalogue, but for transactions and the migration.
    let missing = Set(1...25).subtracting(drills.map(\.number))
    #expect(missing == [19, 23, 25])
    for mode in ["zookeeper", "kraft"] {
      #expect(DrillCatalogue.short(mode: mode).count >= 5)
    }
  }
}

@Suite struct EnsembleNemesisTests {
  /// Every kind of fault meets a leader and a follower, in an order that only the seed decides.
  @Test func everyFaultMeetsBothRoles() {
    var orders: Set<[EnsembleNemesis.Fault]> = []
    for seed in 1...8 as ClosedRange<UInt64> {
      let deck = EnsembleNemesis(seed: seed).deck
      #expect(deck == EnsembleNemesis(seed: seed).deck)
      #expect(deck.count == EnsembleNemesis.rounds)
      for parity in 0...1 {
        let faults = deck.indices.filter { $0 % 2 == parity }.map { deck[$0] }
        #expect(Set(faults) == Set(EnsembleNemesis.Fault.allCases))
      }
      orders.insert(deck)
    }
    #expect(orders.count > 4)
  }
}

@Suite struct CommandClusterTests {
  private func cluster(_ text: String) throws -> CommandCluster {
    try CommandCluster(
      bootstrap: "127.0.0.1:9092", coordination: nil,
      commands: Properties(parsing: text, file: "commands"), file: "commands")
  }

  @Test func commandsAreFilledInAndRun() throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID())").path
    defer { try? FileManager.default.removeItem(atPath: file) }
    let cluster = try cluster(
      """
      members = broker-1, broker-2, controller-3
      build = Apache Kafka 3.9.0
      broker-2.id = 102
      start = true
      kill = echo {name} {number} {id} >> \(file)
      broker-1.kill = echo special >> \(file)
      stop = exit 3
      """)
    #expect(cluster.mode == "kraft")
    #expect(cluster.build == "Apache Kafka 3.9.0")
    for member in cluster.members { try cluster.kill(member) }
    #expect(
      try String(contentsOfFile: file, encoding: .utf8)
        == "special\nbroker-2 2 102\ncontroller-3 3 3\n")
    #expect(throws: DrillProblem.self) { try cluster.stop(cluster.members[0]) }
    #expect(throws: DrillProblem.self) { try cluster.pause(cluster.members[0]) }
  }

  /// Servers that are started in the background hold what they were given; the shell has ended.
  @Test func whatIsLeftRunningIsNotWaitedFor() throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID())").path
    defer { try? FileManager.default.removeItem(atPath: file) }
    let cluster = try cluster(
      "members = broker-1\nstart = sleep 60 & echo $! > \(file)\nkill = kill $(cat \(file))")
    let begin = ContinuousClock.now
    try cluster.start(cluster.members[0])
    try cluster.kill(cluster.members[0])
    #expect(ContinuousClock.now - begin < .seconds(30))
  }

  @Test func mistakesAreNamed() {
    for (text, word) in [
      ("", "members"), ("members = elephant-1", "elephant-1"), ("mode=x\nmembers=broker-1", "mode"),
      ("members=broker-1\nstart=true", "kill broker-1"),
    ] {
      do {
        _ = try cluster(text)
        Issue.record("accepted: \(text)")
      } catch {
        #expect("\(error)".contains(word))
      }
    }
  }
}
