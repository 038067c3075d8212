import Drills
import Foundation
import LocalCluster
import Settings
import Synchronization

/// `jackdaw drill`: break a cluster on purpose, and get a verdict.
struct DrillTool: Tool {
  let name = "drill"
  let summary = "Break a cluster on purpose, and judge what held."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw drill",
      summary: """
        Break a cluster on purpose, and judge the whole history of what clients did meanwhile.

          jackdaw drill list                 all drills
          jackdaw drill run NAME|NUMBER …    the named ones; `short` and `all` are sets of them
          jackdaw drill failover             time from a kill to writes, many times over
          jackdaw drill compare A B          two reports (JSON) side by side

        The exit status is the verdict: 0 when everything held.
        """,
      flags: [
        .value("--mode", "zookeeper|kraft", default: "zookeeper", "Mode of a local cluster."),
        .value("--directory", "PATH", "The local cluster's folder (default: run/drill-<mode>)."),
        .value("--brokers", "N", default: "3", "Brokers of the local cluster."),
        .value("--coordinators", "N", default: "3", "Coordinators, or controllers."),
        .value("--broker-port", "PORT", default: "29092", "The first broker's port."),
        .value("--coordination-port", "PORT", default: "22181", "The first coordinator's port."),
        .value("--metrics-port", "PORT", default: "29404", "The first broker's metrics port."),
        .value(
          "--timings", "fast|kafka", default: "fast",
          "How soon members are missed: ours, or the defaults of Kafka and ZooKeeper."),
        .value(
          "--acks", "all|1", "Of the producers; with 1 losses are counted, and condemn nobody."),
        .value("--broker-override", "KEY=VALUE", repeatable: true, "A setting of every broker."),
        .value(
          "--coordinator-override", "KEY=VALUE", repeatable: true,
          "A setting of every coordinator."),
        .value("--bootstrap-server", "HOST:PORT", "Drill a cluster that runs already."),
        .value("--coordination", "HOST:PORT", "Its ZooKeeper, when it has one."),
        .value("--commands", "FILE", "How its members are started, stopped and killed."),
        .value("--warm-up", "MS", default: "3000", "Load before the first fault."),
        .value("--fault-time", "MS", default: "5000", "How long faults last."),
        .value("--seed", "N", default: "1", "For drills that draw their faults."),
        .value("--report", "FOLDER", "Where each drill's report goes, as JSON and HTML."),
        .value("--output", "text|json", default: "text", "Form of the result."),
        .toggle("--keep", "Leave the cluster's folder for a look."),
      ] + Self.failoverFlags, operands: ["list|run|failover|compare"], takesMoreOperands: true)
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    switch line.operands[0] {
    case "list":
      list(console)
      return 0
    case "compare": return try compare(line, console)
    case "run": return try await runDrills(line, console)
    case "failover": return try await measureFailover(line, console)
    default: throw SettingsError("must be list, run, failover or compare", value: line.operands[0])
    }
  }

  private func list(_ console: Console) {
    console.table(
      ["NUMBER", "NAME", "MODES", "SHORT", "TITLE"],
      DrillCatalogue.all.map {
        [
          "\($0.number)", $0.name, $0.modes.sorted().reversed().joined(separator: ","),
          $0.isShort ? "yes" : "", $0.title,
        ]
      })
  }

  private func compare(_ line: ParsedCommandLine, _ console: Console) throws -> Int32 {
    guard line.operands.count == 3 else {
      throw SettingsError("needs two reports in JSON", key: "compare")
    }
    let reports = try line.operands.dropFirst().map { path in
      do {
        return try JSONDecoder().decode(
          DrillReport.self, from: Data(contentsOf: URL(filePath: path)))
      } catch {
        throw ToolFailure("\(path) is no report of a drill: \(error)")
      }
    }
    let comparison = ReportComparison(reports[0], reports[1])
    if line.value("--output") == "json" {
      try console.json(comparison)
    } else {
      console.table(
        ["", line.operands[1], line.operands[2], "%"],
        comparison.rows.map { [$0.name, $0.first, $0.second, $0.percent.map { "\($0)" } ?? ""] })
    }
    return 0
  }

  // MARK: Running

  private func runDrills(_ line: ParsedCommandLine, _ console: Console) async throws -> Int32 {
    let drills = try wanted(line)
    var reports: [DrillReport] = []
    var impossible: [String] = []
    for drill in drills {
      let report: DrillReport
      do {
        report = try await perform(drill, line, console)
      } catch where drills.count > 1 {
        // The others can be carried out all the same.
        console.problem("jackdaw drill: \(drill.name): \(error)")
        impossible.append("\(drill.name): not carried out: \(error)")
        continue
      }
      reports.append(report)
      if let folder = line.value("--report") { try write(report, to: folder) }
      if line.value("--output") != "json" { report.text.forEach(console.line) }
      console.flush()
    }
    if line.value("--output") == "json" {
      if reports.count == 1 { try console.json(reports[0]) } else { try console.json(reports) }
    } else if reports.count > 1 {
      console.line("")
      console.table(
        ["DRILL", "VALID", "FIRST WRITE MS", "LONGEST GAP MS", "FIRST PROBLEM"],
        reports.map {
          [
            $0.name, "\($0.valid)", $0.recovery.toFirstWriteMs.map { "\($0)" } ?? "-",
            $0.recovery.longestWithoutWriteMs.map { "\($0)" } ?? "-",
            $0.valid ? "" : $0.firstProblem ?? "",
          ]
        })
    }
    if line.value("--output") != "json" { impossible.forEach(console.line) }
    return impossible.isEmpty && reports.allSatisfy(\.valid) ? 0 : 1
  }

  private func wanted(_ line: ParsedCommandLine) throws -> [Drill] {
    guard let acks = line.value("--acks") else { return try named(line) }
    guard acks == "all" || acks == "1" else {
      throw SettingsError("must be all or 1", key: "--acks", value: acks)
    }
    return try named(line).map { $0.with(acks: acks) }
  }

  private func named(_ line: ParsedCommandLine) throws -> [Drill] {
    let mode = try mode(line)
    let names = line.operands.dropFirst()
    guard !names.isEmpty else {
      throw SettingsError("name a drill, short or all; jackdaw drill list has them", key: "run")
    }
    return try names.flatMap { name -> [Drill] in
      if name == "all" { return DrillCatalogue.all.filter { $0.modes.contains(mode) } }
      if name == "short" { return DrillCatalogue.short(mode: mode) }
      guard let drill = DrillCatalogue.find(name) else {
        throw SettingsError("no such drill; jackdaw drill list has them", value: name)
      }
      return [drill]
    }
  }

  /// Of the cluster that is drilled: a command file says it for its own.
  private func mode(_ line: ParsedCommandLine) throws -> String {
    guard line.value("--bootstrap-server") != nil else {
      return line.value("--mode") ?? "zookeeper"
    }
    return try makeCluster([:], line).mode
  }

  private func perform(
    _ drill: Drill, _ line: ParsedCommandLine, _ console: Console
  ) async throws -> DrillReport {
    let cluster = try makeCluster(drill.brokerSettings, line)
    var options = DrillOptions()
    options.warmUpMs = Int64(try line.integer("--warm-up", in: 0...600_000) ?? 3_000)
    options.faultMs = Int64(try line.integer("--fault-time", in: 0...3_600_000) ?? 5_000)
    options.seed = UInt64(try line.integer("--seed", in: 0...Int.max) ?? 1)
    let view = LiveView(drill, console)
    let runner = DrillRunner(drill, on: cluster, options: options) { view.show($0) }
    do {
      let report = try await runner.run { view.show($0) }
      view.end()
      if !line.has("--keep") { cluster.wipe() }
      return report
    } catch {
      view.end()
      if !line.has("--keep") { cluster.wipe() }
      throw error
    }
  }

  func makeCluster(
    _ settings: [String: String], _ line: ParsedCommandLine
  ) throws -> any ClusterUnderTest {
    if let bootstrap = line.value("--bootstrap-server") {
      let file = try line.require("--commands")
      let text = try String(contentsOf: URL(filePath: file), encoding: .utf8)
      return try CommandCluster(
        bootstrap: bootstrap, coordination: line.value("--coordination"),
        commands: try Properties(parsing: text, file: file), file: file)
    }
    guard let mode = ClusterMode(rawValue: line.value("--mode") ?? "") else {
      throw SettingsError("must be zookeeper or kraft", key: "--mode", value: line.value("--mode"))
    }
    var plan = ClusterPlan(
      mode: mode, brokers: try line.integer("--brokers", in: 1...100) ?? 3,
      coordinators: try line.integer("--coordinators", in: 1...7) ?? 3,
      brokerPort: try line.integer("--broker-port", in: 1...60000) ?? 29092,
      coordinationPort: try line.integer("--coordination-port", in: 1...58000) ?? 22181,
      metricsPort: try line.integer("--metrics-port", in: 1...65000) ?? 29404)
    if mode == .kraft {
      plan.quorum = QuorumPlan(
        controllers: try line.integer("--coordinators", in: 1...7) ?? 3,
        controllerPort: try line.integer("--coordination-port", in: 1...58000) ?? 22181)
    }
    if line.has("--combined") {
      guard mode == .kraft, line.operands[0] == "failover" else {
        throw SettingsError("is for failover in mode kraft", key: "--combined")
      }
      plan.quorum?.isCombined = true
      plan.quorum?.controllers = plan.brokers
    }
    plan.proxyOffset = 3000
    plan.timings = try timings(line) == .fast ? nil : .kafka
    plan.hasMovableClocks = true
    plan.brokerSettings = settings
    for (key, value) in try line.pairs("--broker-override") { plan.brokerSettings[key] = value }
    for (key, value) in try line.pairs("--coordinator-override") {
      plan.coordinatorSettings[key] = value
    }
    let folder = ClusterFolder(line.value("--directory") ?? "run/drill-\(mode.rawValue)")
    try LocalCluster.existing(in: folder)?.wipe()
    return try LocalClusterUnderTest(LocalCluster(folder: folder, plan: plan))
  }

  private func timings(_ line: ParsedCommandLine) throws -> ClusterTimings {
    guard let timings = ClusterTimings(rawValue: line.value("--timings") ?? "fast") else {
      throw SettingsError("must be fast or kafka", key: "--timings", value: line.value("--timings"))
    }
    return timings
  }

  private func write(_ report: DrillReport, to folder: String) throws {
    let url = URL(filePath: folder)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    let stem = "\(report.mode)-\(report.name)"
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(report).write(to: url.appending(path: "\(stem).json"))
    try Data(report.html.utf8).write(to: url.appending(path: "\(stem).html"))
  }
}

/// What a person sees while a drill runs: every event, and a line of figures that is written anew.
private final class LiveView: Sendable {
  private let console: Console
  private let isTerminal = isatty(2) == 1
  private let phase = Mutex("")

  init(_ drill: Drill, _ console: Console) {
    self.console = console
    console.problem("drill \(drill.number) \(drill.name): \(drill.title)")
  }

  func show(_ event: TimelineEvent) {
    if event.kind == .phase { phase.withLock { $0 = event.text } }
    if isTerminal { console.progress("") }
    console.problem("  \(event.kind.rawValue): \(event.text)")
  }

  func show(_ figures: LiveFigures) {
    guard isTerminal else { return }
    let phase = phase.withLock { $0 }
    console.progress(
      "  \(figures.elapsedMs / 1000) s  \(phase)  \(Int(figures.writesPerSecond)) writes/s  "
        + "\(Int(figures.readsPerSecond)) reads/s  \(figures.unknown) unknown")
  }

  func end() { if isTerminal { console.progress("") } }
}
