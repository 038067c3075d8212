import Bytes
import Platform
import Records
import Values

/// The files beside a segment: indexes, which are checked against it, and snapshots.
extension DumpLog {
  /// Path without the ending, and the base offset that its name says.
  private static func stem(_ path: String) throws -> (stem: String, base: Offset) {
    guard let dot = path.lastIndex(of: "."),
      let base = Offset(FileSystem.name(of: String(path[..<dot])))
    else { throw LogError.corrupt("\(path): no offset in the name") }
    return (String(path[..<dot]), base)
  }

  /// Opened for reading only: nothing is written, whatever its size.
  private static func openIndex(_ path: String, base: Offset) throws -> OffsetIndex {
    let size = Int(try FileSystem.status(path)?.size ?? 0)
    return try OffsetIndex(path: path, baseOffset: base, maxBytes: max(size, 8))
  }

  /// Each entry must point to the batch whose last offset it has.
  mutating func dumpIndex(_ path: String, _ emit: (String) -> Void) throws {
    let (stem, base) = try Self.stem(path)
    let index = try Self.openIndex(path, base: base)
    let log = try File(stem + FileNames.log)
    let size = Int(try log.size())
    guard index.file.count > 0 else {
      emit("\(path) is empty.")
      return
    }
    if options.checksSanityOnly {
      guard try index.isSane(logSize: size) else {
        throw LogError.corrupt("\(path) does not pass the sanity check")
      }
      emit("\(path) passed sanity check.")
      return
    }
    for number in 0..<index.file.count {
      let entry = try index.entry(number)
      // A crash may leave zeros behind the last entry.
      if entry.offset == base, number > 0 { return }
      var scanner = SegmentScanner(log, from: entry.position, to: size, piece: 512)
      let found = try scanner.peek()?.lastOffset ?? -1
      if found != entry.offset { indexMismatches.append((path, entry.offset, found)) }
      if !options.verifiesOnly { emit("offset: \(entry.offset) position: \(entry.position)") }
    }
  }

  /// Each entry must name a batch's last offset, and that batch's largest timestamp.
  mutating func dumpTimeIndex(_ path: String, _ emit: (String) -> Void) throws {
    let (stem, base) = try Self.stem(path)
    let size = Int(try FileSystem.status(path)?.size ?? 0)
    let times = try TimeIndex(path: path, baseOffset: base, maxBytes: max(size, 24))
    if options.checksSanityOnly {
      guard try times.isSane() else {
        throw LogError.corrupt("\(path) does not pass the sanity check")
      }
      emit("\(path) passed sanity check.")
      return
    }
    let index = try Self.openIndex(stem + FileNames.index, base: base)
    let log = try File(stem + FileNames.log)
    var previous = BatchHeader.noTimestamp
    for number in 0..<times.file.count {
      let entry = try times.entry(number)
      if entry.offset == base, number > 0 { return }
      try check(entry, previous: previous, path, in: log, from: index.position(for: entry.offset))
      if !options.verifiesOnly { emit("timestamp: \(entry.timestamp) offset: \(entry.offset)") }
      previous = entry.timestamp
    }
  }

  /// Compares an entry of a time index with the batch that it names.
  private mutating func check(
    _ entry: (timestamp: Int64, offset: Offset), previous: Int64, _ path: String, in log: File,
    from position: Int
  ) throws {
    let end = Int(try log.size())
    guard
      let (header, place) = try LogSegment.locate(
        entry.offset, in: log, from: position, to: end), header.lastOffset == entry.offset
    else {
      offsetsNotFound.append((entry.offset, -1))
      return
    }
    var scanner = SegmentScanner(log, from: place, to: end)
    guard let (batch, _) = try scanner.next() else { return }
    var scratch = ByteWriter()
    var records = try batch.records(scratch: &scratch)
    var newest = BatchHeader.noTimestamp
    while let record = try records.next() { newest = max(newest, record.timestamp) }
    if newest != entry.timestamp { timeMismatches.append((path, entry.timestamp, newest)) }
    if previous >= entry.timestamp { timesOutOfOrder.append((path, entry.timestamp, previous)) }
  }

  /// Producers by id, each with its last batch.
  mutating func dumpSnapshot(_ path: String, _ emit: (String) -> Void) throws {
    guard let bytes = try FileSystem.readFile(path) else {
      throw SystemError("open", code: 2, on: path)
    }
    let producers: [ProducerState]
    do { producers = try ProducerSnapshot.decode(bytes) } catch {
      problem("\(path): \(error)")
      return
    }
    for producer in producers {
      let start = producer.transactionStart.map { "OptionalLong[\($0)]" } ?? "OptionalLong.empty"
      var line =
        "producerId: \(producer.producerID) producerEpoch: \(producer.epoch)"
        + " coordinatorEpoch: \(producer.coordinatorEpoch) currentTxnFirstOffset: \(start)"
        + " lastTimestamp: \(producer.lastTimestamp) "
      if let batch = producer.batches.first {
        line +=
          "firstSequence: \(batch.firstSequence) lastSequence: \(batch.lastSequence)"
          + " lastOffset: \(batch.lastOffset) offsetDelta: \(batch.offsetDelta)"
          + " timestamp: \(batch.timestamp)"
      }
      emit(line)
    }
  }

  /// Aborted transactions in the order of their markers.
  mutating func dumpTransactions(_ path: String, _ emit: (String) -> Void) throws {
    for entry in try TransactionIndex(path: path).entries {
      emit(
        "version: 0 producerId: \(entry.producerID) firstOffset: \(entry.firstOffset)"
          + " lastOffset: \(entry.lastOffset) lastStableOffset: \(entry.lastStableOffset)")
    }
  }
}
