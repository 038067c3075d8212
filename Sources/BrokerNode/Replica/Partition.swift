/// One partition of which this broker has a replica: its log, its place in replication, and who is
/// waiting for it.
///
/// Everything in `state` is guarded by one lock, held to append, to look up and to step the
/// machine; never while waiting for anything. What follows from a step outside the partition
/// (waking, proposing, fetching) is done by the caller after the lock is released.
import Replication
import Synchronization
import Values

final class Partition: Sendable {
  let id: TopicPartition
  /// Its place in `PartitionTable`.
  let index: Int

  struct State {
    var replica: PartitionReplica
    /// Scratch for effects of steps, kept for its memory.
    var effects: [PartitionReplica.Effect] = []
    var topicID = Uuid.zero
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
}
