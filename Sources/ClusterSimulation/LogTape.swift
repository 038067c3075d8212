// What nodes and clients log while they are simulated.
import SimulatedMachine
import Synchronization
import Telemetry

/// Keeps the last lines, with simulated times, and counts them in the trace: two runs of one seed
/// log the same.
final class LogTape: Sendable {
  private let lines = Mutex<[String]>([])
  private static let limit = 600

  /// Takes over the log of this process.
  ///
  /// - Parameter folder: where the members' files are, whose name differs from run to run.
  init(_ machine: SimulatedMachine, folder: String) {
    Log.redirect { [self] level, line in
      // In front is the time of a clock that nobody simulates.
      let start = line.firstIndex(of: "]").map { line.index(after: $0) } ?? line.startIndex
      let text = String(line[start...].drop { $0 == " " }).replacing(folder + "/", with: "")
      machine.note(text)
      keep("\(machine.now.milliseconds) ms \(machine.currentProcess ?? "driver"): \(text)")
    }
  }

  private func keep(_ line: String) {
    lines.withLock { lines in
      if lines.count >= Self.limit * 2 { lines.removeFirst(Self.limit) }
      lines.append(line)
    }
  }

  var last: [String] { lines.withLock { Array($0.suffix(Self.limit)) } }
}
