/// Appending as leader, and waiting for the in-sync replicas.
import KafkaProtocol
import LogStorage
import Records
import Replication
import Values

extension Partition {
  /// An append with what follows from it.
  struct Appended {
    var result: AppendResult
    var epoch: LeaderEpoch
    var effects: [PartitionReplica.Effect]
    /// Whether every in-sync replica has it already (this one is alone).
    var isReplicated: Bool
  }

  /// Validates and appends records as the leader.
  ///
  /// - Parameters:
  ///   - records: whole batches; patched in place.
  ///   - epoch: fails unless this is the leader epoch; nil for any.
  func append(
    _ records: UnsafeMutableRawBufferPointer, acks: Int16, origin: AppendOrigin = .client,
    epoch expected: LeaderEpoch? = nil, now: Instant, wallNow: WallTime
  ) throws(PartitionFailure) -> Appended {
    let outcome: Result<Appended, PartitionFailure> = state.withLock { state in
      do throws(PartitionFailure) {
        return .success(
          try Self.append(
            &state, records, acks: acks, origin: origin, expected: expected, now: now,
            wallNow: wallNow))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }

  private static func append(
    _ state: inout State, _ records: UnsafeMutableRawBufferPointer, acks: Int16,
    origin: AppendOrigin, expected: LeaderEpoch?, now: Instant, wallNow: WallTime
  ) throws(PartitionFailure) -> Appended {
    let log = try state.usableLog()
    do throws(ReplicaRefusal) {
      if let expected { try state.replica.check(leaderEpoch: expected) }
      try state.replica.checkAppend(acks: acks)
    } catch {
      throw PartitionFailure(error)
    }
    let epoch = state.replica.leaderEpoch
    let result: AppendResult
    do throws(LogError) {
      result = try log.append(leader: records, leaderEpoch: epoch, origin: origin, now: wallNow)
    } catch {
      throw PartitionFailure(error)
    }
    var effects: [PartitionReplica.Effect] = []
    step(&state, .appended(logEndOffset: result.logEndOffset), at: now, into: &effects)
    let isReplicated = state.replica.highWatermark > result.lastOffset
    return Appended(
      result: result, epoch: epoch, effects: effects, isReplicated: isReplicated)
  }

  /// How an acks=all append that ends at `requiredOffset` stands; nil while it must wait.
  func replicationOutcome(
    upTo requiredOffset: Offset, epoch: LeaderEpoch
  ) -> Result<Void, PartitionFailure>? {
    state.withLock { state in
      if state.isOffline { return .failure(PartitionFailure(.kafkaStorageError)) }
      do throws(ReplicaRefusal) {
        return try state.replica.checkReplicated(upTo: requiredOffset, epoch: epoch)
          ? .success(()) : nil
      } catch {
        return .failure(PartitionFailure(error))
      }
    }
  }
}
