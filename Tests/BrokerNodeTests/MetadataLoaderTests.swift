import KafkaRecords
import Metadata
import Synchronization
import Testing
import Values

@testable import BrokerNode

/// How the log becomes images: when, in which steps, and what of transactions.
@Suite struct MetadataLoaderTests {
  /// Keeps steps until the test lets them end.
  final class Steps: Sendable {
    let all = Mutex<[(step: MetadataLoader.Step, done: @Sendable () -> Void)]>([])
    func finishLast() { all.withLock { $0.last }?.done() }
    var count: Int { all.withLock { $0.count } }
    func step(_ index: Int) -> MetadataLoader.Step { all.withLock { $0[index].step } }
  }

  let steps = Steps()

  func loader() -> MetadataLoader {
    MetadataLoader(for: BrokerID(1)) { [steps] step, done in
      steps.all.withLock { $0.append((step, done)) }
    }
  }

  func feature(_ level: Int16) -> MetadataRecord {
    .featureLevel(
      FeatureLevelRecord {
        $0.name = "metadata.version"
        $0.featureLevel = level
      })
  }

  func broker(_ id: Int32) -> MetadataRecord {
    .registerBroker(RegisterBrokerRecord { $0.brokerID = id })
  }

  @Test func nothingIsPublishedBeforeItIsWanted() {
    let loader = loader()
    loader.apply([feature(20)], lastOffset: 3)
    loader.apply([feature(21)], lastOffset: 4)
    #expect(steps.count == 0 && loader.offset == 4)
    loader.enable()
    #expect(steps.count == 1)
    #expect(steps.step(0).isFirst && steps.step(0).offset == 4)
    #expect(steps.step(0).image.features == ["metadata.version": 21])
  }

  @Test func whatComesMeanwhileIsPutTogether() {
    let loader = loader()
    loader.apply([feature(21)], lastOffset: 0)
    loader.enable()
    loader.apply([broker(1)], lastOffset: 1)
    loader.apply([broker(2)], lastOffset: 2)
    #expect(steps.count == 1)
    steps.finishLast()
    #expect(steps.count == 2)
    #expect(steps.step(1).image.brokers.count == 2 && steps.step(1).plan.brokersChanged)
    #expect(!steps.step(1).isFirst)
    steps.finishLast()
    #expect(steps.count == 2)
  }

  @Test func transactionsShowWholeOrNotAtAll() {
    let loader = loader()
    loader.apply([feature(21)], lastOffset: 0)
    loader.enable()
    steps.finishLast()
    loader.apply([.beginTransaction(BeginTransactionRecord()), broker(1)], lastOffset: 2)
    #expect(steps.count == 1 && loader.image.brokers.count == 0)
    loader.apply([broker(2), .endTransaction(EndTransactionRecord())], lastOffset: 4)
    #expect(steps.count == 2 && steps.step(1).image.brokers.count == 2)
    steps.finishLast()
    loader.apply(
      [
        .beginTransaction(BeginTransactionRecord()), broker(3),
        .abortTransaction(AbortTransactionRecord()),
      ], lastOffset: 7)
    #expect(loader.image.brokers.count == 2)
  }

  @Test func aSnapshotReplacesAll() {
    let loader = loader()
    loader.apply([feature(20), broker(1), broker(2)], lastOffset: 2)
    loader.enable()
    steps.finishLast()
    var image = MetadataImage()
    image.apply(feature(21))
    image.apply(broker(1))
    loader.load(image, lastOffset: 10)
    #expect(steps.step(1).image == image && steps.step(1).plan.brokersChanged)
    // The log repeats what the snapshot has.
    steps.finishLast()
    loader.apply([broker(9)], lastOffset: 9)
    #expect(steps.count == 2 && loader.image == image)
    loader.apply([broker(11)], lastOffset: 11)
    #expect(steps.count == 3)
  }
}
