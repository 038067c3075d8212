/// One partition of which this broker has a replica: its log, its place in replication, and who
/// is waiting for it.
///
/// Everything in `state` is guarded by one lock, held to append, to look up and to step the
/// machine; never while waiting for anything. What follows from a step outside the partition
/// (waking, proposing, fetching) is returned as effects and done after the lock is released.
import KafkaProtocol
import LogStorage
import Replication
import Synchronization
import Values

final class Partition: Sendable {
  let id: TopicPartition
  /// Its place in `PartitionTable`.
  let index: Int

  struct State {
    var replica: PartitionReplica
    /// Nil before the first assignment, and when the log's directory has failed.
    var log: PartitionLog?
    var topicID = Uuid.zero
    /// The log's directory has failed: nothing is served until a restart.
    var isOffline = false
    /// Producers whose transactions the coordinator is asked about, by the number of the question.
    var verifications: [ProducerID: UInt64] = [:]
    var lastVerification: UInt64 = 0
  }

  let state: Mutex<State>
  /// One bit for each loop on which somebody waits.
  private let interest = Atomic<UInt64>(0)

  init(_ id: TopicPartition, index: Int, replica: PartitionReplica) {
    self.id = id
    self.index = index
    state = Mutex(State(replica: replica))
  }

  // MARK: Interest

  func noteInterest(ofLoop loop: Int) {
    interest.bitwiseOr(1 << UInt64(loop & 63), ordering: .acquiringAndReleasing)
  }

  func forgetInterest(ofLoop loop: Int) {
    interest.bitwiseAnd(~(1 << UInt64(loop & 63)), ordering: .acquiringAndReleasing)
  }

  func interestedLoops() -> UInt64 { interest.load(ordering: .acquiring) }

  // MARK: Looking

  var log: PartitionLog? { state.withLock { $0.log } }
  var topicID: Uuid { state.withLock { $0.topicID } }
  var isOffline: Bool { state.withLock { $0.isOffline } }
  var isLeader: Bool { state.withLock { $0.replica.isLeader } }
  var leaderEpoch: LeaderEpoch { state.withLock { $0.replica.leaderEpoch } }

  /// A copy of the machine, for metrics and descriptions.
  var replica: PartitionReplica { state.withLock { $0.replica } }

  // MARK: Stepping

  /// Feeds the machine one event and keeps the log's high watermark in step.
  func step(_ event: PartitionReplica.Event, at now: Instant) -> [PartitionReplica.Effect] {
    state.withLock { state in
      var effects: [PartitionReplica.Effect] = []
      Self.step(&state, event, at: now, into: &effects)
      return effects
    }
  }

  static func step(
    _ state: inout State, _ event: PartitionReplica.Event, at now: Instant,
    into effects: inout [PartitionReplica.Effect]
  ) {
    let before = state.replica.highWatermark
    state.replica.step(event, at: now, into: &effects)
    let after = state.replica.highWatermark
    if before != after { state.log?.updateHighWatermark(after) }
  }
}

extension Partition.State {
  /// The log, or the error of a replica that has none.
  func usableLog() throws(PartitionFailure) -> PartitionLog {
    if isOffline { throw PartitionFailure(.kafkaStorageError) }
    guard let log else { throw PartitionFailure(.notLeaderOrFollower) }
    return log
  }
}
