import Platform
import Synchronization
import Values

/// Clocks and chance: one monotonic clock for all, a wall clock for each host.
extension SimulatedMachine {
  /// The first of January 2026, less the thousand seconds that the monotonic clock begins with.
  private static let epochMs: Int64 = 1_767_225_600_000 - 1_000_000

  package func monotonicNow() -> Instant { now }

  package func wallNow() -> WallTime {
    state.withLock { state in
      let process = CurrentThread.number.flatMap { state.scheduler.threads[$0].process }
      let offset = process.map { state.hosts[state.processes[$0].host].clockOffsetMs } ?? 0
      return WallTime(milliseconds: Self.epochMs + state.now.milliseconds + offset)
    }
  }

  package func fillRandom(_ buffer: UnsafeMutableRawBufferPointer) {
    state.withLock { state in
      for index in buffer.indices { buffer[index] = UInt8(truncatingIfNeeded: state.random.next()) }
    }
  }

  package var processorCount: Int { options.processors }
}
