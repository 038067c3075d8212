import Replication
import Testing
import Values

private struct Log: FollowerLog {
  var logStartOffset: Offset = 0
  var logEndOffset: Offset
  var highWatermark: Offset = 0
  var epochs: [(Int32, Offset)]
  var latestEpoch: LeaderEpoch? { epochs.last.map { LeaderEpoch($0.0) } }
  func end(of epoch: LeaderEpoch) -> EpochEnd? {
    guard let last = epochs.last, epoch.rawValue <= last.0 else { return nil }
    let higher = epochs.first { $0.0 > epoch.rawValue }
    let floor = epochs.last { $0.0 <= epoch.rawValue }?.0 ?? epoch.rawValue
    return EpochEnd(epoch: LeaderEpoch(floor), endOffset: higher?.1 ?? logEndOffset)
  }
}

@Suite struct FollowerFetcherTests {
  private let now = Instant(milliseconds: 10)

  private func step(
    _ fetcher: inout FollowerFetcher, _ answer: FollowerFetcher.Answer, _ log: Log
  ) -> [FollowerFetcher.Effect] {
    var effects: [FollowerFetcher.Effect] = []
    fetcher.step(answer, log: log, at: now, into: &effects)
    return effects
  }

  @Test func `records are appended, then the high watermark and the log start follow`() {
    var fetcher = FollowerFetcher(leaderEpoch: LeaderEpoch(3))
    let log = Log(logEndOffset: 20, epochs: [(1, 0), (2, 15)])
    #expect(
      fetcher.question(for: log, at: now)
        == .fetch(offset: 20, lastFetchedEpoch: LeaderEpoch(2), logStartOffset: 0))
    #expect(
      step(&fetcher, .fetched(highWatermark: 25, logStartOffset: 4, recordBytes: 9), log)
        == [.append, .followHighWatermark(25), .raiseLogStart(to: 4)])
  }

  @Test func `divergence is cut at the common epoch's smaller end`() {
    var fetcher = FollowerFetcher(leaderEpoch: LeaderEpoch(5))
    let log = Log(logEndOffset: 20, epochs: [(1, 0), (2, 15)])
    let same = EpochEnd(epoch: LeaderEpoch(2), endOffset: 17)
    #expect(step(&fetcher, .diverging(same), log) == [.truncate(to: 17)])
    let older = EpochEnd(epoch: LeaderEpoch(1), endOffset: 12)
    #expect(step(&fetcher, .diverging(older), log) == [.truncate(to: 12)])
    let unknown = EpochEnd(epoch: LeaderEpoch(0), endOffset: 6)
    #expect(step(&fetcher, .diverging(unknown), log) == [.truncate(to: 0)])
  }

  @Test func `before 2,7 the epoch's end is asked first`() {
    var fetcher = FollowerFetcher(leaderEpoch: LeaderEpoch(5), divergenceInFetch: false)
    let log = Log(logEndOffset: 20, highWatermark: 11, epochs: [(1, 0), (4, 15)])
    #expect(fetcher.question(for: log, at: now) == .endOfEpoch(LeaderEpoch(4)))
    let gap = EpochEnd(epoch: LeaderEpoch(3), endOffset: 30)
    #expect(step(&fetcher, .epochEnd(gap), log) == [.truncate(to: 15)])
    #expect(fetcher.phase == .truncating)
    #expect(step(&fetcher, .epochEnd(nil), log) == [.truncate(to: 11)])
    #expect(fetcher.phase == .fetching)
  }

  @Test func `out of range is resolved by asking for both ends`() {
    var fetcher = FollowerFetcher(leaderEpoch: LeaderEpoch(5))
    let log = Log(logEndOffset: 20, epochs: [(1, 0)])
    _ = step(&fetcher, .outOfRange, log)
    #expect(fetcher.question(for: log, at: now) == .latestOffset)
    #expect(step(&fetcher, .offset(90), log).isEmpty)
    #expect(fetcher.question(for: log, at: now) == .earliestOffset)
    #expect(step(&fetcher, .offset(40), log) == [.restart(at: 40)])
    _ = step(&fetcher, .outOfRange, log)
    #expect(step(&fetcher, .offset(12), log) == [.truncate(to: 12)])
    _ = step(&fetcher, .failed, log)
    #expect(fetcher.question(for: log, at: now) == nil)
    #expect(fetcher.question(for: log, at: now.advanced(milliseconds: 1_000)) != nil)
    _ = step(&fetcher, .fenced, log)
    #expect(fetcher.question(for: log, at: .distantFuture) == nil)
  }

  @Test func `pauses after failures begin short and double up to the backoff`() {
    var fetcher = FollowerFetcher(leaderEpoch: LeaderEpoch(5), backoffMs: 100)
    let log = Log(logEndOffset: 20, epochs: [(1, 0)])
    for pause in [20, 40, 80, 100, 100] as [Int64] {
      _ = step(&fetcher, .failed, log)
      #expect(fetcher.pausedUntil == now.advanced(milliseconds: pause))
    }
    _ = step(&fetcher, .fetched(highWatermark: 20, logStartOffset: 0, recordBytes: 0), log)
    _ = step(&fetcher, .failed, log)
    #expect(fetcher.pausedUntil == now.advanced(milliseconds: 20))
  }
}
