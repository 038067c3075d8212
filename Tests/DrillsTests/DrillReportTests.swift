import Foundation
import Testing

@testable import Drills

/// What a person and a program read after a run.
@Suite struct DrillReportTests {
  private func report(
    mode: String, build: String, settings: [String: String], toFirstWriteMs: Int64
  ) -> DrillReport {
    DrillReport(
      number: 1, name: "kill-leader", title: "SIGKILL", breaks: "It <breaks>.",
      mustHold: "It holds.", mode: mode, cluster: "3 brokers", build: build, settings: settings,
      valid: false, durationMs: 9_000,
      events: [.init(kind: "fault", atMs: 4_000, text: "SIGKILL broker-1")],
      recovery: .init(
        toDetectMs: 200, toElectMs: 210, toFirstWriteMs: toFirstWriteMs, toFullISRMs: 5_000,
        longestWithoutWriteMs: 400, longestWithoutReadMs: 450),
      records: .init(attempted: 10, acknowledged: 9, failed: 0, unknown: 1, consumed: 18),
      znodes: .init(attempted: 0, acknowledged: 0, failed: 0, unknown: 0, consumed: 0),
      administration: .init(attempted: 0, acknowledged: 0, failed: 0, unknown: 0, consumed: 0),
      anomalies: ["lost-write": 1],
      findings: [
        .init(
          kind: "lost-write", subject: "t-0", detail: "value 7",
          operations: ["process 1 sent 7", "process 2 read 8"])
      ],
      countedLosses: 0, checks: [.init(name: "full ISR", holds: true, detail: "")],
      latency: [.init(atMs: 100, medianMs: 2, worstMs: 5, writes: 3)])
  }

  @Test func theTextHasTheVerdictAndAllThatSpeaksForIt() {
    let text = report(
      mode: "kraft", build: "jackdaw, built today", settings: ["key": "v"], toFirstWriteMs: 300
    ).text.joined(separator: "\n")
    for part in [
      "kraft mode", "jackdaw, built today", "key = v", "fault", "to detect", "to elect",
      "to the first acknowledged write", "to full ISR", "longest without an acknowledged write",
      "longest without a read", "10 sent: 9 acknowledged, 0 failed, 1 unknown; 18 read",
      "lost-write: 1", "process 1 sent 7", "process 2 read 8", "valid: false",
    ] {
      #expect(text.contains(part), "\(part)")
    }
  }

  @Test func thePageNeedsNothingElse() {
    let page = report(
      mode: "kraft", build: "b", settings: ["clients": "<ours>"], toFirstWriteMs: 300
    ).html
    #expect(page.contains("<svg") && page.contains("not valid") && page.contains("lost-write"))
    #expect(page.contains("It &lt;breaks&gt;.") && page.contains("&lt;ours&gt;"))
    for outside in ["<script", "<link", "src=", "href=", "@import", "url("] {
      #expect(!page.contains(outside), "\(outside)")
    }
  }

  @Test func twoReportsAreComparedByModesSettingsBuildsAndTimes() throws {
    let first = report(mode: "kraft", build: "old", settings: ["a": "1"], toFirstWriteMs: 200)
    let second = report(mode: "zookeeper", build: "new", settings: ["b": "2"], toFirstWriteMs: 300)
    let rows = ReportComparison(first, second).rows
    func row(_ name: String) -> [String]? {
      rows.first { $0.name == name }.map { [$0.first, $0.second] }
    }
    #expect(row("mode") == ["kraft", "zookeeper"])
    #expect(row("build") == ["old", "new"])
    #expect(row("a") == ["1", "-"] && row("b") == ["-", "2"])
    #expect(rows.first { $0.name == "to the first write, ms" }?.percent == 150)
    // Written and read back it is the same.
    let copy = try JSONDecoder().decode(DrillReport.self, from: JSONEncoder().encode(first))
    #expect(copy.text == first.text)
  }
}
