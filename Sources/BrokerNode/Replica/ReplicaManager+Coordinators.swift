/// What the group coordinator writes: records of its own, acknowledged when all in-sync replicas
/// have them.
import KafkaProtocol
import LogStorage
import Records
import Values

extension ReplicaManager {
  typealias AppendCompletion = @Sendable (Result<Offset, PartitionFailure>) -> Void

  /// Appends a batch as leader and waits for the in-sync replicas.
  ///
  /// - Parameters:
  ///   - records: one encoded batch; patched in place.
  ///   - epoch: the leader epoch that the coordinator was loaded in.
  ///   - loop: the caller's; `completion` is called there, with the offset of the first record.
  func append(
    _ records: UnsafeMutableRawBufferPointer, to at: TopicPartition, epoch: LeaderEpoch,
    on loop: BrokerLoop, timeoutMs: Int64, _ completion: @escaping AppendCompletion
  ) {
    guard let partition = services.partitions[at] else {
      completion(.failure(services.missing(at)))
      return
    }
    do throws(PartitionFailure) {
      let appended = try partition.append(
        records, acks: -1, origin: .coordinator, epoch: epoch, now: loop.now,
        wallNow: loop.wallNow)
      self.appended(to: partition, appended, on: loop)
      if appended.isReplicated {
        completion(.success(appended.result.baseOffset))
        return
      }
      loop.wait(
        CoordinatorAppend(partition, appended, completion), on: [partition],
        until: loop.now.advanced(milliseconds: timeoutMs))
    } catch {
      completion(.failure(error))
    }
  }
}

/// A coordinator's append that waits for the in-sync replicas.
private final class CoordinatorAppend: WaitingRequest {
  private let partition: Partition
  private let result: AppendResult
  private let epoch: LeaderEpoch
  private let completion: ReplicaManager.AppendCompletion

  init(
    _ partition: Partition, _ appended: Partition.Appended,
    _ completion: @escaping ReplicaManager.AppendCompletion
  ) {
    self.partition = partition
    result = appended.result
    epoch = appended.epoch
    self.completion = completion
  }

  func isDone(on loop: BrokerLoop) -> Bool {
    let outcome = partition.replicationOutcome(upTo: result.lastOffset + 1, epoch: epoch)
    guard let outcome else { return false }
    completion(outcome.map { result.baseOffset })
    return true
  }

  func expire(on loop: BrokerLoop) {
    completion(.failure(PartitionFailure(.requestTimedOut)))
  }
}
