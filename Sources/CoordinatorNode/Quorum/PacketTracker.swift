// `messageTracker.Enabled`: what was said last on a connection between servers.

import Telemetry
import Values
import ZooKeeperProtocol

/// Keeps the types and times of the last packets in each direction, and logs them when the
/// connection ends. Whoever asks why a server was given up finds there who fell silent.
struct PacketTracker {
  typealias Entry = (type: PacketType, time: WallTime)

  /// `messageTracker.BufferSize`; 0: nothing is kept.
  private let limit: Int
  private(set) var sent: [Entry] = []
  private(set) var received: [Entry] = []

  init(limit: Int) { self.limit = limit }

  mutating func noteSent(_ type: PacketType, at now: WallTime) { keep(type, now, in: &sent) }
  mutating func noteReceived(_ type: PacketType, at now: WallTime) {
    keep(type, now, in: &received)
  }

  private func keep(_ type: PacketType, _ now: WallTime, in entries: inout [Entry]) {
    guard limit > 0 else { return }
    if entries.count == limit { entries.removeFirst() }
    entries.append((type, now))
  }

  /// Logs what was kept, and forgets it.
  mutating func dump(_ peer: some CustomStringConvertible) {
    guard limit > 0 else { return }
    for (direction, entries) in [("received from", received), ("sent to", sent)] {
      CoordinatorLog.quorum.warn(
        "last packets \(direction) a server",
        ["peer": peer, "count": entries.count, "packets": Self.text(entries)])
    }
    (sent, received) = ([], [])
  }

  static func text(_ entries: [Entry]) -> String {
    entries.map { "\($0.type.rawValue)@\($0.time.milliseconds)" }.joined(separator: " ")
  }
}
