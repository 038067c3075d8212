import Testing

@testable import Benchmarks

@Suite struct LatencyHistogramTests {
  @Test func percentilesAreWithinTheWidthOfABucket() {
    var histogram = LatencyHistogram()
    for value in 1...100_000 { histogram.record(Int64(value)) }
    for (share, exact) in [(0.5, 50.0), (0.95, 95.0), (0.99, 99.0), (0.9999, 99.99)] {
      let found = histogram.percentileMs(share)
      #expect(found >= exact && found <= exact * 1.016, "\(share): \(found)")
    }
    #expect(histogram.maximumMs == 100)
    #expect(histogram.meanMs == 50.0005)
  }

  @Test func theDistributionEndsWithEverything() {
    var histogram = LatencyHistogram()
    for value in 1...1000 { histogram.record(Int64(value) * 1000) }
    let curve = histogram.curve
    #expect(curve.first?.share == 0)
    #expect(curve.last?.share == 1 && curve.last?.ms == 1000)
    #expect(zip(curve, curve.dropFirst()).allSatisfy { $0.share < $1.share && $0.ms <= $1.ms })
    let lines = histogram.percentileDistribution.split(separator: "\n")
    #expect(lines.last == "#[Total count = 1000]")
    #expect(lines.contains { $0.contains("0.500000") && $0.contains(" 500 ") })
  }
}

@Suite struct TallyTests {
  private func second(_ count: Int64) -> Int64 { count * 1_000_000_000 }

  /// A client that stalls for two seconds: whoever took the time from the real sending would see
  /// one slow record; from the intended times, all that had to wait are slow.
  @Test func recordsThatHadToWaitCountFromWhenTheyWereDue() {
    var tally = Tally(intervalNanoseconds: second(1))
    tally.open(from: second(10))
    tally.close(at: second(14))
    for millisecond in 0..<5000 {
      let due = second(10) + Int64(millisecond) * 1_000_000
      let isStalled = due >= second(11) && due < second(13)
      tally.record(intended: due, now: isStalled ? second(13) : due + 1_000_000, bytes: 10)
    }
    #expect(tally.latency.count == 4000)
    #expect(tally.total == 5000)
    #expect(tally.latency.percentileMs(0.45) < 1.1)
    #expect(tally.latency.percentileMs(0.75) > 900)
    #expect(tally.latency.maximumMs == 2000)
    #expect(tally.intervals.map(\.bytes) == [10_000, 10_000, 10_000, 10_000])
    #expect(tally.intervals[0].latency.maximumMs < 1.1)
    #expect(tally.intervals[1].latency.maximumMs == 2000)
  }

  @Test func nothingIsMeasuredBeforeItIsOpened() {
    var tally = Tally(intervalNanoseconds: second(1))
    tally.record(intended: second(1), now: second(2), bytes: 1)
    #expect(tally.latency.count == 0 && tally.total == 1)
    tally.open(from: second(3))
    tally.record(intended: second(2), now: second(4), bytes: 1)
    #expect(tally.latency.count == 0)
    tally.record(intended: second(3), now: second(4), bytes: 1)
    #expect(tally.latency.count == 1 && tally.bytes == 1)
  }
}

@Suite struct BenchShapeTests {
  @Test func everyPublishedShapeIsThere() {
    let names = [
      "simple", "throughput", "many-clients", "long-run", "keys", "drain", "many-partitions",
      "sync", "small",
    ]
    for name in names { #expect(BenchShape.named(name) != nil, "\(name)") }
    #expect(BenchShape.named("nonsense") == nil)
  }

  @Test func scalingLeavesTheRates() throws {
    let shape = try #require(BenchShape.named("drain"))
    let tenth = shape.scaled(percent: 10)
    #expect(tenth.phases.map(\.rate) == shape.phases.map(\.rate))
    #expect(tenth.phases[0].backlogBytes == 200_000_000)
    #expect(tenth.phases[0].seconds == 30)
    let small = try #require(BenchShape.named("small"))
    #expect(small.scaled(percent: 1).phases[0].records == 100_000)
  }

  @Test func comparisonsAreOfOneShape() throws {
    let limits = MachineLimits(sequentialWrite: 100, socketCopy: 100, syncMs: 1)
    func report(_ shape: String, _ scale: Int) -> ShapeReport {
      ShapeReport(
        shape: shape, summary: "", source: "", cluster: "c", topics: 1, partitions: 1,
        replicationFactor: 1, recordBytes: 100, scalePercent: scale, limits: limits)
    }
    #expect(throws: BenchmarkFailure.self) {
      try ShapeComparison(report("a", 100), report("b", 100))
    }
    #expect(try ShapeComparison(report("a", 100), report("a", 10)).warnings.count == 1)
  }

  /// The first member of a group has all partitions for a moment, and gives most of them away.
  @Test func aGroupIsCompleteWhenAllAreOfOneGeneration() {
    #expect(PhaseRun.isComplete([2], assigned: 24, of: 24))
    #expect(!PhaseRun.isComplete([1, -1], assigned: 24, of: 24), "the others are still to come")
    #expect(!PhaseRun.isComplete([1, 2], assigned: 24, of: 24))
    #expect(!PhaseRun.isComplete([-1], assigned: 0, of: 0))
    #expect(!PhaseRun.isComplete([2], assigned: 18, of: 24))
  }
}
