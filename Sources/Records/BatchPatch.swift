import CPlatform

/// Changes to a batch v2 in place. Offset and leader epoch lie outside the checksum, so a leader
/// assigns them without reading the records; everything else means a new checksum.
public enum BatchPatch {
  typealias Position = BatchHeader.Position

  /// - Precondition: `batch` begins with a whole header v2, as for all of these.
  public static func setBaseOffset(_ offset: Int64, in batch: UnsafeMutableRawBufferPointer) {
    batch.storeBytes(of: offset.bigEndian, toByteOffset: Position.baseOffset, as: Int64.self)
  }

  public static func setPartitionLeaderEpoch(
    _ epoch: Int32, in batch: UnsafeMutableRawBufferPointer
  ) {
    batch.storeBytes(
      of: epoch.bigEndian, toByteOffset: Position.partitionLeaderEpoch, as: Int32.self)
  }

  /// Sets the timestamp type and the largest timestamp, and the checksum if that changed anything.
  /// - Precondition: `batch` is the whole batch.
  public static func setMaxTimestamp(
    _ timestamp: Int64, type: TimestampType, in batch: UnsafeMutableRawBufferPointer
  ) {
    let attributes = UInt16(
      bigEndian: batch.loadUnaligned(fromByteOffset: Position.attributes, as: UInt16.self))
    let maximum = Int64(
      bigEndian: batch.loadUnaligned(fromByteOffset: Position.maxTimestamp, as: Int64.self))
    let bit = BatchHeader.Attribute.logAppendTime
    let wanted = type == .logAppendTime ? attributes | bit : attributes & ~bit
    guard wanted != attributes || maximum != timestamp else { return }
    batch.storeBytes(of: wanted.bigEndian, toByteOffset: Position.attributes, as: UInt16.self)
    batch.storeBytes(of: timestamp.bigEndian, toByteOffset: Position.maxTimestamp, as: Int64.self)
    updateChecksum(of: batch)
  }

  /// - Precondition: `batch` is the whole batch.
  public static func updateChecksum(of batch: UnsafeMutableRawBufferPointer) {
    guard let base = batch.baseAddress else { return }
    let start = Position.attributes
    let crc = jd_crc32c(0, base + start, batch.count - start)
    batch.storeBytes(of: crc.bigEndian, toByteOffset: Position.crc, as: UInt32.self)
  }
}
