import Benchmarks
import Foundation
import Platform
import Settings

/// `jackdaw bench-coordination`: our coordination service beside ZooKeeper, in one run.
struct CoordinationBenchTool: Tool {
  let name = "bench-coordination"
  let summary = "Measure the coordination service beside ZooKeeper on a JVM."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw bench-coordination",
      summary: """
        Measure the coordination service: reads and writes, failover, recovery, memory; beside \
        ZooKeeper, when it is installed, with the same load on the same disk.
        """,
      flags: [
        .value("--directory", "PATH", default: "run/bench-coordination", "For data; removed."),
        .value("--first-port", "PORT", default: "13181", "Ports from here on are used."),
        .value("--sessions", "N,N,…", default: "1,16,256", "Sessions of the loads."),
        .value("--ensembles", "N,N", default: "1,3", "Sizes of the ensembles."),
        .value("--stretch", "MS", default: "5000", "How long each load is measured."),
        .value("--znodes", "N", default: "1000000", "For memory and recovery."),
        .value("--idle-sessions", "N", default: "10000", "Sessions that only ping."),
        .toggle("--alone", "Without ZooKeeper."),
        .value("--output", "text|json", default: "text", "Form of the report."),
      ])
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let folder = URL(filePath: try line.require("--directory"))
    let executables = URL(filePath: ProcessInformation.executablePath ?? "")
      .deletingLastPathComponent()
    var bench = CoordinationBench(folder: folder, executables: executables)
    bench.firstPort = try line.integer("--first-port", in: 1...65_000) ?? 13_181
    bench.stretchMs = Int64(try line.integer("--stretch", in: 100...600_000) ?? 5_000)
    bench.znodes = try line.integer("--znodes", in: 0...100_000_000) ?? 1_000_000
    bench.idleSessions = try line.integer("--idle-sessions", in: 1...100_000) ?? 10_000
    bench.sessions = try numbers("--sessions", line)
    bench.ensembles = try numbers("--ensembles", line)
    bench.progress = { console.problem($0) }
    let report = try await bench.run(withPeer: !line.has("--alone"))
    try? FileManager.default.removeItem(at: folder)
    if line.value("--output") == "json" {
      try console.json(report)
    } else {
      show(report, console)
    }
    return 0
  }

  private func numbers(_ flag: String, _ line: ParsedCommandLine) throws -> [Int] {
    let text = try line.require(flag)
    let numbers = text.split(separator: ",").compactMap { Int($0) }
    guard !numbers.isEmpty, numbers.count == text.split(separator: ",").count,
      numbers.allSatisfy({ (1...10_000).contains($0) })
    else { throw SettingsError("must be numbers from 1 on, with commas", key: flag, value: text) }
    return numbers
  }

  private func show(_ report: CoordinationReport, _ console: Console) {
    console.line(
      "machine: sequential write \(report.limits.sequentialWrite.text(0)) MiB/s, fdatasync "
        + "\(report.limits.syncMs.text(2)) ms")
    console.line("")
    console.table(
      ["", "SERVERS", "SESSIONS", "OPERATION", "PER SECOND", "PER CPU SECOND", "P50 MS", "P99 MS"],
      report.loads.map {
        [
          $0.kind, "\($0.servers)", "\($0.sessions)", $0.operation, $0.perSecond.text(0),
          $0.perProcessorSecond.text(0), $0.p50Ms.text(2), $0.p99Ms.text(2),
        ]
      })
    console.line("")
    for row in report.failovers {
      console.line(
        "\(row.kind): failover of \(row.servers) servers, ms: "
          + row.milliseconds.map { "\($0)" }.joined(separator: " "))
    }
    console.line("")
    console.table(
      ["", "ZNODES", "MIB", "RECOVERY MS", "MIB AFTER", "IDLE SESSIONS", "MIB MORE", "CPU SHARE"],
      report.weights.map {
        [
          $0.kind, "\($0.znodes)", $0.residentMiB.text(0), "\($0.recoveryMs)",
          $0.recoveredMiB.text(0), "\($0.idleSessions)", $0.idleMiB.text(0),
          $0.idleProcessorShare.text(2),
        ]
      })
    guard !report.goals.isEmpty else { return }
    console.line("")
    console.table(
      ["GOAL", "RATIO", "WANTED", ""],
      report.goals.map {
        [$0.text, $0.ratio.text(2), $0.wanted.text(0), $0.isMet ? "met" : "missed"]
      })
  }
}
