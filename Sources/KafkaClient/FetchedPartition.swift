import Bytes
import KafkaMessages
import KafkaProtocol
import Records
import Values

/// What a fetch has brought of one partition; records are unpacked batch by batch as they are asked
/// for.
struct FetchedPartition: Sendable {
  let partition: TopicPartition
  /// Where reading goes on: the offset of the next record to give out.
  private(set) var nextOffset: Int64
  private let bytes: [UInt8]
  private var position = 0
  private var unpacked: [ConsumerRecord] = []
  private var given = 0
  private let isCommittedOnly: Bool
  private let checksChecksums: Bool
  /// Transactions that were aborted, by first offset; then the producers whose data is skipped.
  private var aborted: ArraySlice<FetchResponse.AbortedTransaction>
  private var skippedProducers: Set<Int64> = []

  init(
    _ partition: TopicPartition, from offset: Int64, bytes: [UInt8],
    aborted: [FetchResponse.AbortedTransaction], isCommittedOnly: Bool, checksChecksums: Bool
  ) {
    self.partition = partition
    nextOffset = offset
    self.bytes = bytes
    self.isCommittedOnly = isCommittedOnly
    self.checksChecksums = checksChecksums
    self.aborted = aborted.sorted { $0.firstOffset < $1.firstOffset }[...]
  }

  var isEmpty: Bool { given == unpacked.count && position == bytes.count }
  /// Bytes of batches; nothing at all means that the fetch has brought nothing new.
  var size: Int { bytes.count }

  /// The next records, at most so many; moves `nextOffset` also past what readers do not see.
  mutating func take(_ limit: Int) throws(ClientError) -> [ConsumerRecord] {
    var taken: [ConsumerRecord] = []
    while taken.count < limit {
      if given < unpacked.count {
        let count = min(limit - taken.count, unpacked.count - given)
        taken += unpacked[given..<(given + count)]
        given += count
        if let last = taken.last { nextOffset = max(nextOffset, last.offset + 1) }
        if given == unpacked.count { nextOffset = max(nextOffset, endOfBatch) }
      } else if !(try unpackNext()) {
        break
      }
    }
    return taken
  }

  private var endOfBatch: Int64 = -1

  /// Unpacks the next batch; false at the end, where a batch may be cut off.
  private mutating func unpackNext() throws(ClientError) -> Bool {
    unpacked = []
    given = 0
    let result: Result<(records: [ConsumerRecord], header: BatchHeader)?, RecordError> =
      bytes.withUnsafeBytes { raw in
        do throws(RecordError) {
          var batches = BatchIterator(raw, from: position)
          guard let batch = try batches.next() else { return .success(nil) }
          if checksChecksums, !batch.hasValidChecksum {
            throw .corrupt("checksum of the batch at \(batch.header.baseOffset)")
          }
          return .success((try records(of: batch), batch.header))
        } catch {
          return .failure(error)
        }
      }
    switch result {
    case .failure(let error): throw .records(error)
    case .success(nil):
      position = bytes.count
      return false
    case .success(let found?):
      position += found.header.sizeInBytes
      endOfBatch = found.header.nextOffset
      unpacked = isVisible(found.header, found.records) ? found.records : []
      if unpacked.isEmpty { nextOffset = max(nextOffset, endOfBatch) }
      return true
    }
  }

  private func records(of batch: RecordBatch) throws(RecordError) -> [ConsumerRecord] {
    var scratch = ByteWriter(reserving: 64)
    var iterator = try batch.records(scratch: &scratch)
    var records: [ConsumerRecord] = []
    records.reserveCapacity(max(0, min(Int(batch.header.recordCount), 4096)))
    let type = batch.header.timestampType
    while let view = try iterator.next() {
      // A batch is fetched whole, also when reading begins in its middle.
      guard view.offset >= nextOffset || batch.header.isControl else { continue }
      var headers: [RecordHeader] = []
      var each = view.headers
      while let header = try each.next() {
        headers.append(
          RecordHeader(
            String(decoding: header.name, as: UTF8.self), header.value.map { Array($0) }))
      }
      records.append(
        ConsumerRecord(
          topic: partition.topic, partition: partition.partition, offset: view.offset,
          timestamp: view.timestamp, timestampType: type,
          leaderEpoch: batch.header.partitionLeaderEpoch, key: view.key.map { Array($0) },
          value: view.value.map { Array($0) }, headers: headers))
    }
    return records
  }

  /// Control batches are for readers' bookkeeping only; with `read_committed` the data of aborted
  /// transactions is left out as well.
  private mutating func isVisible(_ header: BatchHeader, _ records: [ConsumerRecord]) -> Bool {
    guard isCommittedOnly, header.hasProducerID else { return !header.isControl }
    while let next = aborted.first, next.firstOffset <= header.lastOffset {
      skippedProducers.insert(next.producerID)
      aborted.removeFirst()
    }
    if header.isControl {
      let isAbort = records.contains { record in
        record.key.map { $0.withUnsafeBytes { ControlRecordType(key: $0) == .abort } } ?? false
      }
      if isAbort { skippedProducers.remove(header.producerID) }
      return false
    }
    return !(header.isTransactional && skippedProducers.contains(header.producerID))
  }
}
