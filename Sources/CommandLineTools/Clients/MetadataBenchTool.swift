import Benchmarks
import Foundation
import Platform
import Settings

/// `jackdaw bench-metadata`: the controller quorum with many partitions.
struct MetadataBenchTool: Tool {
  let name = "bench-metadata"
  let summary = "Measure the controller quorum: failover, creation, start and memory."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw bench-metadata",
      summary: """
        Measure the controller quorum: from the kill of the active controller to the next created \
        topic, creation of many partitions, a broker's start with them, loading of a large \
        snapshot, memory a partition.
        """,
      flags: [
        .value("--directory", "PATH", default: "run/bench-metadata", "For data; removed."),
        .value("--first-port", "PORT", default: "14092", "Ports from here on are used."),
        .value(
          "--partitions", "N,N,…", default: "1000,100000",
          "In the metadata, in hundreds, when the active controller is killed."),
        .value("--kills", "N", default: "5", "Kills for each."),
        .value("--create", "N", default: "10000", "Partitions to create; 0: none."),
        .value("--snapshot-records", "N", default: "1000000", "Records to load; 0: none."),
        .value("--output", "text|json", default: "text", "Form of the report."),
      ])
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let folder = URL(filePath: try line.require("--directory"))
    let executables = URL(filePath: ProcessInformation.executablePath ?? "")
      .deletingLastPathComponent()
    var bench = MetadataBench(folder: folder, executables: executables)
    bench.firstPort = try line.integer("--first-port", in: 1...65_000) ?? 14_092
    bench.kills = try line.integer("--kills", in: 1...100) ?? 5
    bench.createdPartitions = try line.integer("--create", in: 0...1_000_000) ?? 10_000
    bench.snapshotRecords = try line.integer("--snapshot-records", in: 0...100_000_000) ?? 1_000_000
    let sizes = try line.require("--partitions")
    bench.failoverPartitions = sizes.split(separator: ",").compactMap { Int($0) }
    guard bench.failoverPartitions.count == sizes.split(separator: ",").count,
      bench.failoverPartitions.allSatisfy({ $0 >= 100 && $0 % 100 == 0 && $0 <= 10_000_000 })
    else {
      throw SettingsError("must be hundreds, with commas", key: "--partitions", value: sizes)
    }
    bench.progress = { console.problem($0) }
    let report = try await bench.run()
    try? FileManager.default.removeItem(at: folder)
    if line.value("--output") == "json" {
      try console.json(report)
    } else {
      show(report, console)
    }
    return 0
  }

  private func show(_ report: MetadataReport, _ console: Console) {
    console.line(
      "machine: sequential write \(report.limits.sequentialWrite.text(0)) MiB/s, fdatasync "
        + "\(report.limits.syncMs.text(2)) ms")
    console.line("")
    console.table(
      ["PARTITIONS", "UNDISTURBED MS", "FAILOVER MS", "EACH", "CONTROLLER MIB"],
      report.failovers.map {
        [
          "\($0.partitions)", $0.undisturbedMs.text(0), $0.medianMs.text(0),
          $0.milliseconds.map { $0.text(0) }.joined(separator: " "), $0.residentMiB.text(0),
        ]
      })
    if let row = report.creation {
      console.line("")
      console.line(
        "creation of \(row.partitions) partitions: \(row.acknowledgedMs.text(0)) ms to the last "
          + "answer, \(row.ledMs.text(0)) ms until all have leaders")
      console.line("a broker's start with them: \(row.brokerStartMs.text(0)) ms to RUNNING")
    }
    if let row = report.snapshot {
      console.line(
        "a snapshot of \(row.records) records (\(row.sizeMiB.text(0)) MiB): "
          + "\(row.milliseconds.text(0)) ms to active, \(row.residentMiB.text(0)) MiB resident")
    }
    guard !report.goals.isEmpty else { return }
    console.line("")
    console.table(
      ["GOAL", "VALUE", "LIMIT", ""],
      report.goals.map {
        [$0.text, $0.value.text(0), $0.limit.text(0), $0.isMet ? "met" : "missed"]
      })
  }
}
