import KafkaRecords
import Metadata
import Synchronization
import Testing
import Values

@testable import BrokerNode
@testable import MetadataLog

/// How the log becomes images: when, in which steps, and what of transactions.
@Suite struct MetadataFollowerTests {
  /// Keeps steps until the test lets them end.
  final class Steps: Sendable {
    let all = Mutex<[(step: MetadataFollower.Step, done: @Sendable () -> Void)]>([])
    func finishLast() { all.withLock { $0.last }?.done() }
    var count: Int { all.withLock { $0.count } }
    func step(_ index: Int) -> MetadataFollower.Step { all.withLock { $0[index].step } }
  }

  let steps = Steps()

  func follower() -> MetadataFollower {
    MetadataFollower(for: BrokerID(1)) { [steps] step, done in
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
    let follower = follower()
    follower.apply([feature(20)], 3)
    follower.apply([feature(21)], 4)
    #expect(steps.count == 0 && follower.offset == 4)
    follower.enable()
    #expect(steps.count == 1)
    #expect(steps.step(0).isFirst && steps.step(0).offset == 4)
    #expect(steps.step(0).image.features == ["metadata.version": 21])
  }

  @Test func whatComesMeanwhileIsPutTogether() {
    let follower = follower()
    follower.apply([feature(21)], 0)
    follower.enable()
    follower.apply([broker(1)], 1)
    follower.apply([broker(2)], 2)
    #expect(steps.count == 1)
    steps.finishLast()
    #expect(steps.count == 2)
    #expect(steps.step(1).image.brokers.count == 2 && steps.step(1).plan.brokersChanged)
    #expect(!steps.step(1).isFirst)
    steps.finishLast()
    #expect(steps.count == 2)
  }

  @Test func transactionsShowWholeOrNotAtAll() {
    let follower = follower()
    follower.apply([feature(21)], 0)
    follower.enable()
    steps.finishLast()
    follower.apply([.beginTransaction(BeginTransactionRecord()), broker(1)], 2)
    #expect(steps.count == 1 && follower.image.brokers.count == 0)
    follower.apply([broker(2), .endTransaction(EndTransactionRecord())], 4)
    #expect(steps.count == 2 && steps.step(1).image.brokers.count == 2)
    steps.finishLast()
    follower.apply([
        .beginTransaction(BeginTransactionRecord()), broker(3),
        .abortTransaction(AbortTransactionRecord()),
      ], 7)
    #expect(follower.image.brokers.count == 2)
  }

  @Test func aSnapshotReplacesAll() {
    let follower = follower()
    follower.apply([feature(20), broker(1), broker(2)], 2)
    follower.enable()
    steps.finishLast()
    var image = MetadataImage()
    image.apply(feature(21))
    image.apply(broker(1))
    follower.load(
      LoadedSnapshot(lastOffset: 10, epoch: 1, timestamp: 5, image: image, sizeInBytes: 1))
    #expect(steps.step(1).image == image && steps.step(1).plan.brokersChanged)
    // The log repeats what the snapshot has.
    steps.finishLast()
    follower.apply([broker(9)], 9)
    #expect(steps.count == 2 && follower.image == image)
    follower.apply([broker(11)], 11)
    #expect(steps.count == 3)
  }
}

extension MetadataFollower {
  /// One batch.
  fileprivate func apply(_ records: [MetadataRecord], _ lastOffset: Int64) {
    apply([
      CommittedBatch(
        baseOffset: lastOffset + 1 - Int64(records.count), lastOffset: lastOffset, epoch: 1,
        timestamp: 0, records: records, sizeInBytes: 100)
    ])
  }
}
