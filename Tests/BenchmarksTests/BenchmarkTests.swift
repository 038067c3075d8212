import Foundation
import Testing

@testable import Benchmarks

@Suite struct CoordinationReportTests {
  private func load(_ kind: String, _ perProcessorSecond: Double) -> CoordinationReport.Load {
    .init(
      kind: kind, servers: 1, sessions: 16, operation: "read", perSecond: 1000,
      perProcessorSecond: perProcessorSecond, p50Ms: 1, p99Ms: 2, failed: 0)
  }

  private func report() throws -> CoordinationReport {
    CoordinationReport(
      limits: try MachineLimits.measure(in: FileManager.default.temporaryDirectory))
  }

  @Test func goalsAreRatiosToThePeer() throws {
    var report = try report()
    report.loads = [load("jackdaw", 30_000)]
    #expect(report.goals.isEmpty)
    report.loads.append(load("zookeeper", 10_000))
    report.weights = ["jackdaw", "zookeeper"].map {
      .init(
        kind: $0, znodes: 10, residentMiB: $0 == "jackdaw" ? 100 : 300, recoveryMs: 100,
        recoveredMiB: 0, idleSessions: 1, idleMiB: 0, idleProcessorShare: 0)
    }
    let goals = report.goals
    #expect(goals.map(\.ratio) == [3, 3, 1])
    #expect(goals.map(\.isMet) == [true, false, false])
  }
}
