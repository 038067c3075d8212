import ClusterSimulation
import Foundation
import LocalCluster
import Platform
import Settings

/// The runs that one command line asks for, each in a process of its own: what crashes in a
/// simulated machine keeps its memory and threads, and chance has to begin anew.
struct SimulationBatch: Sendable {
  /// Hash orders are the seed's only in a process that was started with this in its environment.
  private static let hashing = "SWIFT_DETERMINISTIC_HASHING"

  private let runs: [SimulationOptions]
  private let jobs: Int
  private let limitMs: Int64
  private let isTwice: Bool
  /// Removed at the end; nil when somebody else has named it.
  private let temporary: String?

  init(_ line: ParsedCommandLine) throws {
    let first: UInt64 = try Self.number(line, "--seed")
    let count: UInt64 = try Self.number(line, "--runs")
    let mode = line.value("--mode") ?? "both"
    let modes = mode == "both" ? ClusterMode.allCases : ClusterMode(rawValue: mode).map { [$0] }
    guard let modes else {
      throw SettingsError("must be zookeeper, kraft or both", key: "--mode", value: mode)
    }
    let text = line.value("--scenario") ?? ""
    guard let scenario = SimulationScenario(rawValue: text) else {
      let names = SimulationScenario.allCases.map(\.rawValue).joined(separator: " or ")
      throw SettingsError("must be \(names)", key: "--scenario", value: text)
    }
    guard count > 0, count <= 1_000_000, first <= .max - count else {
      throw SettingsError("must be from 1 to 1000000", key: "--runs", value: "\(count)")
    }
    let faultMs: UInt64 = try Self.number(line, "--fault-time")
    temporary = line.value("--folder") == nil ? Self.temporaryFolder : nil
    let folder = line.value("--folder") ?? Self.temporaryFolder
    runs = (first..<(first + count)).flatMap { seed in
      modes.map { mode in
        var options = SimulationOptions(
          seed: seed, mode: mode, folder: "\(folder)/\(mode.rawValue)-\(seed)")
        options.scenario = scenario
        if scenario == .random { options.drawShape() }
        options.faultMs = Int64(clamping: faultMs)
        options.isSabotaged = line.has("--sabotage")
        options.traceFile = line.value("--trace")
        return options
      }
    }
    isTwice = line.has("--twice")
    limitMs = Int64(clamping: try Self.number(line, "--limit") as UInt64)
    jobs =
      line.value("--jobs") == nil
      ? ProcessInfo.processInfo.activeProcessorCount
      : max(1, Int(clamping: try Self.number(line, "--jobs") as UInt64))
  }

  private static func number(_ line: ParsedCommandLine, _ flag: String) throws -> UInt64 {
    let text = line.value(flag) ?? ""
    guard let number = UInt64(text) else {
      throw SettingsError("must be a number", key: flag, value: text)
    }
    return number
  }

  /// In memory, if there is such a file system: members flush all the time.
  private static var temporaryFolder: String {
    let memory = "/dev/shm"
    let home =
      FileManager.default.isWritableFile(atPath: memory)
      ? memory : FileManager.default.temporaryDirectory.path
    return "\(home)/jackdaw-simulate-\(ProcessInfo.processInfo.processIdentifier)"
  }

  /// The run of a command line that asks for just one, in this process.
  var only: SimulationOptions {
    get throws {
      guard runs.count == 1 else {
        throw SettingsError("one seed and one mode at a time", key: "--here")
      }
      guard ProcessInfo.processInfo.environment[Self.hashing] == "1" else {
        throw ToolFailure("--here needs \(Self.hashing)=1 in the environment")
      }
      return runs[0]
    }
  }

  // MARK: Running

  /// What came of one run, or of both runs of a seed.
  struct Result: Sendable {
    var report: SimulationReport
    var elapsedMs: Int64
    var isGood: Bool { report.isValid }

    /// For a person.
    var lines: [String] {
      var lines = [
        "seed \(report.seed), \(report.mode): \(isGood ? "good" : "FAILED"), "
          + "\(report.simulatedMs / 1000) s in \(elapsedMs / 1000) s, digest \(report.digest)",
        "  \(report.summary)",
      ]
      lines += report.remarks.map { "  \($0)" }
      guard !isGood else { return lines }
      lines += ["  --- trace"] + report.trace.map { "  \($0)" }
      lines += ["  --- faults"] + report.faults.map { "  \($0)" }
      lines += ["  --- violated"] + report.violations.map { "  \($0)" }
      lines.append(
        "  again: jackdaw simulate --seed \(report.seed) --mode \(report.mode) "
          + "--scenario \(report.scenario)")
      return lines
    }
  }

  /// - Parameter tell: hears of every run as it ends.
  func run(_ tell: @escaping @Sendable (Result) -> Void) async throws -> [Result] {
    defer { if let temporary { try? FileManager.default.removeItem(atPath: temporary) } }
    return try await withThrowingTaskGroup(of: Result.self) { group in
      var results: [Result] = []
      for (index, options) in runs.enumerated() {
        if index >= jobs, let result = try await group.next() {
          results.append(result)
          tell(result)
        }
        group.addTask { try await perform(options) }
      }
      for try await result in group {
        results.append(result)
        tell(result)
      }
      return results.sorted { ($0.report.seed, $0.report.mode) < ($1.report.seed, $1.report.mode) }
    }
  }

  private func perform(_ options: SimulationOptions) async throws -> Result {
    let began = Clock.now()
    var report = try await child(options)
    if isTwice {
      let second = try await child(options)
      if second != report {
        report.violations.append(
          "not deterministic: digests \(report.digest) and \(second.digest)")
        report.trace = Self.parting(report.trace, second.trace)
      }
    }
    return Result(report: report, elapsedMs: Clock.now().milliseconds(since: began))
  }

  /// Where two traces part, with a few lines before.
  private static func parting(_ first: [String], _ second: [String]) -> [String] {
    guard let at = zip(first, second).enumerated().first(where: { $0.element.0 != $0.element.1 })
    else { return first }
    return Array(first[max(0, at.offset - 20)..<at.offset])
      + ["first: \(at.element.0)", "second: \(at.element.1)"]
  }

  /// Runs one seed in a process of its own.
  private func child(_ options: SimulationOptions) async throws -> SimulationReport {
    let folder = options.folder
    try? FileManager.default.removeItem(atPath: folder)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let output = "\(folder)/report.json"
    var environment = ProcessInfo.processInfo.environment
    environment[Self.hashing] = "1"
    let process = try ChildProcess.start(
      ProcessInformation.executablePath ?? "/proc/self/exe", arguments(options),
      environment: environment, output: output)
    let deadline = Clock.now().advanced(milliseconds: limitMs)
    while process.poll() == nil, Clock.now() < deadline {
      try await Task.sleep(for: .milliseconds(20))
    }
    let hangs = process.poll() == nil
    if hangs { process.terminate(graceMs: 0) }
    let data = FileManager.default.contents(atPath: output) ?? Data()
    if !hangs, let report = try? JSONDecoder().decode(SimulationReport.self, from: data) {
      return report
    }
    var report = SimulationReport(options)
    report.violations = [
      hangs
        ? "no end within \(limitMs) ms of real time"
        : "the process has ended with status \(process.poll() ?? -1)"
    ]
    report.trace = String(decoding: data, as: UTF8.self).split(separator: "\n").suffix(200)
      .map(String.init)
    return report
  }

  private func arguments(_ options: SimulationOptions) -> [String] {
    var arguments = [
      "simulate", "--here", "--seed", "\(options.seed)", "--mode", options.mode.rawValue,
      "--scenario", options.scenario.rawValue, "--fault-time", "\(options.faultMs)",
      "--folder", "\(options.folder)/members",
    ]
    if options.isSabotaged { arguments.append("--sabotage") }
    if let trace = options.traceFile { arguments += ["--trace", trace] }
    return arguments
  }
}
