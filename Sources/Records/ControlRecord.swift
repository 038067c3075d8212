import Bytes

/// What a control batch's record marks, by the type in its key.
public enum ControlRecordType: Int16, Sendable {
  case abort = 0
  case commit = 1
  case leaderChange = 2
  case snapshotHeader = 3
  case snapshotFooter = 4
  case kraftVersion = 5
  case kraftVoters = 6

  /// Reads a control record's key: int16 version, int16 type. Nil for a type yet unknown.
  public init?(key: UnsafeRawBufferPointer?) {
    guard let key else { return nil }
    var cursor = RawCursor(key)
    guard let version = cursor.int16(), version >= 0, let number = cursor.int16() else {
      return nil
    }
    self.init(rawValue: number)
  }

  /// The key's bytes.
  public var key: [UInt8] { [0, 0, 0, UInt8(rawValue)] }
}

/// The marker that ends a producer's transaction in one partition (KIP-98).
public struct EndTransactionMarker: Equatable, Sendable {
  public var isCommit: Bool
  /// The epoch of the transaction coordinator that decided.
  public var coordinatorEpoch: Int32

  public init(isCommit: Bool, coordinatorEpoch: Int32) {
    self.isCommit = isCommit
    self.coordinatorEpoch = coordinatorEpoch
  }

  /// Reads the marker; nil for a control record of another type.
  public init?(_ record: RecordView) throws(RecordError) {
    guard let type = ControlRecordType(key: record.key), type == .commit || type == .abort else {
      return nil
    }
    guard let value = record.value else { throw .invalid("a marker without value") }
    var cursor = RawCursor(value)
    guard let version = cursor.int16(), version >= 0, let epoch = cursor.int32() else {
      throw .invalid("a marker of \(value.count) bytes")
    }
    isCommit = type == .commit
    coordinatorEpoch = epoch
  }

  /// A control batch with this marker as its only record.
  public func batch(
    producerID: Int64, producerEpoch: Int16, timestamp: Int64, baseOffset: Int64 = 0,
    partitionLeaderEpoch: Int32 = -1
  ) throws(RecordError) -> [UInt8] {
    var options = BatchOptions()
    options.producerID = producerID
    options.producerEpoch = producerEpoch
    options.isTransactional = true
    options.isControl = true
    options.baseOffset = baseOffset
    options.partitionLeaderEpoch = partitionLeaderEpoch
    var builder = BatchBuilder(options, reserving: 64)
    var value = ByteWriter(reserving: 64)
    value.writeInt16(0)
    value.writeInt32(coordinatorEpoch)
    let type = isCommit ? ControlRecordType.commit : .abort
    builder.append(timestamp: timestamp, key: type.key, value: value.array())
    var output = ByteWriter(reserving: 128)
    try builder.finish(into: &output)
    return output.array()
  }
}
