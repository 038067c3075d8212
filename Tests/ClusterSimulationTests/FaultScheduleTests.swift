import TestKit
import Testing

@testable import ClusterSimulation

@Suite struct FaultScheduleTests {
  private static let targets = FaultTargets(
    brokers: ["broker-1", "broker-2", "broker-3"], quorum: ["controller-101", "controller-102"],
    clients: ["producers"])

  private static func draw(_ seed: UInt64) -> [ScheduledFault] {
    FaultSchedule.draw(seed: seed, targets, overMs: 30_000)
  }

  @Test func aSeedAlwaysDrawsTheSame() {
    for seed in Seeds.range(50) { #expect(Self.draw(seed) == Self.draw(seed)) }
    #expect(Self.draw(1) != Self.draw(2))
  }

  @Test func everyFaultIsOverBeforeTheEnd() {
    for seed in Seeds.range(200) {
      let schedule = Self.draw(seed)
      #expect(schedule.map(\.atMs) == schedule.map(\.atMs).sorted())
      for entry in schedule {
        #expect(entry.atMs >= 0 && entry.durationMs > 0)
        #expect(entry.atMs + entry.durationMs <= 30_000)
      }
    }
  }

  @Test func seedsReachEveryKindAndEveryMember() {
    var kinds: Set<String> = []
    var struck: Set<String> = []
    for seed in Seeds.range(200) {
      for entry in Self.draw(seed) {
        kinds.insert("\(entry.fault)".prefix { $0 != "(" }.description)
        switch entry.fault {
        case .kill(let name), .stop(let name), .losePower(let name), .pause(let name),
          .isolate(let name), .separate(let name), .slow(let name, _), .jumpClock(let name, _),
          .fillDisk(let name):
          struck.insert(name)
        case .cut(let from, let to):
          #expect(from != to)
          struck.formUnion([from, to])
        case .flap(let a, let b):
          #expect(a != b)
          struck.formUnion([a, b])
        case .killAll(let names): struck.formUnion(names)
        }
      }
    }
    #expect(kinds.count == 12)
    #expect(struck == Set(Self.targets.members + Self.targets.clients))
  }
}
