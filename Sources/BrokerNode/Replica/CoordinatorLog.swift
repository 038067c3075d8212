/// A partition of a coordinator's topic, as a shard of the coordinator sees it: appended to, waited
/// for, and read once.
import Bytes
import KafkaProtocol
import LogStorage
import Platform
import Records
import Replication
import Values

struct CoordinatorLog: Sendable {
  let partition: Partition
  /// The term in which this broker leads; appends in another one fail.
  let epoch: LeaderEpoch
  let services: BrokerServices

  /// Where an append lies.
  struct Appended {
    var baseOffset: Offset
    /// The offset after the last record.
    var endOffset: Offset
  }

  /// Finishes a batch and appends it.
  func append(
    _ batch: inout BatchBuilder, role: TransactionRole? = nil, on loop: BrokerLoop
  ) throws(PartitionFailure) -> Appended {
    var output = ByteWriter(reserving: batch.sizeUncompressed + 64)
    do throws(RecordError) {
      try batch.finish(into: &output)
    } catch {
      throw PartitionFailure(.unknownServerError, "\(error)")
    }
    let appended = try Self.append(
      output.array(), to: partition, epoch: epoch, role: role, services, on: loop)
    return Appended(
      baseOffset: appended.result.baseOffset, endOffset: appended.result.lastOffset + 1)
  }

  /// Appends what a coordinator wrote to any partition that this broker leads.
  static func append(
    _ batch: [UInt8], to partition: Partition, epoch: LeaderEpoch?, role: TransactionRole?,
    _ services: BrokerServices, on loop: BrokerLoop
  ) throws(PartitionFailure) -> Partition.Appended {
    var bytes = batch
    var effects: [PartitionReplica.Effect] = []
    var outcome: Result<Partition.Appended, PartitionFailure>?
    bytes.withUnsafeMutableBytes { bytes in
      do throws(PartitionFailure) {
        outcome = .success(
          try partition.append(
            bytes, acks: -1, origin: .coordinator, epoch: epoch, role: role, now: loop.now,
            wallNow: loop.wallNow, into: &effects))
      } catch {
        outcome = .failure(error)
      }
    }
    guard let outcome else { preconditionFailure("the closure is always called") }
    do throws(PartitionFailure) {
      let appended = try outcome.get()
      services.replicas.appended(to: partition, appended, effects, on: loop)
      return appended
    } catch {
      services.replicas.note(error, partition)
      throw error
    }
  }

  /// How an append stands; nil while in-sync replicas lack it.
  func outcome(upTo endOffset: Offset) -> Result<Void, PartitionFailure>? {
    partition.replicationOutcome(upTo: endOffset, epoch: epoch)
  }

  private static let readBytes = 5 << 20

  /// Reads every batch there is; for threads that may block.
  /// - Parameter take: gets the bytes of one read from an offset on, and says which offset follows
  ///   the last whole batch.
  /// - Returns: why it could not be read to its end, or nil.
  func scan(
    _ take: (UnsafeRawBufferPointer, Offset, inout ByteWriter) throws(RecordError) -> Offset
  ) -> String? {
    guard let log = partition.log else { return "it has no log" }
    var offset = log.logStartOffset
    let end = log.logEndOffset
    var scratch = ByteWriter()
    do {
      while offset < end {
        let slice = try log.read(
          from: offset, maxBytes: Self.readBytes, upTo: .logEndOffset, minOneMessage: true)
        guard let region = slice.region, region.count > 0 else { break }
        let bytes = try region.file.read(at: region.position, count: region.count)
        let next = try bytes.withUnsafeBytes { try take($0, offset, &scratch) }
        // A read that ends inside its first batch would never end.
        guard next > offset else { return "no whole batch at offset \(offset)" }
        offset = next
      }
    } catch {
      return "\(error)"
    }
    return nil
  }
}
