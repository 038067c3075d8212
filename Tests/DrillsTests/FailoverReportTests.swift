import Histories
import Testing
import Values

@testable import Drills

struct FailoverReportTests {
  @Test func percentilesAreMeasuredValues() {
    let values = (1...50).map { Int64($0 * 10) }.shuffled()
    #expect(FailoverReport.percentile(values, 0.5) == 250)
    #expect(FailoverReport.percentile(values, 0.99) == 500)
    #expect(FailoverReport.percentile([7], 0.5) == 7)
    #expect(FailoverReport.percentile([], 0.99) == nil)
  }

  @Test func aMeasurementKeepsOnlyWhatIsNew() {
    let recorder = Recorder(keepingAtLeast: 10)
    for time in 0..<1_000 as Range<Int64> {
      recorder.add(
        Operation(
          process: 1, [.sent(TopicPartition("t", 0), value: time, offset: time)],
          invoked: Instant(milliseconds: time), completed: Instant(milliseconds: time),
          outcome: .ok))
    }
    let kept = recorder.history(hasFinalRead: false).operations
    #expect((10...20).contains(kept.count))
    #expect(kept.last?.invoked == Instant(milliseconds: 999))
    #expect(recorder.records.acknowledged == 1_000)
  }

  /// What was under way before a kill, or failed after it, is no recovery.
  @Test func onlyWritesBegunAfterTheKillCount() {
    let recorder = Recorder()
    func sent(_ partition: Int32, from: Int64, to: Int64, _ outcome: Outcome) {
      recorder.add(
        Operation(
          process: 1, [.sent(TopicPartition("t", partition), value: from, offset: 0)],
          invoked: Instant(milliseconds: from), completed: Instant(milliseconds: to),
          outcome: outcome))
    }
    sent(0, from: 90, to: 120, .ok)
    sent(1, from: 101, to: 130, .unknown)
    sent(0, from: 105, to: 400, .ok)
    sent(0, from: 110, to: 300, .ok)
    let first = recorder.firstAcknowledged(after: Instant(milliseconds: 100))
    #expect(first == [0: Instant(milliseconds: 300)])
  }
}
