import Plots

extension ShapeReport {
  /// A complete HTML document: figures, latency over time, and its distribution.
  public var html: String {
    var body = "<h1>\(HTMLPage.escape(shape))</h1><p>\(HTMLPage.escape(summary)) "
    body += "(\(HTMLPage.escape(source)))<br><b>Cluster:</b> \(HTMLPage.escape(cluster))<br>"
    body += "<b>Topics:</b> \(topics) of \(partitions) partitions, \(replicationFactor) replicas; "
    body += "records of \(recordBytes) bytes; times at \(scalePercent) %</p>"
    body += "<h2>The machine</h2>" + limitsTable
    for phase in phases {
      body += "<h2>\(HTMLPage.escape(phase.name))</h2>" + figures(phase)
      body += "<h3>Latency over time</h3>" + overTime(phase)
      body += "<h3>Distribution</h3>" + distribution(phase)
      body += "<h3>Processes</h3>" + processes(phase)
    }
    return HTMLPage.document(title: "Bench \(shape)", body: body)
  }

  private func text(_ value: Double) -> String { LatencyPlot.round(value) }

  private var limitsTable: String {
    HTMLPage.table(
      [
        ["sequential write", "\(text(limits.sequentialWrite)) MiB/s"],
        ["socket copy", "\(text(limits.socketCopy)) MiB/s"],
        ["small write and fdatasync", "\(text(limits.syncMs)) ms"],
      ], numbers: [1])
  }

  private func figures(_ phase: Phase) -> String {
    var rows = [
      ["records acknowledged per second", text(phase.rate)],
      [
        "produced",
        "\(text(phase.producedMiBPerSecond)) MiB/s, "
          + "\(text(phase.shareOfSequentialWrite * 100)) % of the sequential write",
      ],
      [
        "consumed",
        "\(text(phase.consumedMiBPerSecond)) MiB/s, "
          + "\(text(phase.shareOfSocketCopy * 100)) % of the socket copy",
      ],
      ["failed", "\(phase.failed)"], ["acknowledged and not read", "\(phase.unread)"],
    ]
    if let wanted = phase.wantedRate { rows.insert(["records wanted", "\(wanted)/s"], at: 0) }
    if let highest = phase.highestRate { rows.append(["highest rate", "\(text(highest))/s"]) }
    if phase.hadBacklog {
      rows.append([
        "caught up", phase.drainedAfterSeconds.map { "after \(text($0)) s" } ?? "not in time",
      ])
    }
    if let ratio = phase.tailRatio {
      rows.append(["p99 of the last tenth over the first", text(ratio)])
    }
    for (name, latency) in [("acknowledged", phase.produce), ("end to end", phase.endToEnd)] {
      rows.append([
        "\(name), ms",
        "mean \(text(latency.mean)), 50 % \(text(latency.p50)), 95 % \(text(latency.p95)), "
          + "99 % \(text(latency.p99)), 99.9 % \(text(latency.p999)), "
          + "99.99 % \(text(latency.p9999)), max \(text(latency.max))",
      ])
    }
    return HTMLPage.table(rows)
  }

  private func overTime(_ phase: Phase) -> String {
    let end = Double(max(1, phase.timeline.last?.atMs ?? 1))
    func line(_ value: KeyPath<Moment, Double>) -> [(x: Double, ms: Double)] {
      phase.timeline.map { (Double($0.atMs) / end, $0[keyPath: value]) }
    }
    let plot = LatencyPlot(
      [
        .init("maximum", "#e0a0a0", line(\.max)), .init("99 %", "#a05a00", line(\.p99)),
        .init("median", "#2a5db0", line(\.p50)),
      ],
      ticks: (0...5).map { (Double($0) / 5, "\(text(end / 5000 * Double($0))) s") },
      label: "latency of acknowledgements over time")
    return plot.svg() + plot.legend
  }

  /// Each label stands for a tenth of what is left above the one before.
  private func distribution(_ phase: Phase) -> String {
    func place(_ share: Double) -> Double {
      share >= 1 ? 1 : min(1, -LatencyPlot.log10(1 - share) / 6)
    }
    let plot = LatencyPlot(
      [
        .init(
          "end to end", "#17722c", phase.endToEnd.curve.map { (place($0.share), $0.ms) }),
        .init("acknowledged", "#2a5db0", phase.produce.curve.map { (place($0.share), $0.ms) }),
      ],
      ticks: [
        (0, "0 %"), (1 / 6, "90 %"), (2 / 6, "99 %"), (3 / 6, "99.9 %"), (4 / 6, "99.99 %"),
        (5 / 6, "99.999 %"),
      ], label: "distribution of latencies")
    return plot.svg() + plot.legend
  }

  private func processes(_ phase: Phase) -> String {
    var rows = [["", "CPU s", "CPU s/GiB", "peak MiB", "written MiB"]]
    for process in phase.processes {
      rows.append([
        process.name, text(process.processorSeconds), text(process.processorSecondsPerGiB),
        text(process.peakMiB), process.writtenMiB.map(text) ?? "–",
      ])
    }
    rows.append(["load generator", text(phase.ownProcessorSeconds), "", "", ""])
    return HTMLPage.table(rows, numbers: [1, 2, 3, 4])
  }
}
