import Raft
import Values

// What the simulation of a metadata quorum is made of: records that stand for metadata, a disk that
// can lose what it has not synced, and the messages between servers.

/// A record of the simulated log.
enum RaftRecord: Hashable {
  /// What a client wrote; nobody else writes the same number.
  case value(Int)
  case control(ControlRecord)
}

/// A batch, the unit in which records are written, sent and lost.
struct RaftBatch: Hashable {
  let baseOffset: Offset
  let epoch: LeaderEpoch
  let records: [RaftRecord]

  var endOffset: Offset { baseOffset + Offset(records.count) }

  /// The batch as a fetch response describes it; the token says nothing yet.
  var described: FetchedBatch {
    var batch = FetchedBatch(baseOffset: baseOffset, lastOffset: endOffset - 1, epoch: epoch)
    for (index, record) in records.enumerated() {
      let offset = baseOffset + Offset(index)
      if case .control(.voters(let set)) = record {
        batch.voters = VotersEntry(offset: offset, voters: set)
      } else if case .control(.kraftVersion(let level)) = record {
        batch.kraftVersion = KRaftVersionEntry(offset: offset, level: level)
      }
    }
    return batch
  }
}

/// One record where it stands; two logs agree at an offset if these are equal.
struct RaftEntry: Hashable {
  let epoch: LeaderEpoch
  let record: RaftRecord
}

/// A snapshot: the whole history stands for the state that follows from it.
struct RaftSnapshot: Hashable {
  let id: SnapshotID
  let history: [RaftEntry]
  let voters: VoterSet?
  let kraftVersion: Int16

  /// Bytes, as the servers tell each other.
  var size: Int64 { Int64(history.count) * 10 + 10 }
  var file: Snapshot { Snapshot(id, size: size) }
}

/// What survives a crash of a simulated server.
struct RaftDisk {
  var log = SimulatedLog<RaftBatch>()
  var startOffset: Offset = 0
  /// Ascending.
  var snapshots: [RaftSnapshot] = []
  var election: ElectionState?

  var endOffset: Offset { log.entries.last?.endOffset ?? startOffset }
  var durableEnd: Offset { log.durableEntries.last?.endOffset ?? startOffset }

  /// The log as the machine is told of it. A newer snapshot replaces it first.
  mutating func recover() -> RaftLog {
    if let latest = snapshots.last, latest.id.offset > endOffset { replaceLog(by: latest) }
    var epochs: [EpochStart] = []
    var voters: [VotersEntry] = []
    var levels: [KRaftVersionEntry] = []
    if let first = snapshots.first {
      if let set = first.voters {
        voters.append(VotersEntry(offset: first.id.offset - 1, voters: set))
      }
      if first.kraftVersion > 0 {
        levels.append(
          KRaftVersionEntry(offset: first.id.offset - 1, level: first.kraftVersion))
      }
    }
    for batch in log.entries where batch.endOffset > startOffset {
      if epochs.last?.epoch != batch.epoch {
        epochs.append(
          EpochStart(epoch: batch.epoch, startOffset: max(startOffset, batch.baseOffset)))
      }
      let described = batch.described
      if let entry = described.voters, entry.offset > voters.last?.offset ?? -2 {
        voters.append(entry)
      }
      if let entry = described.kraftVersion { levels.append(entry) }
    }
    return RaftLog(
      startOffset: startOffset, endOffset: endOffset, epochs: epochs,
      snapshots: snapshots.map(\.file), votersEntries: voters, kraftVersionEntries: levels)
  }

  mutating func replaceLog(by snapshot: RaftSnapshot) {
    log.removeAll()
    startOffset = snapshot.id.offset
    snapshots = [snapshot]
  }

  /// Whether the entry at an offset is here, and would be after a crash.
  func holdsDurably(_ entry: RaftEntry, at offset: Offset) -> Bool {
    if let snapshot = snapshots.last, offset < snapshot.id.offset {
      return snapshot.history[Int(offset)] == entry
    }
    return self.entry(at: offset, in: log.durableEntries) == entry
  }

  func entry(at offset: Offset) -> RaftEntry? { entry(at: offset, in: log.entries[...]) }

  private func entry(at offset: Offset, in batches: ArraySlice<RaftBatch>) -> RaftEntry? {
    guard let batch = batches.last(where: { $0.baseOffset <= offset }), offset < batch.endOffset
    else { return nil }
    return RaftEntry(
      epoch: batch.epoch, record: batch.records[Int(offset - batch.baseOffset)])
  }

  /// Whole batches of a range, as a fetch reads them: a few at a time.
  func read(from: Offset, to end: Offset) -> [RaftBatch] {
    Array(log.entries.filter { $0.endOffset > from && $0.baseOffset < end }.prefix(4))
  }
}

/// What travels between simulated servers.
enum RaftMessage {
  case request(RaftRequest, CorrelationID)
  /// With the records, or the snapshot, that its effect told the driver to read.
  case response(RaftResponse, CorrelationID, [RaftBatch], RaftSnapshot?)
  /// Nobody listens there, or the connection is closed before the answer.
  case failed(CorrelationID, isRefused: Bool)
}

/// A simulated server; `machine` is nil while it is down.
struct RaftServer {
  /// With the directory id of its present disk.
  var key: ReplicaKey
  var machine: RaftMachine?
  var disk = RaftDisk()
  /// What it was formatted with.
  var formatted = RaftDisk()
  /// Committed records, applied in order.
  var applied: [RaftEntry] = []
  /// Rises with every start and crash, so that events for a former life are recognised.
  var life = 0
  var isFlushing = false
  var timerAt = Instant.distantFuture
  /// Effects that are still carried out before it crashes; nil: no crash is due.
  var crashCountdown: Int?
  /// A broker: never a voter, and its fetches are not synced.
  var isBroker = false
  /// Requests it has not answered: who asked, in which life, and their number there.
  var asked: [RequestID: (from: Int, life: Int, correlation: CorrelationID)] = [:]
  /// Appends that a client waits for.
  var waiting: [(offset: Offset, value: Int)] = []
  /// Bytes of an event, for the effects of its step.
  var received: [RaftBatch] = []
  var receivedSnapshot: RaftSnapshot?
  /// The snapshot whose pieces have arrived, and how many bytes of it.
  var partial: (snapshot: RaftSnapshot, position: Int64)?
  /// Events for its machine; one step ends before the next begins.
  var inbox: [RaftEvent] = []
  var isStepping = false
  /// The greatest epoch it has ever been in.
  var greatestEpoch = LeaderEpoch(0)

  var isUp: Bool { machine != nil }
  var isLeader: Bool { machine?.isLeader ?? false }
  var name: String { "\(key.id.rawValue)" }
}

/// Deliberate mistakes, to show that the invariants would catch them.
public enum RaftSabotage: CaseIterable, Sendable {
  /// Says that appends are durable when they are only written.
  case acknowledgesBeforeFlush
  /// Forgets with every crash whom it voted for, or that it led.
  case forgetsVotes
  /// Leaves its own tail in place when the leader has another.
  case ignoresTruncation
  /// Loses its disk with every crash, and comes back under the old directory id.
  case keepsDirectoryOfLostDisk
}
