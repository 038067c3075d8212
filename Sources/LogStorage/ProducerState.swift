import Records
import Values

/// What a log remembers of one batch of an idempotent producer, to know it when it comes again.
struct ProducerBatch: Equatable {
  var lastSequence: Int32
  var lastOffset: Offset
  var offsetDelta: Int32
  var timestamp: Int64

  var firstOffset: Offset { lastOffset - Offset(offsetDelta) }
  var firstSequence: Int32 {
    let first = Int64(lastSequence) - Int64(offsetDelta)
    return Int32(truncatingIfNeeded: first < 0 ? first + Int64(Int32.max) + 1 : first)
  }
}

/// The last batches of a producer, oldest first: five, kept in place, so that noting one allocates
/// nothing.
struct ProducerBatches {
  static let capacity = 5
  private var places = InlineArray<5, ProducerBatch>(
    repeating: ProducerBatch(lastSequence: -1, lastOffset: -1, offsetDelta: 0, timestamp: -1))
  private(set) var count = 0

  var first: ProducerBatch? { count == 0 ? nil : places[0] }
  var last: ProducerBatch? { count == 0 ? nil : places[count - 1] }

  mutating func append(_ batch: ProducerBatch) {
    if count == Self.capacity {
      for index in 1..<Self.capacity { places[index - 1] = places[index] }
      count -= 1
    }
    places[count] = batch
    count += 1
  }

  mutating func removeAll() { count = 0 }

  func first(where matches: (ProducerBatch) -> Bool) -> ProducerBatch? {
    for index in 0..<count where matches(places[index]) { return places[index] }
    return nil
  }
}

/// What a log knows of one producer (KIP-98): its epoch, its last five batches, and where its open
/// transaction began.
struct ProducerState {
  static let noEpoch: Int16 = -1

  let producerID: Int64
  var epoch = noEpoch
  var coordinatorEpoch: Int32 = -1
  var lastTimestamp = BatchHeader.noTimestamp
  /// The first offset of the open transaction, if there is one.
  var transactionStart: Offset?
  /// Oldest first; only of the current epoch.
  var batches = ProducerBatches()

  init(producerID: Int64) { self.producerID = producerID }

  var lastSequence: Int32 { batches.last?.lastSequence ?? BatchHeader.noSequence }
  var lastOffset: Offset { batches.last?.lastOffset ?? -1 }

  mutating func setEpoch(_ new: Int16) {
    guard new != epoch else { return }
    epoch = new
    batches.removeAll()
  }

  mutating func remember(_ batch: ProducerBatch, epoch: Int16) {
    setEpoch(epoch)
    batches.append(batch)
    lastTimestamp = batch.timestamp
  }

  /// The remembered batch that `header` repeats.
  func duplicate(of header: BatchHeader) -> ProducerBatch? {
    guard header.producerEpoch == epoch else { return nil }
    return batches.first {
      $0.lastSequence == header.lastSequence && $0.firstSequence == header.baseSequence
    }
  }
}

/// What became of a transaction: the marker at `lastOffset` ended it.
struct CompletedTransaction: Equatable {
  var producerID: Int64
  var firstOffset: Offset
  var lastOffset: Offset
  var isAborted: Bool
}

/// How one batch changes what is known of its producer, worked out before it is written.
struct ProducerUpdate {
  let current: ProducerState
  private(set) var updated: ProducerState
  private(set) var completed: CompletedTransaction?
  let origin: AppendOrigin

  init(_ current: ProducerState, origin: AppendOrigin) {
    self.current = current
    updated = current
    self.origin = origin
  }

  /// Checks and takes in a batch of data.
  mutating func take(_ header: BatchHeader) throws(LogError) {
    try checkEpoch(header.producerEpoch)
    if origin == .client { try checkSequence(header) }
    let isTransactional = header.isTransactional
    if updated.transactionStart != nil, !isTransactional {
      // Data outside of the transaction that its producer has open.
      guard origin == .replication else {
        throw .invalidTransactionState(producer: header.producerID)
      }
    }
    updated.remember(
      ProducerBatch(
        lastSequence: header.lastSequence, lastOffset: header.lastOffset,
        offsetDelta: header.lastOffsetDelta, timestamp: header.maxTimestamp),
      epoch: header.producerEpoch)
    if updated.transactionStart == nil, isTransactional {
      updated.transactionStart = header.baseOffset
    }
  }

  /// Checks and takes in the marker that ends a transaction.
  mutating func take(
    _ marker: EndTransactionMarker, in header: BatchHeader
  ) throws(LogError) {
    try checkEpoch(header.producerEpoch)
    if origin != .replication, marker.coordinatorEpoch < updated.coordinatorEpoch {
      throw .coordinatorFenced(
        producer: header.producerID, current: updated.coordinatorEpoch,
        found: marker.coordinatorEpoch)
    }
    if let start = updated.transactionStart {
      completed = CompletedTransaction(
        producerID: header.producerID, firstOffset: start, lastOffset: header.lastOffset,
        isAborted: !marker.isCommit)
    }
    updated.setEpoch(header.producerEpoch)
    updated.transactionStart = nil
    updated.coordinatorEpoch = marker.coordinatorEpoch
    updated.lastTimestamp = header.maxTimestamp
  }

  private func checkEpoch(_ epoch: Int16) throws(LogError) {
    guard epoch < updated.epoch, origin != .replication else { return }
    throw .invalidProducerEpoch(
      producer: updated.producerID, current: updated.epoch, found: epoch)
  }

  private func checkSequence(_ header: BatchHeader) throws(LogError) {
    let first = header.baseSequence
    if header.producerEpoch != updated.epoch {
      // A new epoch begins at 0, unless nothing is known of the producer.
      guard first == 0 || updated.epoch == ProducerState.noEpoch else {
        throw .outOfOrderSequence(producer: header.producerID, expected: 0, found: first)
      }
      return
    }
    let last = updated.lastSequence
    let expected = last < 0 ? 0 : BatchHeader.sequence(last, plus: 1)
    guard current.epoch == ProducerState.noEpoch || first == expected else {
      throw .outOfOrderSequence(producer: header.producerID, expected: expected, found: first)
    }
  }
}

/// What DescribeProducers answers about one producer.
public struct ActiveProducer: Equatable, Sendable {
  public var producerID: Int64
  public var producerEpoch: Int16
  public var lastSequence: Int32
  public var lastTimestamp: Int64
  public var coordinatorEpoch: Int32
  /// -1: no open transaction.
  public var currentTransactionStartOffset: Offset
}
