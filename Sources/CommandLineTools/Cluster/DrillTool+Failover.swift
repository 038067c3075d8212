import Drills
import Foundation
import Settings

/// `jackdaw drill failover`: the time from a SIGKILL to writes, fifty times over.
extension DrillTool {
  static var failoverFlags: [Flag] {
    [
      .value("--kills", "N", default: "50", "Of failover: how often a broker is killed."),
      .value(
        "--victim", "leader|controller", default: "leader", "Of failover: which broker is killed."),
      .value(
        "--quiet", "MS", default: "5000",
        "Of failover: load without a fault before; with --kills 0 all there is."),
      .value(
        "--rate", "RECORDS", default: "400", "Of failover: records a second of each producer."),
      .value("--producers", "N", default: "2", "Of failover: producers."),
      .toggle("--combined", "Of failover in KRaft mode: every broker is a controller too."),
    ]
  }

  func measureFailover(_ line: ParsedCommandLine, _ console: Console) async throws -> Int32 {
    var options = FailoverOptions()
    options.kills = try line.integer("--kills", in: 0...10_000) ?? 50
    options.quietMs = Int64(try line.integer("--quiet", in: 0...86_400_000) ?? 5_000)
    options.recordsPerSecond = try line.integer("--rate", in: 1...1_000_000) ?? 400
    options.producers = try line.integer("--producers", in: 1...100) ?? 2
    let victim = line.value("--victim") ?? "leader"
    guard let known = FailoverOptions.Victim(rawValue: victim) else {
      throw SettingsError("must be leader or controller", key: "--victim", value: victim)
    }
    options.victim = known
    let cluster = try makeCluster([:], line)
    defer { if !line.has("--keep") { cluster.wipe() } }
    let report = try await FailoverMeasurement(on: cluster, options) { console.problem("  \($0)") }
      .run()
    if line.value("--output") == "json" {
      try console.json(report)
    } else {
      report.text.forEach(console.line)
    }
    // Nobody who lives may be taken for dead, however fast the others are found.
    return report.falseSuspicions == 0 ? 0 : 1
  }
}
