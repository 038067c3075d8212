/// Turns what the metadata log commits into images, and has them published one after the other.
///
/// Records are applied as they come; publishing happens on the state-change thread. What comes
/// while one image is being published is put together into the next, so that a broker that is slow
/// for a while sees fewer, larger steps. Between the begin and the end of a transaction of records
/// nothing is shown, and an aborted one never happened (KIP-868).
import KafkaRecords
import Metadata
import MetadataLog
import Synchronization
import Values

final class MetadataFollower: Sendable {
  private struct State {
    /// From the last image that was handed out to what is known now.
    var delta = MetadataDelta(MetadataImage())
    var handedOut = MetadataImage()
    /// A snapshot has replaced the image since: what changed is not known record by record.
    var isReplaced = true
    /// Of the last record applied, with the epoch and the timestamp of its batch.
    var offset: Int64 = -1
    var epoch: Int32 = -1
    var timestamp: Int64 = -1
    /// Records of a transaction that has not ended.
    var transaction: [MetadataRecord]?
    var isPublishing = false
    var isEnabled = false
    var hasPublished = false
  }

  /// What one publication has to do.
  struct Step: Sendable {
    var image: MetadataImage
    var plan: MetadataPlan
    var offset: Int64
    var isFirst: Bool
  }

  private let broker: BrokerID
  private let state = Mutex(State())
  /// Runs the step on the state-change thread, then the closure.
  private let perform: @Sendable (Step, @escaping @Sendable () -> Void) -> Void

  init(
    for broker: BrokerID,
    perform: @escaping @Sendable (Step, @escaping @Sendable () -> Void) -> Void
  ) {
    self.broker = broker
    self.perform = perform
  }

  /// The offset of the last record applied; -1 for none.
  var offset: Int64 { state.withLock { $0.offset } }
  /// What is known now, published or not.
  var image: MetadataImage { state.withLock { $0.delta.image } }

  /// Takes committed batches, in the order of the log.
  func apply(_ batches: [CommittedBatch]) {
    state.withLock { state in
      for batch in batches where batch.lastOffset > state.offset {
        for record in batch.records { Self.apply(record, to: &state) }
        state.offset = batch.lastOffset
        state.epoch = batch.epoch
        state.timestamp = batch.timestamp
      }
    }
    publishNext()
  }

  private static func apply(_ record: MetadataRecord, to state: inout State) {
    switch record {
    case .beginTransaction: state.transaction = []
    case .abortTransaction: state.transaction = nil
    case .endTransaction:
      for held in state.transaction ?? [] { state.delta.apply(held) }
      state.transaction = nil
    default:
      if state.transaction == nil {
        state.delta.apply(record)
      } else {
        state.transaction?.append(record)
      }
    }
  }

  /// Takes a snapshot in place of everything before it.
  func load(_ snapshot: LoadedSnapshot) {
    state.withLock { state in
      state.delta = MetadataDelta(snapshot.image)
      state.isReplaced = true
      state.transaction = nil
      state.offset = snapshot.lastOffset
      state.epoch = snapshot.epoch
      state.timestamp = snapshot.timestamp
    }
    publishNext()
  }

  /// What a snapshot of everything applied has in it; nil in the middle of a transaction.
  func snapshot() -> SnapshotContent? {
    state.withLock { state in
      guard state.transaction == nil, state.offset >= 0 else { return nil }
      let image = state.delta.image
      return SnapshotContent(
        lastOffset: state.offset, epoch: state.epoch, timestamp: state.timestamp
      ) { try image.forEachVersionedRecord($0) }
    }
  }

  /// From now on images are published; the first shows everything there is.
  func enable() {
    state.withLock { $0.isEnabled = true }
    publishNext()
  }

  private func publishNext() {
    let step = state.withLock { state -> Step? in
      guard state.isEnabled, !state.isPublishing, state.offset >= 0, state.transaction == nil,
        state.isReplaced || !state.delta.isEmpty || !state.hasPublished
      else { return nil }
      let image = state.delta.image
      let plan =
        state.isReplaced
        ? MetadataPlan(from: state.handedOut, to: image, for: broker)
        : MetadataPlan(state.delta, for: broker)
      let step = Step(
        image: image, plan: plan, offset: state.offset, isFirst: !state.hasPublished)
      state.handedOut = image
      state.delta = MetadataDelta(image)
      state.isReplaced = false
      state.hasPublished = true
      state.isPublishing = true
      return step
    }
    guard let step else { return }
    perform(step) { [self] in
      state.withLock { $0.isPublishing = false }
      publishNext()
    }
  }
}
