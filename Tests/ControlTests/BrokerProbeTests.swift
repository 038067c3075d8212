import Metadata
import Testing
import Values

@testable import Control

/// A probe, its clock and what it asked for.
private struct Bench {
  var probe = BrokerProbe(revokeAfterMs: 20_000)
  var now = Instant(milliseconds: 1_000)
  var effects: [BrokerProbe.Effect] = []
  static let subject = BrokerProbe.Subject(
    id: BrokerID(1), epoch: BrokerEpoch(7), host: "10.0.0.1", port: 9092)

  mutating func watch(_ subjects: [BrokerProbe.Subject] = [subject]) {
    probe.watch(subjects, at: now, into: &effects)
  }

  /// The number of the connection that is being made; nil when there is none.
  mutating func line() -> Int? {
    defer { effects.removeAll { if case .connect = $0 { true } else { false } } }
    for case .connect(let line, _, _) in effects { return line }
    return nil
  }

  mutating func open() {
    guard let line = line() else {
      Issue.record("no connection is made")
      return
    }
    probe.opened(line: line, at: now, into: &effects)
    up = line
  }
  private var up = 0

  mutating func end(_ ending: BrokerProbe.Ending) {
    probe.ended(line: line() ?? up, ending, at: now, into: &effects)
  }

  mutating func wait(_ ms: Int64) {
    now = now.advanced(milliseconds: ms)
    probe.tick(at: now, into: &effects)
  }

  /// The line ends, and every further attempt ends like this until there is nothing to attempt.
  mutating func endWith(_ ending: BrokerProbe.Ending, times: Int, everyMs: Int64 = 50) {
    for _ in 0..<times {
      guard let line = line() else {
      Issue.record("no connection is made")
      return
    }
      probe.ended(line: line, ending, at: now, into: &effects)
      wait(everyMs)
    }
  }

  var confirmed: Bool { effects.contains(.confirmed(Self.subject)) }
}

struct BrokerProbeTests {
  @Test func refusalsInARowProveADeath() {
    var bench = Bench()
    bench.watch()
    bench.open()
    bench.wait(60_000)
    #expect(bench.line() == nil, "a line that stands is left alone")
    let died = bench.now
    bench.end(.closed)
    bench.endWith(.refused, times: BrokerProbe.provingRefusals - 1)
    #expect(!bench.confirmed)
    bench.endWith(.refused, times: 1)
    #expect(bench.confirmed)
    #expect(bench.now.milliseconds(since: died) <= 250)
    #expect(bench.probe.counts == .init(suspected: 1, confirmed: 1, falseSuspicions: 0))
    // Told once, however often it is refused afterwards.
    bench.effects.removeAll()
    bench.wait(1_000)
    bench.endWith(.refused, times: 3, everyMs: 1_000)
    #expect(!bench.confirmed)
  }

  @Test func refusalsMustSpanAWhile() {
    var bench = Bench()
    bench.watch()
    bench.open()
    bench.wait(10_000)
    bench.end(.closed)
    for _ in 0..<3 {
      guard let line = bench.line() else {
        Issue.record("no connection is made")
        return
      }
      bench.probe.ended(line: line, .refused, at: bench.now, into: &bench.effects)
      #expect(bench.line() == nil, "the next attempt waits")
      bench.wait(BrokerProbe.pauseMs)
    }
    #expect(!bench.confirmed)
  }

  @Test func aClosedConnectionAloneProvesNothing() {
    var bench = Bench()
    bench.watch()
    for _ in 0..<50 {
      bench.open()
      bench.wait(5_000)
      bench.end(.closed)
      bench.wait(5_000)
    }
    #expect(bench.probe.counts.confirmed == 0)
    #expect(bench.probe.counts.suspected == 50)
  }

  @Test(arguments: [BrokerProbe.Ending.failed, .closed])
  func oneAttemptThatIsNotRefusedVoidsTheRow(_ ending: BrokerProbe.Ending) {
    var bench = Bench()
    bench.watch()
    bench.open()
    bench.wait(10_000)
    bench.end(.closed)
    bench.endWith(.refused, times: BrokerProbe.provingRefusals - 1)
    bench.endWith(ending, times: 1, everyMs: 10_000)
    bench.endWith(.refused, times: BrokerProbe.provingRefusals - 1)
    #expect(!bench.confirmed)
    bench.endWith(.refused, times: 1)
    #expect(bench.confirmed)
  }

  @Test func unreachableMachinesAreLeftToTheirSessions() {
    var bench = Bench()
    bench.watch()
    bench.open()
    bench.wait(10_000)
    bench.end(.closed)
    bench.endWith(.failed, times: 40, everyMs: 5_000)
    #expect(bench.probe.counts.confirmed == 0)
  }

  @Test func anAddressThatNeverAnsweredIsNoWitness() {
    var bench = Bench()
    bench.watch()
    bench.endWith(.refused, times: 40, everyMs: 5_000)
    #expect(bench.probe.counts.confirmed == 0)
  }

  @Test func aNewLifeIsWatchedAnew() {
    var bench = Bench()
    bench.watch()
    bench.open()
    bench.wait(10_000)
    bench.end(.closed)
    bench.endWith(.refused, times: BrokerProbe.provingRefusals - 1)
    var next = Bench.subject
    next.epoch = BrokerEpoch(8)
    bench.effects.removeAll()
    bench.watch([next])
    bench.endWith(.refused, times: 1)
    #expect(bench.probe.counts.confirmed == 0, "the row of the old life does not count")
    bench.endWith(.refused, times: BrokerProbe.provingRefusals - 1)
    #expect(bench.effects.contains(.confirmed(next)), "the address has answered before")
  }

  @Test func whatAnswersWhileTheOldSessionEndsIsANewProcess() {
    var bench = Bench()
    bench.watch()
    bench.open()
    bench.wait(10_000)
    bench.end(.closed)
    bench.endWith(.refused, times: BrokerProbe.provingRefusals)
    #expect(bench.probe.gone == [Bench.subject])
    bench.wait(1_000)
    bench.open()
    bench.wait(6_000)
    #expect(bench.probe.gone == [Bench.subject])
    // No session lasts so long without its process: it was a mistake.
    bench.wait(20_000)
    #expect(bench.probe.gone.isEmpty)
    #expect(bench.effects.contains(.revoked(Bench.subject)))
    #expect(bench.probe.counts.falseSuspicions == 1)
  }

  /// The watcher of the controller becomes the controller, and watches the same life again.
  @Test func aVerdictOutlastsItsWatch() {
    var bench = Bench()
    bench.watch()
    bench.open()
    bench.wait(10_000)
    bench.end(.closed)
    bench.endWith(.refused, times: BrokerProbe.provingRefusals)
    #expect(bench.probe.missing == [Bench.subject])
    bench.watch([])
    bench.effects.removeAll()
    bench.watch()
    #expect(!bench.confirmed, "nothing is said without a look")
    bench.endWith(.refused, times: 1)
    #expect(bench.confirmed)
    #expect(bench.probe.counts.confirmed == 1, "it died once")
    // What answers is another process, or the verdict was wrong.
    bench.wait(1_000)
    bench.open()
    #expect(bench.probe.missing.isEmpty)
    bench.watch([])
    bench.effects.removeAll()
    var next = Bench.subject
    next.epoch = BrokerEpoch(8)
    bench.watch([next])
    bench.endWith(.refused, times: BrokerProbe.provingRefusals - 1)
    #expect(bench.probe.counts.confirmed == 1, "another life")
  }

  @Test(arguments: [(200, true), (BrokerProbe.rowLivesMs + 1, false)])
  func aRowGoesOnInTheNextWatch(_ pauseMs: Int64, _ goesOn: Bool) {
    var bench = Bench()
    bench.watch()
    bench.open()
    bench.wait(10_000)
    bench.end(.closed)
    bench.endWith(.refused, times: BrokerProbe.provingRefusals - 1, everyMs: 50)
    bench.watch([])
    bench.now = bench.now.advanced(milliseconds: pauseMs - 50)
    bench.effects.removeAll()
    bench.watch()
    bench.endWith(.refused, times: 1)
    #expect(bench.confirmed == goesOn)
  }

  @Test func whatAnswersAgainIsNotCondemnedByOneRefusal() {
    var bench = Bench()
    bench.watch()
    bench.open()
    bench.wait(10_000)
    bench.end(.closed)
    bench.endWith(.refused, times: BrokerProbe.provingRefusals)
    bench.watch([])
    bench.effects.removeAll()
    bench.watch()
    bench.open()
    bench.wait(10_000)
    bench.end(.closed)
    bench.endWith(.refused, times: BrokerProbe.provingRefusals - 1)
    #expect(!bench.confirmed)
  }

  /// A controller that is elected just after a death has never connected to the dead itself.
  @Test func anAddressThatSomethingElseReachedIsAWitness() {
    var bench = Bench()
    bench.probe.noteReached(host: "10.0.0.1", port: 9092)
    bench.watch()
    bench.endWith(.refused, times: BrokerProbe.provingRefusals)
    #expect(bench.confirmed)
  }

  @Test func whoIsNotWatchedAnyMoreIsLeft() {
    var bench = Bench()
    bench.watch()
    bench.open()
    bench.watch([])
    #expect(bench.effects.contains(.drop(line: 1)))
    bench.end(.closed)
    #expect(bench.probe.counts == .init())
  }
}
