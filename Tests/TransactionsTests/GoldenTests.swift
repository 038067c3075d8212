import Bytes
import Foundation
import KafkaProtocol
import Records
import TestKit
import Testing
import Transactions
import Values

/// What Kafka 3.9 wrote to `__transaction_state` is understood, and written again byte for byte.
@Suite struct GoldenTests {
  /// Each record of a log directory's `__transaction_state`, with its bytes.
  func records(
    of fixture: String, _ body: (_ key: [UInt8], _ value: [UInt8]?) throws -> Void
  ) throws {
    let segments = try Fixtures.segments(of: "__transaction_state", in: fixture)
    #expect(!segments.isEmpty)
    for data in segments {
      try data.withUnsafeBytes { bytes in
        var batches = BatchIterator(bytes)
        var scratch = ByteWriter()
        while let batch = try batches.next() {
          var iterator = try batch.records(scratch: &scratch)
          while let record = try iterator.next() {
            guard let key = record.key else { continue }
            try body(Array(key), record.value.map(Array.init))
          }
        }
      }
    }
  }

  @Test(arguments: [
    "kafka-3.9.0-zookeeper-mode-logdir.tar.gz", "kafka-3.9.0-kraft-logdir.tar.gz",
  ])
  func recordsAreWrittenAsKafkaWritesThem(fixture: String) throws {
    var loader = TransactionLoader()
    var states: [TransactionState] = []
    try records(of: fixture) { key, value in
      loader.load(key: key.span.bytes, value: value?.span.bytes)
      let record = try TransactionRecord.decode(key: key.span.bytes, value: value?.span.bytes)
      let known = try #require(record)
      let written = known.encoded()
      #expect(written.key == key)
      #expect(written.value == value)
      if let state = known.value?.state { states.append(state) }
    }
    // The fixture has committed and aborted transactions, all ended.
    #expect(states.contains(.prepareCommit) && states.contains(.completeAbort))
    #expect(loader.skippedCount == 0 && loader.recordCount == states.count)
    var effects: [TransactionEffect] = []
    let now = WallTime(milliseconds: 1_800_000_000_000)
    let shard = loader.finish(config: TransactionConfig(), at: now, into: &effects)
    #expect(effects.isEmpty)
    #expect(shard.list(TransactionFilter(), at: now).allSatisfy { $0.state.hasPrefix("Complete") })
  }

  @Test func everyTransitionHasItsPredecessors() {
    for state in TransactionState.allCases {
      #expect(TransactionState(name: state.name) == state)
      #expect(!state.previous.isEmpty && !state.previous.contains(.dead))
    }
  }

  @Test func damagedRecordsAreSkipped() {
    var loader = TransactionLoader()
    let key: [UInt8] = [0, 0, 0, 1, 0x78]
    for value in [[0, 9], [0, 0, 1], [UInt8](repeating: 0xff, count: 40)] as [[UInt8]] {
      loader.load(key: key.span.bytes, value: value.span.bytes)
    }
    for key in [[0, 9], []] as [[UInt8]] { loader.load(key: key.span.bytes, value: nil) }
    #expect(loader.skippedCount == 5)
    #expect(loader.recordCount == 0)
  }
}
