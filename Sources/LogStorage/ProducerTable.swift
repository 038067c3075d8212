import Records
import Values

/// All producers of a log, its open transactions, and how far up to the log's end they are known.
struct ProducerTable {
  /// What is known reflects all batches before this offset.
  var mapEndOffset: Offset = 0
  /// The offset of the newest snapshot file.
  var snapshotOffset: Offset = -1
  private(set) var producers: [Int64: ProducerState] = [:]
  /// First offsets of open transactions, ascending.
  private var ongoing: [(firstOffset: Offset, producerID: Int64)] = []
  /// Ended transactions whose markers are not below the high watermark yet, by first offset.
  private var unreplicated: [(firstOffset: Offset, lastOffset: Offset)] = []

  var count: Int { producers.count }
  var isEmpty: Bool { producers.isEmpty && ongoing.isEmpty && unreplicated.isEmpty }

  func state(of producerID: Int64) -> ProducerState {
    producers[producerID] ?? ProducerState(producerID: producerID)
  }

  func duplicate(of header: BatchHeader) -> ProducerBatch? {
    producers[header.producerID]?.duplicate(of: header)
  }

  /// Takes over what a batch changed, once it is written.
  mutating func apply(_ update: ProducerUpdate) {
    let updated = update.updated
    let before = producers[updated.producerID]?.transactionStart
    producers[updated.producerID] = updated
    if let start = updated.transactionStart, before != start {
      insertOngoing(start, updated.producerID)
    }
  }

  private mutating func insertOngoing(_ offset: Offset, _ producerID: Int64) {
    let place = ongoing.firstIndex { $0.firstOffset > offset } ?? ongoing.count
    ongoing.insert((offset, producerID), at: place)
  }

  /// The last stable offset right behind a transaction's marker, as the transaction index wants it:
  /// the beginning of the next transaction that is open still, or the offset after the marker.
  func lastStableOffset(after transaction: CompletedTransaction) -> Offset {
    ongoing.first { $0.producerID != transaction.producerID }?.firstOffset
      ?? transaction.lastOffset + 1
  }

  mutating func complete(_ transaction: CompletedTransaction) {
    ongoing.removeAll { $0.firstOffset == transaction.firstOffset }
    let place =
      unreplicated.firstIndex { $0.firstOffset > transaction.firstOffset } ?? unreplicated.count
    unreplicated.insert((transaction.firstOffset, transaction.lastOffset), at: place)
  }

  /// Where the first transaction begins that is open or whose end is not replicated yet.
  var firstUnstableOffset: Offset? {
    switch (unreplicated.first?.firstOffset, ongoing.first?.firstOffset) {
    case (let a?, let b?): min(a, b)
    case (let a, let b): a ?? b
    }
  }

  /// Ended transactions are stable once their markers are below the high watermark.
  mutating func highWatermarkMoved(to offset: Offset) {
    guard !unreplicated.isEmpty else { return }
    unreplicated.removeAll { $0.lastOffset < offset }
  }

  /// Whether a transaction has been open for longer than `limitMs` since its last batch.
  func hasTransaction(olderThan limitMs: Int64, now: WallTime) -> Bool {
    ongoing.contains { entry in
      guard let producer = producers[entry.producerID] else { return false }
      return now.age(of: producer.lastTimestamp) > limitMs
    }
  }

  /// Forgets producers that were silent for `expirationMs` and have no open transaction.
  mutating func expire(now: WallTime, after expirationMs: Int64) {
    for (id, producer) in producers
    where producer.transactionStart == nil
      && now.age(of: producer.lastTimestamp) >= expirationMs
    {
      producers[id] = nil
    }
  }

  /// Takes a producer over from a snapshot file.
  mutating func load(_ producer: ProducerState) {
    producers[producer.producerID] = producer
    if let start = producer.transactionStart { insertOngoing(start, producer.producerID) }
  }

  /// Forgets everything, as before a rebuild that begins at `offset`.
  mutating func reset(to offset: Offset) {
    producers.removeAll()
    ongoing.removeAll()
    unreplicated.removeAll()
    mapEndOffset = offset
    snapshotOffset = -1
  }

  /// Forgets transactions that ended before the log's new start. What an open one wrote may be
  /// gone; the producer remains known.
  mutating func logStartMoved(to offset: Offset) {
    unreplicated.removeAll { $0.lastOffset < offset }
    if mapEndOffset < offset { mapEndOffset = offset }
    if snapshotOffset >= 0, snapshotOffset < offset { snapshotOffset = -1 }
  }

  var states: some Sequence<ProducerState> { producers.values }

  /// By producer id.
  var active: [ActiveProducer] {
    producers.values.map {
      ActiveProducer(
        producerID: $0.producerID, producerEpoch: $0.epoch, lastSequence: $0.lastSequence,
        lastTimestamp: $0.lastTimestamp, coordinatorEpoch: $0.coordinatorEpoch,
        currentTransactionStartOffset: $0.transactionStart ?? -1)
    }.sorted { $0.producerID < $1.producerID }
  }
}
