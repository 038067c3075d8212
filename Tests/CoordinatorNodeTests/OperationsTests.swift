import Foundation
import Platform
import Settings
import Testing
import Values
import ZooKeeperProtocol

@testable import CoordinatorNode

@Suite struct OperationsTests {
  @Test(arguments: [
    (0, "Thu Jan 01 00:00:00 UTC 1970"), (1_795_500_222_999, "Tue Nov 24 06:03:42 UTC 2026"),
    (951_782_399_000, "Mon Feb 28 23:59:59 UTC 2000"),
    (951_782_400_000, "Tue Feb 29 00:00:00 UTC 2000"),
    (4_107_542_400_000, "Mon Mar 01 00:00:00 UTC 2100"),
  ])
  func datesAreJavas(milliseconds: Int64, text: String) {
    #expect(CalendarDate(WallTime(milliseconds: milliseconds)).text == text)
  }

  @Test func averagesAreRoundedAsZooKeeperRounds() {
    #expect(ServerMetric.decimal(0) == "0.0")
    #expect(ServerMetric.decimal(1.40939) == "1.4094")
    #expect(ServerMetric.decimal(18.5) == "18.5")
    #expect(ServerMetric.decimal(2.00004) == "2.0")
  }

  @Test func summariesHaveTheirFiveOrNineLines() {
    var summary = Summary()
    for value in [1, 2, 6] as [Int64] { summary.add(value) }
    let basic = ServerMetric(name: "x", value: .summary(summary, isDetailed: false))
    #expect(basic.lines.map(\.name) == ["avg_x", "min_x", "max_x", "cnt_x", "sum_x"])
    #expect(basic.lines.map(\.value) == ["3.0", "1", "6", "3", "9"])
    let detailed = ServerMetric(name: "x", value: .summary(summary, isDetailed: true))
    #expect(detailed.lines.suffix(4).map(\.name) == ["p50_x", "p95_x", "p99_x", "p999_x"])
    #expect(detailed.exposition().contains("x{quantile=\"0.9\",} "))
    #expect(basic.exposition().hasSuffix("x_count 3\nx_sum 9\n"))
  }

  /// Members of a set differ by a label, and by what stands before their names in `mntr`.
  @Test func setsHaveKeys() {
    var summary = Summary()
    summary.add(4)
    let acks = ServerMetric(
      name: "ack_latency", key: "2", value: .summary(summary, isDetailed: false))
    #expect(acks.lines.first?.name == "avg_2_ack_latency")
    #expect(acks.exposition().contains("ack_latency{key=\"2\",quantile=\"0.5\",} "))
    #expect(acks.exposition(isFirst: false).hasPrefix("ack_latency{"))
    #expect(acks.exposition().hasSuffix("_count{key=\"2\",} 1\nack_latency_sum{key=\"2\",} 4\n"))
    let quoted = ServerMetric(name: "q", key: "a\"b", value: .gauge(1))
    #expect(quoted.exposition(isFirst: false) == "q{key=\"a\\\"b\",} 1\n")
    #expect(quoted.lines.first?.name == "a\"b_q")
  }

  @Test func pausesAreToldByTheirLength() throws {
    let config = try settings(
      "jvm.pause.monitor=true\njvm.pause.info-threshold.ms=5\njvm.pause.warn-threshold.ms=50\n")
    #expect(config.operations.pauses.isEnabled)
    #expect(config.operations.pauses.sleepMs == 500)
    var monitor = PauseMonitor(config.operations.pauses)
    #expect([5, 6, 50, 51].map { monitor.woke(extraMs: $0) } == [.none, .info, .info, .warn])
    #expect(monitor.infos == 2 && monitor.warnings == 1)
  }

  @Test func quorumTimesBeginWithTheLossOfTheLeader() {
    var statistics = QuorumStatistics()
    statistics.lost(at: Instant(milliseconds: 10))
    statistics.lost(at: Instant(milliseconds: 40))
    statistics.syncSince = Instant(milliseconds: 50)
    statistics.serves(as: .observing, at: Instant(milliseconds: 110))
    #expect(statistics.unavailable.spread.total == 100)
    #expect(statistics.leaderUnavailable.spread.count == 0)
    #expect(statistics.observerSync.spread.total == 60)
    #expect(statistics.followerSync.spread.count == 0)
    statistics.serves(as: .observing, at: Instant(milliseconds: 200))
    #expect(statistics.unavailable.spread.count == 1)
  }

  @Test func theLastPacketsAreKept() {
    var tracker = PacketTracker(limit: 2)
    for (index, type) in [PacketType.followerInfo, .ackEpoch, .ping].enumerated() {
      tracker.noteSent(type, at: WallTime(milliseconds: Int64(index)))
    }
    tracker.noteReceived(.diff, at: WallTime(milliseconds: 9))
    #expect(PacketTracker.text(tracker.sent) == "18@1 5@2")
    #expect(PacketTracker.text(tracker.received) == "13@9")
    tracker.dump("peer")
    #expect(tracker.sent.isEmpty && tracker.received.isEmpty)
    var off = PacketTracker(limit: 0)
    off.noteSent(.ping, at: WallTime(milliseconds: 1))
    #expect(off.sent.isEmpty)
  }

  @Test func everyAdminCommandHasZooKeepersShortName() {
    let names = [
      "crst", "conf", "cons", "hash", "dirs", "dump", "envi", "gtmk", "icfg", "isro", "lsnp",
      "lead", "mntr", "orst", "ruok", "stmk", "srvr", "stat", "srst", "obsr",
      "sysp", "voting_view", "wchc",
      "wchp", "wchs", "zabstate",
    ]
    let commands = names.compactMap { AdminCommand(named: $0) }
    #expect(Set(commands) == Set(AdminCommand.allCases))
  }

  private func settings(_ text: String) throws -> CoordinatorConfig {
    let properties = try Properties(parsing: "dataDir=/d\nclientPort=0\n" + text, file: "zoo.cfg")
    return try CoordinatorConfig.load(SettingSources(properties)).config
  }

  @Test func operationsAreReadByZooKeepersNames() throws {
    let config = try settings(
      """
      zookeeper.admin.serverPort=18080
      admin.commandURL=/admin/
      metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider
      requestThrottleLimit=7
      superUser=boss
      ssl.keyStore.password=hush
      """)
    #expect(config.operations.adminPort == 18080)
    #expect(config.operations.commandURL == "/admin")
    #expect(config.operations.metricsPort == 7000)
    #expect(config.limits.throttledRequests == 7)
    // What is secret is not shown to those who look at a server.
    let shown = config.given.first { $0.key == "ssl.keyStore.password" }?.value
    #expect(shown == "[hidden]")
  }

  @Test func jaasFilesAreReadAsPeopleWriteThem() throws {
    let text = """
      // users
      Client { some.Module required; };
      Server{org.apache.zookeeper.server.auth.DigestLoginModule required
        user_a="x;y" /* z */ user_b=plain # more
        debug=true;};
      """
    let users = try JAASFile(text, "jaas.conf").users(of: "Server")
    #expect(users == ["a": "x;y", "b": "plain"])
  }
}
