/// Appending as leader, and waiting for the in-sync replicas.
import KafkaProtocol
import LogStorage
import Records
import Replication
import Values

extension Partition {
  /// What an append did to the log and the replica.
  struct Appended {
    var result: AppendResult
    var epoch: LeaderEpoch
    /// Whether every in-sync replica has it already (this one is alone).
    var isReplicated: Bool
  }

  /// Validates and appends records as the leader.
  ///
  /// Checksums and rules come first, so that the partition is held only to assign offsets, patch
  /// and write. Whether this replica may append is looked at before (a batch that will be refused
  /// is not worth a checksum) and again when it is held: it may have resigned meanwhile.
  ///
  /// - Parameters:
  ///   - records: whole batches; patched in place.
  ///   - epoch: fails unless this is the leader epoch; nil for any.
  ///   - role: what the records are in a transaction; nil: nothing that matters here.
  ///   - effects: what has to be done after it is added; the caller's array is used again and
  ///     again.
  func append(
    _ records: UnsafeMutableRawBufferPointer, acks: Int16, origin: AppendOrigin = .client,
    epoch expected: LeaderEpoch? = nil, role: TransactionRole? = nil, now: Instant,
    wallNow: WallTime,
    into effects: inout [PartitionReplica.Effect]
  ) throws(PartitionFailure) -> Appended {
    let log = try logToAppendTo(acks: acks, epoch: expected)
    let validated: ValidatedRecords
    do throws(LogError) {
      validated = try log.validate(records, origin: origin, now: wallNow)
    } catch {
      throw PartitionFailure(error)
    }
    let time = validated.logAppendTime
    return try validated.withBatches(of: records) { (batches) throws(PartitionFailure) in
      let outcome: Result<Appended, PartitionFailure> = state.withLock { state in
        do throws(PartitionFailure) {
          try Self.check(state, acks: acks, expected: expected)
          if let role { try Self.check(role, state) }
          let appended = try Self.write(
            batches, logAppendTime: time, origin: origin, now: now, wallNow: wallNow, to: &state,
            into: &effects)
          if let role { state.verifications[role.producerID] = nil }
          return .success(appended)
        } catch {
          return .failure(error)
        }
      }
      return try outcome.get()
    }
  }

  private func logToAppendTo(
    acks: Int16, epoch expected: LeaderEpoch?
  ) throws(PartitionFailure) -> PartitionLog {
    let outcome: Result<PartitionLog, PartitionFailure> = state.withLock { state in
      do throws(PartitionFailure) {
        let log = try state.usableLog()
        try Self.check(state, acks: acks, expected: expected)
        return .success(log)
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }

  private static func check(
    _ state: borrowing State, acks: Int16, expected: LeaderEpoch?
  ) throws(PartitionFailure) {
    do throws(ReplicaRefusal) {
      if let expected { try state.replica.check(leaderEpoch: expected) }
      try state.replica.checkAppend(acks: acks)
    } catch {
      throw PartitionFailure(error)
    }
  }

  private static func write(
    _ batches: UnsafeMutableRawBufferPointer, logAppendTime: Int64, origin: AppendOrigin,
    now: Instant, wallNow: WallTime, to state: inout State,
    into effects: inout [PartitionReplica.Effect]
  ) throws(PartitionFailure) -> Appended {
    let log = try state.usableLog()
    let epoch = state.replica.leaderEpoch
    let result: AppendResult
    do throws(LogError) {
      result = try log.append(
        validated: batches, logAppendTime: logAppendTime, leaderEpoch: epoch, origin: origin,
        now: wallNow)
    } catch {
      throw PartitionFailure(error)
    }
    step(&state, .appended(logEndOffset: result.logEndOffset), at: now, into: &effects)
    let isReplicated = state.replica.highWatermark > result.lastOffset
    return Appended(result: result, epoch: epoch, isReplicated: isReplicated)
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
