import Testing
import Values

@testable import Drills

/// Steps of a failover, read from logs as brokers and controllers write them.
struct KillTimelineTests {
  private func timeline(victim: Int32) throws -> KillTimeline {
    let killed = try #require(KillTimeline.time(of: "[2026-11-24 13:12:17,050] x"))
    return KillTimeline(victim: victim, killed: killed)
  }

  @Test func aZooKeeperModeControllerTellsItsSteps() throws {
    let log = """
      [2026-11-24 13:12:16,990] INFO liveness: the process of a broker is gone: it broker=1 epoch=3
      [2026-11-24 13:12:17,256] INFO liveness: the process of a broker is gone: it broker=1 epoch=9
      [2026-11-24 13:12:17,257] INFO controller: Controller 1 is gone; ending its term
      [2026-11-24 13:12:17,262] INFO controller: elected epoch=7
      a line of something else
      [2026-11-24 13:12:17,300] INFO liveness: the process of a broker is gone: it broker=11 epoch=9
      [2026-11-24 13:12:17,433] INFO controller: Brokers: none arrived, none of \
      them restarted; 1,3 lost
      [2026-11-24 13:12:17,440] INFO replicas: leading in new epochs partitions=2
      [2026-11-24 13:12:22,827] INFO controller: Brokers: 1 arrived, none of them \
      restarted; none lost
      """
    let steps = try timeline(victim: 1).steps(in: log, of: "broker-2", limitMs: 1_000)
    #expect(
      steps == [
        FailoverStep(.detected, by: "broker-2", atMs: 206),
        FailoverStep(.deposed, by: "broker-2", atMs: 207),
        FailoverStep(.elected, by: "broker-2", atMs: 212),
        FailoverStep(.fenced, by: "broker-2", atMs: 383),
        FailoverStep(.leads, by: "broker-2", atMs: 390),
      ])
    // Another broker's death explains nothing.
    let other = try timeline(victim: 2).steps(in: log, of: "broker-2", limitMs: 1_000)
    #expect(other.map(\.kind) == [.elected, .leads])
  }

  @Test func aQuorumControllerTellsItsSteps() throws {
    let log = """
      [2026-11-24 13:12:17,250] INFO QuorumController: Becoming the active controller \
      epoch=4 offset=9
      [2026-11-24 13:12:17,251] INFO QuorumController: Fencing broker 3 because its process is gone.
      """
    let steps = try timeline(victim: 3).steps(in: log, of: "controller-101", limitMs: 1_000)
    #expect(steps.map(\.kind) == [.elected, .fenced])
    #expect(steps.map(\.atMs) == [200, 201])
  }

  @Test func onlyTimesAtTheFrontCount() throws {
    #expect(KillTimeline.time(of: "no time") == nil)
    #expect(KillTimeline.time(of: "[2026-11-24] short") == nil)
    let one = try #require(KillTimeline.time(of: "[2026-01-31 23:59:59,999] a"))
    let two = try #require(KillTimeline.time(of: "[2026-02-01 00:00:00,001] b"))
    #expect(two.milliseconds - one.milliseconds == 2)
  }

  @Test func aReportTellsWhereTheTimeWent() {
    let kill = FailoverKill(
      victim: "broker-1", wasController: true, toFirstMs: 400, toAllMs: 410,
      steps: [
        FailoverStep(.detected, by: "broker-2", atMs: 206),
        FailoverStep(.allWrite, by: "client", atMs: 410),
      ])
    #expect(
      kill.text == "broker-1, the controller: first write after 400 ms, all after 410 ms: "
        + "detected 206 (broker-2), allWrite 410 (client)")
    let report = FailoverReport(
      mode: "zookeeper", victim: "leader", milliseconds: [410], toFirstMilliseconds: [400],
      kills: [kill], quietMs: 0, acknowledged: 1, unknown: 0, confirmed: 1, falseSuspicions: 0)
    #expect(report.text.contains { $0.contains("first detected: p50 206 ms") })
    #expect(!report.text.contains { $0.contains("elected") })
  }
}
