import Bytes
import Platform
import Records
import Values

/// `.snapshot`: what was known of all producers at the offset in the file's name.
///
/// An int16 version of 1, CRC-32C of the rest, an int32 count, then for each producer: id, epoch,
/// last sequence, last offset, offset delta, timestamp, coordinator epoch, and the first offset of
/// its open transaction (-1: none). Of the remembered batches only the last is kept.
enum ProducerSnapshot {
  static let version: Int16 = 1
  /// Version and checksum, which the checksum does not cover.
  private static let headerSize = 6
  /// Bytes of one producer.
  private static let entrySize = 46

  /// Producers by id, so that equal states give equal bytes.
  static func encode(_ producers: some Sequence<ProducerState>) -> [UInt8] {
    let sorted = producers.sorted { $0.producerID < $1.producerID }
    var writer = ByteWriter(reserving: 10 + sorted.count * entrySize)
    writer.writeInt16(version)
    writer.writeUInt32(0)
    writer.writeInt32(Int32(sorted.count))
    for producer in sorted {
      let last = producer.batches.last
      writer.writeInt64(producer.producerID)
      writer.writeInt16(producer.epoch)
      writer.writeInt32(producer.lastSequence)
      writer.writeInt64(producer.lastOffset)
      writer.writeInt32(last?.offsetDelta ?? 0)
      writer.writeInt64(producer.lastTimestamp)
      writer.writeInt32(producer.coordinatorEpoch)
      writer.writeInt64(producer.transactionStart ?? -1)
    }
    let crc = checksum(writer.array())
    writer.patchInt32(Int32(bitPattern: crc), at: 2)
    return writer.array()
  }

  private static func checksum(_ bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { raw in
      Checksum.crc32c(UnsafeRawBufferPointer(rebasing: raw.dropFirst(headerSize)))
    }
  }

  /// Throws `corrupt` for another version, a wrong checksum, or too few bytes.
  static func decode(_ bytes: [UInt8]) throws(LogError) -> [ProducerState] {
    var reader = ByteReader(bytes.span.bytes)
    do {
      let found = try reader.readInt16()
      guard found == version else { throw LogError.corrupt("producer snapshot version \(found)") }
      guard try reader.readUInt32() == checksum(bytes) else {
        throw LogError.corrupt("checksum of a producer snapshot")
      }
      let count = try reader.checkCount(Int(try reader.readInt32()), atLeast: entrySize)
      var producers: [ProducerState] = []
      producers.reserveCapacity(count)
      for _ in 0..<count { producers.append(try decodeEntry(&reader)) }
      return producers
    } catch { throw LogError(error) }
  }

  private static func decodeEntry(_ reader: inout ByteReader) throws(ByteError) -> ProducerState {
    var producer = ProducerState(producerID: try reader.readInt64())
    producer.epoch = try reader.readInt16()
    let sequence = try reader.readInt32()
    let lastOffset = try reader.readInt64()
    let delta = try reader.readInt32()
    producer.lastTimestamp = try reader.readInt64()
    producer.coordinatorEpoch = try reader.readInt32()
    let start = try reader.readInt64()
    producer.transactionStart = start >= 0 ? start : nil
    // A producer of which only a marker is known has no batch.
    if lastOffset >= 0, sequence >= 0 {
      producer.batches.append(
        ProducerBatch(
          lastSequence: sequence, lastOffset: lastOffset, offsetDelta: delta,
          timestamp: producer.lastTimestamp))
    }
    return producer
  }

  /// The offsets of the snapshot files in a directory, ascending.
  static func offsets(in directory: String) throws(SystemError) -> [Offset] {
    try FileSystem.list(directory).compactMap {
      FileNames.offset(in: $0, suffix: FileNames.snapshot)
    }.sorted()
  }

  static func path(_ directory: String, _ offset: Offset) -> String {
    "\(directory)/\(FileNames.offset(offset))\(FileNames.snapshot)"
  }
}
