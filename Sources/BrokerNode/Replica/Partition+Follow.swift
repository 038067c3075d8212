/// Following: what a fetcher does to the log of a replica that does not lead.
import KafkaProtocol
import LogStorage
import Replication
import Values

/// What the follower's machine may know of the log.
struct FollowerLogView: FollowerLog {
  private let log: PartitionLog
  let logStartOffset: Offset
  let logEndOffset: Offset
  let highWatermark: Offset

  init(_ log: PartitionLog) {
    self.log = log
    let offsets = log.offsets
    logStartOffset = offsets.logStartOffset
    logEndOffset = offsets.logEndOffset
    highWatermark = offsets.highWatermark
  }

  var latestEpoch: LeaderEpoch? { log.latestEpoch?.epoch }

  func end(of epoch: LeaderEpoch) -> EpochEnd? {
    log.endOffset(for: epoch).map { EpochEnd(epoch: $0.epoch, endOffset: $0.offset) }
  }
}

extension Partition {
  struct Followed {
    var appendedBytes = 0
    var effects: [PartitionReplica.Effect] = []
  }

  /// Carries out a fetcher's effects, unless the replica follows another leader by now or leads.
  func follow(
    _ steps: [FollowerFetcher.Effect], _ records: UnsafeRawBufferPointer, leader: BrokerID,
    epoch: LeaderEpoch, now: Instant, wallNow: WallTime
  ) throws(PartitionFailure) -> Followed {
    let outcome: Result<Followed, PartitionFailure> = state.withLock { state in
      do throws(PartitionFailure) {
        guard state.replica.role == .follower(of: leader), state.replica.leaderEpoch == epoch else {
          throw PartitionFailure(.notLeaderOrFollower)
        }
        let log = try state.usableLog()
        var followed = Followed()
        do throws(LogError) {
          for step in steps {
            try Self.follow(step, records, &state, log, now, wallNow, &followed)
          }
        } catch {
          throw PartitionFailure(error)
        }
        return .success(followed)
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }

  private static func follow(
    _ step: FollowerFetcher.Effect, _ records: UnsafeRawBufferPointer, _ state: inout State,
    _ log: PartitionLog, _ now: Instant, _ wallNow: WallTime, _ followed: inout Followed
  ) throws(LogError) {
    switch step {
    case .append:
      followed.appendedBytes += try log.append(follower: records, now: wallNow).size
    case .truncate(let end):
      try log.truncate(to: end, now: wallNow)
      Self.step(&state, .truncated(logEndOffset: end), at: now, into: &followed.effects)
    case .restart(let start):
      try log.truncateFullyAndStart(at: start, now: wallNow)
      Self.step(&state, .truncated(logEndOffset: start), at: now, into: &followed.effects)
      Self.step(&state, .logStartRaised(start), at: now, into: &followed.effects)
    case .followHighWatermark(let offset):
      Self.step(
        &state, .leaderHighWatermark(offset, logEndOffset: log.logEndOffset), at: now,
        into: &followed.effects)
    case .raiseLogStart(let start):
      try log.raiseLogStartOffset(to: start)
      Self.step(&state, .logStartRaised(log.logStartOffset), at: now, into: &followed.effects)
    }
  }
}
