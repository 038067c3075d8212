// `jvm.pause.monitor`: does this process come to its turn?

import Platform
import Settings
import Telemetry
import Values

/// Keys about pauses. ZooKeeper looks for those of its virtual machine, and of the machine below
/// it; here there are only the latter, and whatever else keeps the server's loop from turning: a
/// stopped process, a starved machine, a disk that holds up the writing of an epoch.
public struct PauseMonitorSettings: Sendable {
  /// `jvm.pause.monitor`
  public var isEnabled = false
  /// `jvm.pause.sleep.time.ms`: between two looks.
  public var sleepMs: Int64 = 500
  /// `jvm.pause.info-threshold.ms` and `jvm.pause.warn-threshold.ms`: longer pauses are logged.
  public var infoThresholdMs: Int64 = 1000
  public var warnThresholdMs: Int64 = 10_000

  public init() {}

  init(_ settings: CoordinatorSettings) {
    isEnabled = settings.bool("jvm.pause.monitor")
    sleepMs = settings.int64("jvm.pause.sleep.time.ms")
    infoThresholdMs = settings.int64("jvm.pause.info-threshold.ms")
    warnThresholdMs = settings.int64("jvm.pause.warn-threshold.ms")
  }
}

/// Compares how long a sleep took with how long it should have taken.
struct PauseMonitor {
  enum Finding: Equatable { case none, info, warn }

  let settings: PauseMonitorSettings
  /// Pauses that were logged since the start, of either kind.
  private(set) var infos = 0
  private(set) var warnings = 0

  init(_ settings: PauseMonitorSettings) { self.settings = settings }

  /// A sleep is over; `extraMs` are the milliseconds that it took too long.
  mutating func woke(extraMs: Int64) -> Finding {
    if extraMs > settings.warnThresholdMs {
      warnings += 1
      return .warn
    }
    guard extraMs > settings.infoThresholdMs else { return .none }
    infos += 1
    return .info
  }
}

extension Coordinator {
  /// Begins to look for pauses, where that is asked for. On the loop, once.
  func watchPauses() {
    let settings = config.operations.pauses
    guard settings.isEnabled else { return }
    CoordinatorLog.server.info(
      "pause monitor started",
      [
        "infoThresholdMs": settings.infoThresholdMs, "warnThresholdMs": settings.warnThresholdMs,
        "sleepTimeMs": settings.sleepMs,
      ])
    sleep(PauseMonitor(settings))
  }

  private func sleep(_ monitor: PauseMonitor) {
    let begin = Clock.now()
    let sleepMs = monitor.settings.sleepMs
    loop.schedule(afterMs: sleepMs) { [weak self] in
      guard let self else { return }
      var monitor = monitor
      let extraMs = max(0, Clock.now().milliseconds(since: begin) - sleepMs)
      statistics.pauses.add(extraMs)
      let finding = monitor.woke(extraMs: extraMs)
      let counts = "\(monitor.infos) of the info level, \(monitor.warnings) of the warn level"
      switch finding {
      case .none: break
      case .info:
        CoordinatorLog.server.info(
          "pause detected in the process or the machine", ["ms": extraMs, "so far": counts])
      case .warn:
        CoordinatorLog.server.warn(
          "pause detected in the process or the machine", ["ms": extraMs, "so far": counts])
      }
      sleep(monitor)
    }
  }
}
