import ClusterSimulation
import Settings

/// `jackdaw simulate`: whole clusters on simulated clocks, networks and disks.
struct SimulateTool: Tool {
  let name = "simulate"
  let summary = "Run whole clusters on a simulated machine, with faults drawn from a seed."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw simulate",
      summary: """
        Run whole clusters, clients included, on simulated clocks, networks and disks, through the \
        nodes that ship: first with faults drawn from a seed, then healed; and judge the history.

        A seed always runs in the same way. One that fails prints what it violated, its faults and \
        its last events, and the command that runs it again.

        The exit status is the verdict: 0 when everything held.
        """,
      flags: [
        .value("--seed", "N", default: "1", "The first seed."),
        .value("--runs", "N", default: "1", "How many seeds, one after the other."),
        .value("--mode", "zookeeper|kraft|both", default: "both", "Which clusters."),
        .value(
          "--scenario", "random|lost-page-cache|isolated-leader", default: "random",
          "The course of events."),
        .value("--fault-time", "MS", default: "30000", "Simulated time with faults."),
        .value("--jobs", "N", "Seeds that run at the same time (default: one per processor)."),
        .value(
          "--limit", "MS", default: "600000", "Real time that a run may take; it hangs, else."),
        .value("--trace", "FILE", "Every event of a run of one seed and one mode."),
        .toggle("--twice", "Runs every seed twice; the two must be the same."),
        .toggle("--sabotage", "Brokers acknowledge before they replicate: must be found out."),
        .toggle("--here", "Runs one seed in this process and prints its report as JSON."),
        .value("--folder", "PATH", "For members' files (default: a temporary one)."),
        .value("--output", "text|json", default: "text", "Form of the result."),
      ])
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    let batch = try SimulationBatch(line)
    if line.has("--here") {
      // From here on this process lives on the simulated machine, and ends with it.
      try console.json(try ClusterSimulation(try batch.only).run())
      return 0
    }
    let isText = line.value("--output") != "json"
    let results = try await batch.run { result in
      guard isText else { return }
      result.lines.forEach(console.line)
      console.flush()
    }
    if isText {
      let failed = results.count { !$0.isGood }
      console.line(
        failed == 0
          ? "\(results.count) runs, every one good" : "\(failed) of \(results.count) runs failed")
    } else {
      try console.json(results.map(\.report))
    }
    return results.allSatisfy(\.isGood) ? 0 : 1
  }
}
