// The report as one page that needs nothing else: no script, no font, no network.

extension DrillReport {
  /// A complete HTML document with the time line and the latency plot drawn as SVG.
  public var html: String {
    let verdict = valid ? "valid" : "not valid"
    var body = """
      <h1>Drill \(number): \(Self.escape(title))</h1>
      <p class="verdict \(valid ? "good" : "bad")">\(verdict)</p>
      <p><b>Breaks:</b> \(Self.escape(breaks))<br><b>Must hold:</b> \(Self.escape(mustHold))<br>
      <b>Cluster:</b> \(Self.escape(cluster)), \(mode) mode</p>
      """
    if let problem = firstProblem {
      body += "<p class=\"bad\">\(Self.escape(problem))</p>"
    }
    body += "<h2>Time line and latency of writes</h2>" + DrillPlot(self).svg
    body += "<h2>Recovery</h2>" + recoveryTable
    body += "<h2>Counts</h2>" + countsTable
    body += "<h2>Checks</h2>" + checksTable
    if !findings.isEmpty { body += "<h2>Anomalies</h2>" + findingsList }
    body += "<h2>Events</h2>" + eventsTable
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8">
      <title>Drill \(number) \(Self.escape(name)): \(verdict)</title>
      <style>\(Self.style)</style></head><body>\(body)</body></html>

      """
  }

  static func escape(_ text: String) -> String {
    var escaped = ""
    for character in text {
      switch character {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      default: escaped.append(character)
      }
    }
    return escaped
  }

  private static var style: String {
    """
    body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;\
    color:#222;background:#fff}
    h1{margin-bottom:0}h2{margin-top:1.6em;font-size:1.1em}
    table{border-collapse:collapse}td,th{padding:.2em .9em .2em 0;text-align:left;\
    vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}
    .verdict{font-size:1.2em;font-weight:bold}.good{color:#17722c}.bad{color:#b3261e}
    svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:#555}
    """
  }

  private static func table(_ rows: [[String]], numbers: Set<Int> = []) -> String {
    let lines = rows.map { row in
      let cells = row.enumerated().map { index, cell in
        "<td\(numbers.contains(index) ? " class=\"n\"" : "")>\(escape(cell))</td>"
      }
      return "<tr>\(cells.joined())</tr>"
    }
    return "<table>\(lines.joined())</table>"
  }

  private var recoveryTable: String {
    let rows: [(String, Int64?)] = [
      ("to detect", recovery.toDetectMs), ("to elect", recovery.toElectMs),
      ("to the first acknowledged write", recovery.toFirstWriteMs),
      ("to full ISR", recovery.toFullISRMs),
      ("longest without an acknowledged write", recovery.longestWithoutWriteMs),
      ("longest without a read", recovery.longestWithoutReadMs),
    ]
    return Self.table(
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
    return Self.table(rows, numbers: [1, 2, 3, 4, 5])
  }

  private var checksTable: String {
    Self.table(checks.map { [$0.holds ? "holds" : "FAILS", $0.name, $0.detail] })
  }

  private var findingsList: String {
    findings.map { finding in
      let operations = finding.operations.map { "<li>\(Self.escape($0))</li>" }.joined()
      return "<p><b>\(finding.kind)</b> \(Self.escape(finding.subject)): "
        + "\(Self.escape(finding.detail))</p><ul>\(operations)</ul>"
    }.joined()
  }

  private var eventsTable: String {
    Self.table(events.map { [Self.seconds($0.atMs), $0.kind, $0.text] }, numbers: [0])
  }
}

/// The picture: latency over time on a logarithmic scale, and the events as lines through it.
struct DrillPlot {
  private let report: DrillReport
  private let endMs: Double
  private static let width = 960.0
  private static let height = 300.0
  private static let left = 50.0
  private static let bottom = 40.0
  private static let top = 60.0

  init(_ report: DrillReport) {
    self.report = report
    let last = max(report.latency.last?.atMs ?? 0, report.events.last?.atMs ?? 0)
    endMs = Double(max(last, 1))
  }

  private func x(_ ms: Int64) -> Double {
    Self.left + Double(ms) / endMs * (Self.width - Self.left - 10)
  }

  /// From 0.1 ms at the bottom to 100 s at the top.
  private func y(_ ms: Double) -> Double {
    let decades = (log10(max(ms, 0.1)) + 1) / 6
    let span = Self.height - Self.top - Self.bottom
    return Self.height - Self.bottom - min(max(decades, 0), 1) * span
  }

  /// The common logarithm, without a mathematics library: enough digits for a pixel.
  private func log10(_ value: Double) -> Double {
    var result = 0.0
    var rest = value
    while rest >= 10 {
      rest /= 10
      result += 1
    }
    while rest < 1 {
      rest *= 10
      result -= 1
    }
    // rest lies in 1..<10: digits of the fraction by squaring.
    var bit = 0.5
    for _ in 0..<12 {
      rest *= rest
      if rest >= 10 {
        rest /= 10
        result += bit
      }
      bit /= 2
    }
    return result
  }

  private func round(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

  var svg: String {
    let parts = axes + outages + [line(\.worstMs, "#e0a0a0"), line(\.medianMs, "#2a5db0")] + marks
    return "<svg viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" role=\"img\" "
      + "aria-label=\"latency of writes over time\">\(parts.joined())</svg>"
      + "<p>Blue: median latency of writes; red: the worst of each tenth of a second. "
      + "Grey: no write was acknowledged for half a second or longer.</p>"
  }

  private var axes: [String] {
    var parts: [String] = []
    for (ms, label) in [
      (0.1, "0.1 ms"), (1, "1 ms"), (10, "10 ms"), (100, "100 ms"), (1000, "1 s"), (10000, "10 s"),
      (100000, "100 s"),
    ] {
      parts.append(
        "<line x1=\"\(Self.left)\" x2=\"\(Self.width - 10)\" y1=\"\(round(y(ms)))\" "
          + "y2=\"\(round(y(ms)))\" stroke=\"#eee\"/>"
          + "<text x=\"2\" y=\"\(round(y(ms) + 4))\">\(label)</text>")
    }
    let step = max(1, Int64(endMs / 10_000)) * 1000
    for second in stride(from: Int64(0), through: Int64(endMs), by: Int(step)) {
      parts.append(
        "<text x=\"\(round(x(second)))\" y=\"\(Self.height - 22)\">\(second / 1000) s</text>")
    }
    return parts
  }

  /// Stretches without writes.
  private var outages: [String] {
    var parts: [String] = []
    var last: Int64?
    for point in report.latency {
      if let before = last, point.atMs - before > 500 {
        parts.append(
          "<rect x=\"\(round(x(before)))\" y=\"\(Self.top)\" "
            + "width=\"\(round(x(point.atMs) - x(before)))\" "
            + "height=\"\(Self.height - Self.top - Self.bottom)\" fill=\"#ddd\"/>")
      }
      last = point.atMs
    }
    return parts
  }

  private func line(_ value: KeyPath<DrillReport.LatencyPoint, Double>, _ colour: String) -> String
  {
    let points = report.latency.map { "\(round(x($0.atMs))),\(round(y($0[keyPath: value])))" }
    return "<polyline fill=\"none\" stroke=\"\(colour)\" stroke-width=\"1.3\" "
      + "points=\"\(points.joined(separator: " "))\"/>"
  }

  private var marks: [String] {
    let colours = [
      "fault": "#b3261e", "detected": "#a05a00", "elected": "#8a6d00", "firstWrite": "#17722c",
      "healed": "#17722c", "fullISR": "#2a5db0",
    ]
    var row = 0
    return report.events.compactMap { event in
      guard let colour = colours[event.kind] else { return nil }
      row = (row + 1) % 4
      let at = round(x(event.atMs))
      let labelY = round(12 + Double(row) * 13)
      return "<line x1=\"\(at)\" x2=\"\(at)\" y1=\"\(labelY)\" "
        + "y2=\"\(Self.height - Self.bottom)\" stroke=\"\(colour)\" stroke-dasharray=\"3 2\"/>"
        + "<text x=\"\(at)\" y=\"\(labelY)\" style=\"fill:\(colour)\">\(event.kind) "
        + "\(DrillReport.escape(String(event.text.prefix(32))))</text>"
    }
  }
}
