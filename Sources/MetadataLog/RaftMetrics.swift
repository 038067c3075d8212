// How the quorum does, under the names that dashboards read.
import Platform
import Raft
import Synchronization
import Telemetry
import Values

extension RaftDriver {
  /// `kafka.server:type=raft-metrics` as the JMX exporter writes it. The state is a word there;
  /// here it is a label, and the value of the state it is in is 1.
  func registerMetrics(_ metrics: Metrics) {
    let prefix = "kafka_server_raftmetrics_"
    metrics.collect("\(prefix)current_state", help: "The state of this replica") { [weak self] in
      guard let self else { return [] }
      return [Metrics.Sample([("state", status.state.rawValue)], 1)]
    }
    func gauge(
      _ name: String, _ help: String, _ read: @escaping @Sendable (RaftDriver) -> Double
    ) {
      metrics.collect("\(prefix)\(name)", help: help) { [weak self] in
        guard let self else { return [] }
        return [Metrics.Sample([], read(self))]
      }
    }
    gauge("current_leader", "The leader's id; -1 for none") {
      Double($0.status.leader.id?.rawValue ?? -1)
    }
    gauge("current_epoch", "The epoch of the quorum") { Double($0.status.leader.epoch) }
    gauge("current_vote", "Whom this replica voted for; -1 for none") {
      Double($0.status.votedID?.rawValue ?? -1)
    }
    gauge("high_watermark", "Everything below is committed") { Double($0.status.highWatermark) }
    gauge("log_end_offset", "Behind the last record") { Double($0.status.logEndOffset) }
    gauge("number_of_voters", "Voters in force") { Double($0.status.voters.count) }
    gauge("commit_latency_avg", "Milliseconds from appending to committing") {
      $0.latency.average(at: Clock.now())
    }
    gauge("commit_latency_max", "The longest of them") { $0.latency.maximum(at: Clock.now()) }
  }
}

/// Times from append to commit of the last half minute to minute, as Kafka's sensors keep them.
final class CommitLatency: Sendable {
  private struct Window {
    var start = Int64.min
    var count: Int64 = 0
    var sum: Int64 = 0
    var maximum: Int64 = 0
  }
  private static let windowMs: Int64 = 30_000
  private let windows = Mutex<(current: Window, previous: Window)>((Window(), Window()))

  func record(_ milliseconds: Int64, at now: Instant) {
    windows.withLock { windows in
      Self.roll(&windows, now)
      windows.current.count += 1
      windows.current.sum += milliseconds
      windows.current.maximum = max(windows.current.maximum, milliseconds)
    }
  }

  func average(at now: Instant) -> Double {
    windows.withLock { windows in
      Self.roll(&windows, now)
      let count = windows.current.count + windows.previous.count
      return count == 0 ? 0 : Double(windows.current.sum + windows.previous.sum) / Double(count)
    }
  }

  func maximum(at now: Instant) -> Double {
    windows.withLock { windows in
      Self.roll(&windows, now)
      return Double(max(windows.current.maximum, windows.previous.maximum))
    }
  }

  private static func roll(_ windows: inout (current: Window, previous: Window), _ now: Instant) {
    let start = now.milliseconds / windowMs
    guard windows.current.start != start else { return }
    windows.previous = windows.current.start == start - 1 ? windows.current : Window()
    windows.current = Window(start: start)
  }
}
