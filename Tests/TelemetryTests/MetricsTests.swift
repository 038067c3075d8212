import Synchronization
import Testing
import Values

@testable import Telemetry

@Suite struct MetricsTests {
  @Test func expositionIsPrometheusText() {
    let metrics = Metrics()
    metrics.counter("a_total", ["topic": "x\"y"], help: "of a").add(3)
    metrics.gauge("b").set(-7)
    metrics.gauge("c") { 0.5 }
    metrics.collect("d") { [.init([("p", "1")], 2), .init([("p", "0")], 1)] }
    #expect(
      metrics.exposition() == """
        # HELP a_total of a
        # TYPE a_total counter
        a_total{topic="x\\"y"} 3
        # TYPE b gauge
        b -7
        # TYPE c gauge
        c 0.5
        # TYPE d gauge
        d{p="0"} 1
        d{p="1"} 2

        """)
  }

  @Test func theSameNameIsTheSameInstrument() {
    let metrics = Metrics()
    metrics.counter("n_total", ["a": "1"]).add()
    metrics.counter("n_total", ["a": "1"]).add()
    #expect(metrics.counter("n_total", ["a": "1"]).value == 2)
    #expect(metrics.counter("n_total", ["a": "2"]).value == 0)
    // A name of another kind is not shown twice, and nothing crashes.
    metrics.gauge("n_total", ["a": "1"]).set(9)
    #expect(metrics.counter("n_total", ["a": "1"]).value == 2)
    metrics.remove("n_total", ["a": "2"])
    #expect(!metrics.exposition().contains("a=\"2\""))
  }

  @Test func bucketsCoverEveryValueWithinAnEighth() {
    var random = SplitMix(seed: 5)
    for _ in 0..<10_000 {
      let value = Int64(random.next() >> UInt64.random(in: 4...63, using: &random))
      let middle = Distribution.middle(of: Distribution.bucket(of: value))
      #expect(abs(Double(middle - value)) <= Double(value) * 0.13)
    }
  }

  @Test func percentilesAreCloseToTheTruth() {
    let distribution = Distribution()
    for value in 1...10_000 { distribution.record(Int64(value)) }
    let found = distribution.percentiles([0.5, 0.99, 1])
    #expect(abs(found[0] - 5_000) < 650)
    #expect(abs(found[1] - 9_900) < 1_300)
    #expect(found[2] <= 10_000)
    #expect(distribution.count == 10_000)
    #expect(distribution.mean == 5_000.5)
  }

  @Test func oldWindowsAreForgotten() {
    let distribution = Distribution()
    distribution.turn(nowMs: 1)
    distribution.record(1_000_000)
    distribution.turn(nowMs: 60_001)
    distribution.record(10)
    #expect(distribution.percentiles([1])[0] > 900_000)
    distribution.turn(nowMs: 120_001)
    distribution.record(10)
    #expect(distribution.percentiles([1]) == [10])
  }
}

@Suite struct LogTests {
  @Test func anEventIsOneLineWithQuotedFields() {
    let lines = Mutex<[String]>([])
    let log = Log("test-component")
    Log.redirect { level, line in lines.withLock { $0.append("\(level)|\(line)") } }
    defer { Log.redirect(to: nil) }
    log.debug("not printed", ["never": "evaluated"])
    log.warn("first\nsecond", ["n": 3, "text": "a \"b\"\n", "empty": ""])
    let own = lines.withLock { $0.filter { $0.contains("test-component") } }
    #expect(own.count == 1)
    #expect(own[0].hasPrefix("WARN|["))
    #expect(
      own[0].hasSuffix(
        #"] WARN test-component: first second n=3 text="a \"b\"\n" empty="""#))
  }

  @Test func levelsAreReadByName() {
    #expect(LogLevel("warning") == .warn)
    #expect(LogLevel("FATAL") == .error)
    #expect(LogLevel("loud") == nil)
    #expect(LogLevel.info > .debug)
  }
}
