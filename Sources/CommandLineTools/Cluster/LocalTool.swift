import LocalCluster
import Settings

/// `jackdaw local`: a whole cluster on this machine.
struct LocalTool: Tool {
  let name = "local"
  let summary = "Start, look at and stop a whole cluster on this machine."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw local",
      summary: "A whole cluster on this machine: up, status, down, wipe.",
      flags: [
        .value("--mode", "zookeeper|kraft", default: "zookeeper", "Where the metadata are kept."),
        .value("--directory", "PATH", "The cluster's folder (default: run/<mode>)."),
        .value("--brokers", "N", default: "3", "Data brokers."),
        .value("--coordinators", "N", default: "3", "Coordination servers: 1, 3, 5 or 7."),
        .value("--controllers", "N", default: "3", "KRaft controllers: 1, 3, 5 or 7."),
        .toggle("--combined", "KRaft: every process is broker and controller."),
        .value(
          "--nodes", "N", "The short form of --mode kraft --combined --brokers N; 1 for a laptop."),
        .value("--broker-port", "PORT", default: "9092", "The first broker's port."),
        .value(
          "--coordination-port", "PORT", default: "2181", "The first coordinator's client port."),
        .value("--controller-port", "PORT", default: "9193", "The first KRaft controller's port."),
        .value("--metrics-port", "PORT", default: "9404", "The first broker's Prometheus port."),
        .value(
          "--timings", "fast|kafka", default: "fast",
          "How soon members are missed: ours, or the defaults of Kafka and ZooKeeper."),
        .value(
          "--broker-override", "KEY=VALUE", repeatable: true,
          "One more line for every broker's properties."),
        .value(
          "--coordinator-override", "KEY=VALUE", repeatable: true,
          "One more line for every coordinator's zoo.cfg."),
        .value("--timeout", "MS", default: "60000", "How long to wait until everything serves."),
        .value("--output", "text|json", default: "text", "For status."),
      ], operands: ["up|status|down|wipe"])
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    guard var mode = ClusterMode(rawValue: line.value("--mode") ?? "") else {
      throw SettingsError(
        "must be zookeeper or kraft", key: "--mode", value: line.value("--mode"))
    }
    if line.value("--nodes") != nil { mode = .kraft }
    let folder = ClusterFolder(line.value("--directory") ?? "run/\(mode.rawValue)")
    switch line.operands[0] {
    case "up": return try up(line, mode, folder, console)
    case "status": return try status(line, folder, console)
    case "down":
      let killed = try existing(folder).down(progress: console.line)
      for name in killed { console.problem("\(name) did not stop in time and was killed") }
      return killed.isEmpty ? 0 : 1
    case "wipe":
      if let cluster = try LocalCluster.existing(in: folder) {
        try cluster.wipe()
        console.line("removed \(folder.url.path)")
      } else {
        console.line("nothing to remove in \(folder.url.path)")
      }
      return 0
    default:
      throw SettingsError("must be up, status, down or wipe", value: line.operands[0])
    }
  }

  private func existing(_ folder: ClusterFolder) throws -> LocalCluster {
    guard let cluster = try LocalCluster.existing(in: folder) else {
      throw ToolFailure("no cluster in \(folder.url.path); start one with: make up")
    }
    return cluster
  }

  private func plan(_ line: ParsedCommandLine, _ mode: ClusterMode) throws -> ClusterPlan {
    var plan = ClusterPlan(
      mode: mode,
      brokers: try line.integer("--brokers", in: 1...100) ?? 3,
      coordinators: try line.integer("--coordinators", in: 1...7) ?? 3,
      brokerPort: try line.integer("--broker-port", in: 1...65000) ?? 9092,
      coordinationPort: try line.integer("--coordination-port", in: 1...63000) ?? 2181,
      metricsPort: try line.integer("--metrics-port", in: 1...65000) ?? 9404)
    if mode == .kraft {
      var quorum = QuorumPlan(
        controllers: try line.integer("--controllers", in: 1...7) ?? 3,
        controllerPort: try line.integer("--controller-port", in: 1...65000) ?? 9193,
        isCombined: line.has("--combined"))
      if let nodes = try line.integer("--nodes", in: 1...7) {
        plan.brokers = nodes
        quorum.isCombined = true
      }
      if quorum.isCombined { quorum.controllers = plan.brokers }
      plan.quorum = quorum
    }
    guard let timings = ClusterTimings(rawValue: line.value("--timings") ?? "fast") else {
      throw SettingsError("must be fast or kafka", key: "--timings", value: line.value("--timings"))
    }
    plan.timings = timings == .fast ? nil : timings
    for (key, value) in try line.pairs("--broker-override") { plan.brokerSettings[key] = value }
    for (key, value) in try line.pairs("--coordinator-override") {
      plan.coordinatorSettings[key] = value
    }
    return plan
  }

  private func up(
    _ line: ParsedCommandLine, _ mode: ClusterMode, _ folder: ClusterFolder, _ console: Console
  ) throws -> Int32 {
    var wanted = try plan(line, mode)
    try wanted.validate()
    if let running = try LocalCluster.existing(in: folder) {
      if running.isRunning {
        console.line("already running: bootstrap.servers=\(running.plan.bootstrap)")
        return 0
      }
      // Without sizes and ports of its own, `up` completes the cluster that is there.
      // Directories that are formatted stay so.
      wanted.quorum?.clusterID = running.plan.quorum?.clusterID
      let asks = [
        "--brokers", "--coordinators", "--broker-port", "--coordination-port", "--controllers",
        "--combined", "--nodes", "--controller-port", "--timings",
      ].contains { line.values[$0] != nil }
      if !asks {
        return try start(running, line, console)
      }
      if running.plan != wanted {
        console.problem(
          "\(folder.planFile.path) holds another plan; the new sizes and ports replace it")
        running.down()
      }
    }
    return try start(LocalCluster(folder: folder, plan: wanted), line, console)
  }

  private func start(
    _ cluster: LocalCluster, _ line: ParsedCommandLine, _ console: Console
  ) throws -> Int32 {
    let plan = cluster.plan
    try cluster.up(
      limitMs: Int64(try line.integer("--timeout", in: 1...3_600_000) ?? 60_000)
    ) { text in
      console.line(text)
      console.flush()
    }
    let first = "127.0.0.1:\(plan.brokerPort)"
    let jackdaw = cluster.executables.appending(path: "jackdaw").path
    console.line(
      """

      bootstrap.servers=\(plan.bootstrap)

      Try:
        \(jackdaw) topics --bootstrap-server \(first) --create --topic orders --partitions 3
        echo hello | \(jackdaw) console-producer --bootstrap-server \(first) --topic orders
        \(jackdaw) console-consumer --bootstrap-server \(first) --topic orders --from-beginning
        make status     make logs     make down     make wipe
      """)
    return 0
  }

  private func status(
    _ line: ParsedCommandLine, _ folder: ClusterFolder, _ console: Console
  ) throws -> Int32 {
    let cluster = try existing(folder)
    let members = cluster.status()
    if line.value("--output") == "json" {
      try console.json(members)
    } else {
      console.table(
        ["PROCESS", "STATE", "PID", "PORT", "MEMORY", "CPU"],
        members.map { member in
          [
            member.name, member.state, member.pid.map(String.init) ?? "-", "\(member.port)",
            member.residentBytes.map { "\($0 >> 20) MiB" } ?? "-",
            member.processorMs.map { "\($0) ms" } ?? "-",
          ]
        })
      let total = members.compactMap(\.residentBytes).reduce(0, +)
      console.line("all: \(total >> 20) MiB; bootstrap.servers=\(cluster.plan.bootstrap)")
    }
    return members.allSatisfy { !["stopped", "starting"].contains($0.state) } ? 0 : 1
  }
}
