// The report as one page that needs nothing else: no script, no font, no network.

import Plots

extension DrillReport {
  /// A complete HTML document with the time line and the latency plot drawn as SVG.
  public var html: String {
    let verdict = valid ? "valid" : "not valid"
    var body = """
      <h1>Drill \(number): \(HTMLPage.escape(title))</h1>
      <p class="verdict \(valid ? "good" : "bad")">\(verdict)</p>
      <p><b>Breaks:</b> \(HTMLPage.escape(breaks))<br>
      <b>Must hold:</b> \(HTMLPage.escape(mustHold))<br>
      <b>Cluster:</b> \(HTMLPage.escape(cluster)), \(mode) mode<br>
      <b>Build:</b> \(HTMLPage.escape(build))</p>
      """
    if let problem = firstProblem {
      body += "<p class=\"bad\">\(HTMLPage.escape(problem))</p>"
    }
    body += "<h2>Time line and latency of writes</h2>" + DrillPlot(self).svg
    body += "<h2>Recovery</h2>" + recoveryTable
    body += "<h2>Counts</h2>" + countsTable
    body += "<h2>Checks</h2>" + checksTable
    if !findings.isEmpty { body += "<h2>Anomalies</h2>" + findingsList }
    body += "<h2>Settings</h2>" + settingsTable
    body += "<h2>Events</h2>" + eventsTable
    return HTMLPage.document(title: "Drill \(number) \(name): \(verdict)", body: body)
  }

  private var recoveryTable: String {
    let rows: [(String, Int64?)] = [
      ("to detect", recovery.toDetectMs), ("to elect", recovery.toElectMs),
      ("to the first acknowledged write", recovery.toFirstWriteMs),
      ("to full ISR", recovery.toFullISRMs),
      ("longest without an acknowledged write", recovery.longestWithoutWriteMs),
      ("longest without a read", recovery.longestWithoutReadMs),
    ]
    return HTMLPage.table(
      rows.compactMap { name, value in value.map { [name, "\($0) ms"] } }, numbers: [1])
  }

  private var countsTable: String {
    var rows = [["", "attempted", "acknowledged", "failed", "unknown", "consumed"]]
    for (name, counts) in [
      ("records", records), ("znodes", znodes), ("administration", administration),
    ] where counts.attempted > 0 {
      rows.append([
        name, "\(counts.attempted)", "\(counts.acknowledged)", "\(counts.failed)",
        "\(counts.unknown)", "\(counts.consumed)",
      ])
    }
    return HTMLPage.table(rows, numbers: [1, 2, 3, 4, 5])
  }

  private var checksTable: String {
    HTMLPage.table(checks.map { [$0.holds ? "holds" : "FAILS", $0.name, $0.detail] })
  }

  private var settingsTable: String {
    HTMLPage.table(settings.keys.sorted().map { [$0, settings[$0] ?? ""] })
  }

  private var findingsList: String {
    findings.map { finding in
      let operations = finding.operations.map { "<li>\(HTMLPage.escape($0))</li>" }.joined()
      return "<p><b>\(finding.kind)</b> \(HTMLPage.escape(finding.subject)): "
        + "\(HTMLPage.escape(finding.detail))</p><ul>\(operations)</ul>"
    }.joined()
  }

  private var eventsTable: String {
    HTMLPage.table(events.map { [Self.seconds($0.atMs), $0.kind, $0.text] }, numbers: [0])
  }
}

/// The picture: latency over time on a logarithmic scale, and the events as lines through it.
struct DrillPlot {
  private let report: DrillReport
  private let endMs: Double

  init(_ report: DrillReport) {
    self.report = report
    let last = max(report.latency.last?.atMs ?? 0, report.events.last?.atMs ?? 0)
    endMs = Double(max(last, 1))
  }

  private func place(_ ms: Int64) -> Double { Double(ms) / endMs }

  var svg: String {
    let step = max(1, Int64(endMs / 10_000)) * 1000
    let seconds = stride(from: Int64(0), through: Int64(endMs), by: Int(step))
    var plot = LatencyPlot(
      [
        line("the worst of each tenth of a second", \.worstMs, "#e0a0a0"),
        line("median latency of writes", \.medianMs, "#2a5db0"),
      ],
      ticks: seconds.map { (place($0), "\($0 / 1000) s") }, label: "latency of writes over time")
    plot.top = 60
    return plot.svg(under: outages(plot), over: marks) + plot.legend
      + "<p>Grey: no write was acknowledged for half a second or longer.</p>"
  }

  private func line(
    _ name: String, _ value: KeyPath<DrillReport.LatencyPoint, Double>, _ colour: String
  ) -> LatencyPlot.Series {
    .init(name, colour, report.latency.map { (place($0.atMs), $0[keyPath: value]) })
  }

  /// Stretches without writes.
  private func outages(_ plot: LatencyPlot) -> String {
    var parts = ""
    var last: Int64?
    for point in report.latency {
      if let before = last, point.atMs - before > 500 {
        let (start, end) = (LatencyPlot.x(place(before)), LatencyPlot.x(place(point.atMs)))
        parts +=
          "<rect x=\"\(LatencyPlot.round(start))\" y=\"\(plot.top)\" "
          + "width=\"\(LatencyPlot.round(end - start))\" "
          + "height=\"\(LatencyPlot.height - plot.top - LatencyPlot.bottom)\" fill=\"#ddd\"/>"
      }
      last = point.atMs
    }
    return parts
  }

  private var marks: String {
    let colours = [
      "fault": "#b3261e", "detected": "#a05a00", "elected": "#8a6d00", "firstWrite": "#17722c",
      "healed": "#17722c", "fullISR": "#2a5db0",
    ]
    var row = 0
    return report.events.compactMap { event in
      guard let colour = colours[event.kind] else { return nil }
      row = (row + 1) % 4
      let at = LatencyPlot.round(LatencyPlot.x(place(event.atMs)))
      let labelY = LatencyPlot.round(12 + Double(row) * 13)
      return "<line x1=\"\(at)\" x2=\"\(at)\" y1=\"\(labelY)\" "
        + "y2=\"\(LatencyPlot.height - LatencyPlot.bottom)\" stroke=\"\(colour)\" "
        + "stroke-dasharray=\"3 2\"/><text x=\"\(at)\" y=\"\(labelY)\" "
        + "style=\"fill:\(colour)\">\(event.kind) "
        + "\(HTMLPage.escape(String(event.text.prefix(32))))</text>"
    }.joined()
  }
}
