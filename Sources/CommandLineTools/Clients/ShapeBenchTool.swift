import Benchmarks
import Foundation
import LocalCluster
import Settings

/// `jackdaw bench list|run|compare`: shapes of load against a cluster of its own or another's.
struct ShapeBenchTool {
  let line: ParsedCommandLine
  let console: Console

  func list() {
    console.table(
      ["SHAPE", "SECONDS", "FROM", "WHAT"],
      BenchShape.catalogue.map { shape in
        let seconds = shape.phases.reduce(0) { $0 + $1.seconds + shape.warmUpSeconds }
        return [shape.name, "\(seconds)", shape.source, shape.summary]
      })
  }

  func compare(_ paths: [String]) throws {
    guard paths.count == 2 else {
      throw SettingsError("needs two reports in JSON", key: "compare")
    }
    let reports = try paths.map { path in
      do {
        return try JSONDecoder().decode(
          ShapeReport.self, from: Data(contentsOf: URL(filePath: path)))
      } catch {
        throw ToolFailure("\(path) is no report of a shape: \(error)")
      }
    }
    let comparison = try ShapeComparison(reports[0], reports[1])
    if line.value("--output") == "json" { return try console.json(comparison) }
    for warning in comparison.warnings { console.problem("not equal: \(warning)") }
    console.table(
      ["PHASE", "FIGURE", paths[0], paths[1], "RATIO"],
      comparison.rows.map {
        [
          $0.phase, $0.figure, $0.first.text(2), $0.second.text(2), $0.ratio?.text(2) ?? "",
        ]
      })
  }

  /// Measures each shape on a cluster of its own.
  func run(_ names: [String]) async throws {
    let shapes = try names.map { name in
      guard let shape = BenchShape.named(name) else {
        throw SettingsError("no such shape; jackdaw bench list has them", value: name)
      }
      return shape
    }
    guard !shapes.isEmpty else {
      throw SettingsError("name a shape; jackdaw bench list has them", key: "run")
    }
    let scale = try line.integer("--scale", in: 1...1000) ?? 100
    var reports: [ShapeReport] = []
    for shape in shapes {
      let report = try await onCluster { bench in
        var bench = bench
        bench.scalePercent = scale
        bench.progress = { console.problem($0) }
        if let folder = line.value("--report") {
          bench.onHistograms = { name, histogram in
            let stem = String(name.map { $0.isLetter || $0.isNumber ? $0 : "-" })
            try Self.write(
              Data(histogram.percentileDistribution.utf8), "\(shape.name)-\(stem).hgrm",
              to: folder)
          }
        }
        return try await bench.run(shape)
      }
      reports.append(report)
      if let folder = line.value("--report") {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try Self.write(try encoder.encode(report), "\(shape.name).json", to: folder)
        try Self.write(Data(report.html.utf8), "\(shape.name).html", to: folder)
      }
      if line.value("--output") != "json" { show(report) }
      console.flush()
    }
    if line.value("--output") == "json" {
      if reports.count == 1 { try console.json(reports[0]) } else { try console.json(reports) }
    }
  }

  private static func write(_ data: Data, _ name: String, to folder: String) throws {
    let url = URL(filePath: folder)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    try data.write(to: url.appending(path: name))
  }

  // MARK: The cluster

  private func onCluster(
    _ body: (ShapeBench) async throws -> ShapeReport
  ) async throws -> ShapeReport {
    if let bootstrap = line.value("--bootstrap-server") {
      let folder = FileManager.default.temporaryDirectory
      var bench = ShapeBench(bootstrap: bootstrap, cluster: bootstrap, folder: folder)
      bench.replicationFactor = try line.integer("--replication-factor", in: 1...100) ?? 3
      bench.processes = try line.pairs("--process").sorted { $0.0 < $1.0 }.map { name, id in
        guard let id = Int32(id), id > 0 else {
          throw SettingsError("must be a process's id", key: "--process \(name)", value: id)
        }
        return MeasuredProcess(name: name, id: id)
      }
      return try await body(bench)
    }
    let cluster = try localCluster()
    do {
      try cluster.up()
      var bench = ShapeBench(
        bootstrap: cluster.plan.bootstrap,
        cluster: "local, \(cluster.plan.mode.rawValue) mode, \(cluster.plan.brokers) brokers, "
          + "jackdaw \(ToolCatalogue.version)",
        folder: cluster.folder.url)
      bench.replicationFactor = min(3, cluster.plan.brokers)
      bench.processes = cluster.status().compactMap { member in
        member.pid.map { MeasuredProcess(name: member.name, id: $0) }
      }
      let report = try await body(bench)
      try cluster.wipe()
      return report
    } catch {
      cluster.down(graceMs: 2000)
      throw error
    }
  }

  func localCluster() throws -> LocalCluster {
    let folder = ClusterFolder(try line.require("--directory"))
    try? LocalCluster.existing(in: folder)?.wipe()
    guard let mode = ClusterMode(rawValue: line.value("--mode") ?? "zookeeper") else {
      throw SettingsError("must be zookeeper or kraft", key: "--mode", value: line.value("--mode"))
    }
    let coordinationPort = try line.integer("--coordination-port", in: 1...60000) ?? 12181
    var plan = ClusterPlan(
      mode: mode, brokers: try line.integer("--brokers", in: 1...100) ?? 3,
      brokerPort: try line.integer("--broker-port", in: 1...65000) ?? 19092,
      coordinationPort: coordinationPort,
      metricsPort: try line.integer("--metrics-port", in: 1...65000) ?? 19404)
    if mode == .kraft {
      plan.quorum = QuorumPlan(controllers: 3, controllerPort: coordinationPort)
    }
    for (key, value) in try line.pairs("--broker-override") { plan.brokerSettings[key] = value }
    return LocalCluster(folder: folder, plan: plan)
  }

  // MARK: The report

  private func show(_ report: ShapeReport) {
    console.line("\(report.shape): \(report.summary) (\(report.source))")
    console.line(
      "\(report.cluster); \(report.topics) topics of \(report.partitions) partitions, "
        + "\(report.replicationFactor) replicas, records of \(report.recordBytes) bytes")
    console.line(
      "machine: sequential write \(report.limits.sequentialWrite.text(0)) MiB/s, socket copy "
        + "\(report.limits.socketCopy.text(0)) MiB/s, fdatasync \(report.limits.syncMs.text(2)) ms")
    for phase in report.phases {
      console.line("")
      show(phase)
    }
  }

  private func show(_ phase: ShapeReport.Phase) {
    let wanted = phase.wantedRate.map { " of \($0) wanted" } ?? ""
    console.line(
      "\(phase.name): \(phase.rate.text(0))\(wanted) records/s acknowledged (acks=\(phase.acks)) "
        + "in \(phase.seconds.text(1)) s; \(phase.failed) failed")
    if let failure = phase.firstFailure { console.line("  first failure: \(failure)") }
    if phase.unread > 0 {
      console.line("  \(phase.unread) acknowledged records did not arrive within half a minute")
    }
    if let highest = phase.highestRate {
      console.line("  highest rate reached: \(highest.text(0)) records/s")
    }
    if phase.hadBacklog {
      console.line(
        "  " + (phase.drainedAfterSeconds.map { "caught up after \($0.text(1)) s" }
          ?? "did not catch up"))
    }
    if let ratio = phase.tailRatio {
      console.line("  p99 of the last tenth over the first: \(ratio.text(2))")
    }
    console.line(
      "  produced \(phase.producedMiBPerSecond.text(1)) MiB/s "
        + "(\((phase.shareOfSequentialWrite * 100).text(0)) % of the sequential write), consumed "
        + "\(phase.consumedMiBPerSecond.text(1)) MiB/s "
        + "(\((phase.shareOfSocketCopy * 100).text(0)) % of the socket copy)")
    console.table(
      ["  LATENCY MS", "MEAN", "50", "95", "99", "99.9", "99.99", "MAX"],
      [("acknowledged", phase.produce), ("end to end", phase.endToEnd)].map { name, latency in
        ["  " + name]
          + [
            latency.mean, latency.p50, latency.p95, latency.p99, latency.p999, latency.p9999,
            latency.max,
          ].map { $0.text(2) }
      })
    var rows = phase.processes.map {
      [
        "  " + $0.name, $0.processorSecondsPerGiB.text(2), $0.peakMiB.text(1),
        $0.writtenMiB?.text(1) ?? "-",
      ]
    }
    rows.append(["  load generator (CPU s)", phase.ownProcessorSeconds.text(2), "", ""])
    console.table(["  PROCESS", "CPU s/GiB", "PEAK MiB", "WRITTEN MiB"], rows)
  }
}
