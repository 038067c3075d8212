/// What a host of the metadata log is told: committed records, snapshots, and who leads.
///
/// A controller and a broker each register one listener, with the loop on which it is called. Each
/// has its own place in the log, so a slow one holds up neither the other nor the quorum.
import KafkaRecords
import Metadata
import Raft
import Values

/// One committed batch of the log. Control batches come too, without records, so that offsets have
/// no gaps.
public struct CommittedBatch: Sendable {
  public var baseOffset: Offset
  public var lastOffset: Offset
  public var epoch: Int32
  /// When the leader appended it, in milliseconds since 1970.
  public var timestamp: Int64
  public var records: [MetadataRecord]
  public var sizeInBytes: Int
}

/// A snapshot that was read: it stands for everything up to `lastOffset`.
public struct LoadedSnapshot: Sendable {
  public var lastOffset: Offset
  public var epoch: Int32
  /// Of the last record that it stands for, in milliseconds since 1970.
  public var timestamp: Int64
  public var image: MetadataImage
  public var sizeInBytes: Int
}

/// Who leads the quorum, as far as this node knows.
public struct QuorumLeader: Hashable, Sendable {
  /// Nil while none is known.
  public var id: BrokerID?
  public var epoch: Int32
  /// Where it listens, on the listener that this node uses for controllers; nil while not known.
  public var host: String?
  public var port: UInt16

  public init(id: BrokerID? = nil, epoch: Int32 = 0, host: String? = nil, port: UInt16 = 0) {
    self.id = id
    self.epoch = epoch
    self.host = host
    self.port = port
  }
}

/// What a host puts into a snapshot.
public struct SnapshotContent: Sendable {
  /// The last offset that it stands for; committed, and not within a transaction.
  public var lastOffset: Offset
  public var epoch: Int32
  /// Of the batch with that offset.
  public var timestamp: Int64
  /// Gives the records one after the other, so that they never are in memory all at once; called
  /// once, on an I/O thread.
  public var records: @Sendable (_ body: (VersionedRecord) throws -> Void) throws -> Void

  public init(
    lastOffset: Offset, epoch: Int32, timestamp: Int64,
    records: @escaping @Sendable (_ body: (VersionedRecord) throws -> Void) throws -> Void
  ) {
    self.lastOffset = lastOffset
    self.epoch = epoch
    self.timestamp = timestamp
    self.records = records
  }
}

/// All calls come on the loop that it was registered with, one after the other.
public protocol MetadataListener: AnyObject {
  /// Batches in the order of their offsets, none twice and none left out since the last snapshot.
  func committed(_ batches: [CommittedBatch])
  /// Replaces everything that came before. Never while this node is the leader.
  func loaded(_ snapshot: LoadedSnapshot)
  /// Another leader, another epoch, or none any more.
  func leaderChanged(_ leader: QuorumLeader)
  /// This node leads, and has been given everything that precedes its epoch. Its next record gets
  /// `nextOffset`.
  func becameLeader(epoch: Int32, nextOffset: Offset)
  /// It leads no longer. What it proposed and was not given as committed may be lost.
  func resigned(epoch: Int32)
  /// The voters now in force, uncommitted ones too, and the kraft.version.
  func votersChanged(_ voters: VoterSet, kraftVersion: Int16)
  /// A snapshot is due. Nil: not now (in the middle of a transaction); asked again later.
  func makeSnapshot() -> SnapshotContent?
}

extension MetadataListener {
  public func leaderChanged(_ leader: QuorumLeader) {}
  public func votersChanged(_ voters: VoterSet, kraftVersion: Int16) {}
  public func becameLeader(epoch: Int32, nextOffset: Offset) {}
  public func resigned(epoch: Int32) {}
}

/// Why a proposal was not appended.
public enum ProposeError: Error, Equatable, Sendable {
  /// This node does not lead in the epoch that was given.
  case notLeader
  /// One record, or the records of an atomic proposal together, are larger than a batch may be.
  case tooLarge
  /// The log could not be written; the node is stopping.
  case failed(String)
}
