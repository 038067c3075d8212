import Bytes
import Records
import Testing
import Values

@testable import LogStorage

/// What a log takes, refuses, and gives back.
@Suite struct AppendTests {
  @Test func appendsAreReadBack() throws {
    let folder = try Folder()
    let log = try folder.open()
    let first = try log.append(batch([("a", "1"), ("b", "2")]))
    let second = try log.append(batch([("c", nil)]))
    #expect(first.baseOffset == 0 && first.lastOffset == 1 && second.baseOffset == 2)
    #expect(log.logEndOffset == 3 && log.highWatermark == 0)
    #expect(try log.rows(upTo: .highWatermark) == [])
    log.updateHighWatermark(2)
    #expect(try log.rows(upTo: .highWatermark).map(\.key) == ["a", "b"])
    #expect(try log.rows().map(\.value) == ["1", "2", nil])
    #expect(try log.rows(from: 1).map(\.offset) == [1, 2])
  }

  @Test func readsOutsideOfTheLogAreRefused() throws {
    let folder = try Folder()
    let log = try folder.open()
    try log.append(batch([("a", "1")]))
    #expect(throws: LogError.offsetOutOfRange(requested: 2, start: 0, end: 1)) {
      try log.read(from: 2, maxBytes: 100, upTo: .logEndOffset)
    }
    #expect(try log.read(from: 1, maxBytes: 100, upTo: .logEndOffset).region == nil)
  }

  @Test func oneMessageIsGivenEvenIfItIsTooLarge() throws {
    let folder = try Folder()
    let log = try folder.open()
    try log.append(batch([("a", String(repeating: "x", count: 1000))]))
    let whole = try log.read(from: 0, maxBytes: 10, upTo: .logEndOffset)
    #expect(whole.count > 1000 && !whole.isFirstBatchCutOff)
    let cut = try log.read(from: 0, maxBytes: 10, upTo: .logEndOffset, minOneMessage: false)
    #expect(cut.count == 10 && cut.isFirstBatchCutOff)
  }

  @Test func segmentsRollBySizeAndTime() throws {
    let folder = try Folder()
    let log = try folder.open {
      $0.segmentBytes = 300; $0.segmentMs = 1000
    }
    for index in 0..<10 { try log.append(batch([("k", "value \(index)")])) }
    #expect(log.segmentCount == 4)
    let late = startTime.milliseconds + 1001
    let result = try log.append(batch([("late", "1")], timestamp: late))
    #expect(log.segmentCount == 5 && result.wantsFlush)
    #expect(try log.rows().count == 11)
    let names = try folder.snapshot().keys.filter { $0.hasSuffix(".snapshot") }.sorted()
    #expect(names.count == 4)
  }

  @Test func flushMessagesFlushesBeforeTheAnswer() throws {
    let folder = try Folder()
    let log = try folder.open { $0.flushMessages = 3 }
    try log.append(batch([("a", "1"), ("b", "2")]))
    #expect(log.recoveryPoint == 0 && !log.isFlushDue(now: startTime))
    try log.append(batch([("c", "3")]))
    #expect(log.recoveryPoint == 3)
  }

  @Test(arguments: [Int64.min, -2, 0, .max])
  func hostileTimestampsDoNoHarm(_ timestamp: Int64) throws {
    let folder = try Folder()
    let log = try folder.open {
      $0.segmentMs = 1; $0.fileDeleteDelayMs = .max
    }
    for sequence in 0..<3 {
      try log.append(
        batch([("k", "v")], timestamp: timestamp) {
          $0.producerID = 1
          $0.producerEpoch = 0
          $0.baseSequence = Int32(sequence)
        })
      try log.append(batch([("k", "v")]))
    }
    log.updateHighWatermark(6)
    #expect(try log.rows().count == 6)
    _ = try log.offset(forTimestamp: timestamp)
    _ = try log.offsetOfMaxTimestamp()
    _ = log.hasLateTransaction(now: startTime, limitMs: 0)
    log.expireProducers(now: startTime)
    _ = try log.applyRetention(now: startTime)
    try log.close(now: startTime)
    #expect(try folder.open(wasClean: false).logEndOffset == 6)
  }

  // MARK: Producers

  func idempotent(
    _ sequence: Int32, count: Int = 2, producer: Int64 = 7, epoch: Int16 = 0,
    transactional: Bool = false
  ) throws -> [UInt8] {
    try batch((0..<count).map { ("k\(sequence)", "\($0)") }) {
      $0.producerID = producer
      $0.producerEpoch = epoch
      $0.baseSequence = sequence
      $0.isTransactional = transactional
    }
  }

  @Test func duplicatesGetTheirFirstOffsets() throws {
    let folder = try Folder()
    let log = try folder.open()
    for index in 0..<6 { try log.append(idempotent(Int32(index * 2))) }
    let again = try log.append(idempotent(2))
    #expect(again.isDuplicate && again.baseOffset == 2 && again.lastOffset == 3)
    #expect(log.logEndOffset == 12)
    // Only the last five batches are remembered.
    #expect(throws: LogError.outOfOrderSequence(producer: 7, expected: 12, found: 0)) {
      try log.append(idempotent(0))
    }
    #expect(throws: LogError.outOfOrderSequence(producer: 7, expected: 12, found: 14)) {
      try log.append(idempotent(14))
    }
  }

  @Test func epochsFenceOldProducers() throws {
    let folder = try Folder()
    let log = try folder.open()
    try log.append(idempotent(0, epoch: 3))
    #expect(throws: LogError.invalidProducerEpoch(producer: 7, current: 3, found: 2)) {
      try log.append(idempotent(2, epoch: 2))
    }
    #expect(throws: LogError.outOfOrderSequence(producer: 7, expected: 0, found: 2)) {
      try log.append(idempotent(2, epoch: 4))
    }
    try log.append(idempotent(0, epoch: 4))
    // A producer that is not known may begin anywhere.
    try log.append(idempotent(500, producer: 8))
  }

  @Test func producersSurviveARestart() throws {
    let folder = try Folder()
    do {
      let log = try folder.open()
      try log.append(idempotent(0))
      try log.append(idempotent(2))
      try log.close(now: startTime)
    }
    for wasClean in [true, false] {
      let log = try folder.open(wasClean: wasClean)
      #expect(try log.append(idempotent(2)).isDuplicate, "clean \(wasClean)")
      #expect(log.activeProducers.map(\.lastSequence) == [3])
      log.closeWithoutWriting()
    }
  }

  // MARK: Transactions

  func end(_ log: PartitionLog, producer: Int64, commit: Bool, coordinator: Int32 = 0) throws {
    let marker = EndTransactionMarker(isCommit: commit, coordinatorEpoch: coordinator)
    try log.append(
      marker.batch(
        producerID: producer, producerEpoch: 0, timestamp: startTime.milliseconds),
      origin: .coordinator)
  }

  @Test func transactionsHoldBackTheLastStableOffset() throws {
    let folder = try Folder()
    let log = try folder.open()
    try log.append(idempotent(0, producer: 1, transactional: true))  // 0, 1
    try log.append(idempotent(0, producer: 2, transactional: true))  // 2, 3
    log.updateHighWatermark(4)
    #expect(log.lastStableOffset == 0 && log.hasOngoingTransaction(ProducerID(1)))
    try end(log, producer: 1, commit: false)  // 4
    // Not replicated yet.
    #expect(log.lastStableOffset == 0)
    log.updateHighWatermark(5)
    #expect(log.lastStableOffset == 2)
    try end(log, producer: 2, commit: true)  // 5
    log.updateHighWatermark(6)
    #expect(log.lastStableOffset == 6)
    let slice = try log.read(from: 0, maxBytes: 10_000, upTo: .lastStableOffset)
    #expect(
      slice.abortedTransactions == [
        AbortedTransaction(producerID: 1, firstOffset: 0, lastOffset: 4, lastStableOffset: 2)
      ])
    #expect(try log.rows(upTo: .lastStableOffset).map(\.offset) == [2, 3])
    #expect(throws: LogError.coordinatorFenced(producer: 1, current: 0, found: -1)) {
      try end(log, producer: 1, commit: true, coordinator: -1)
    }
    log.closeWithoutWriting()
    // Recovery works the transaction index out again.
    let recovered = try folder.open(wasClean: false)
    recovered.updateHighWatermark(6)
    #expect(try recovered.rows(upTo: .lastStableOffset).map(\.offset) == [2, 3])
  }

  @Test func dataOutsideOfAnOpenTransactionIsRefused() throws {
    let folder = try Folder()
    let log = try folder.open()
    try log.append(idempotent(0, transactional: true))
    #expect(throws: LogError.invalidTransactionState(producer: 7)) {
      try log.append(idempotent(2))
    }
  }

  // MARK: Followers

  @Test func followersKeepTheLeadersOffsets() throws {
    let folder = try Folder()
    let leader = try folder.open("leader-0") { $0.segmentBytes = 300 }
    for index in 0..<8 { try leader.append(batch([("k", "\(index)")]), epoch: Int32(index / 4)) }
    let follower = try folder.open("follower-0") { $0.segmentBytes = 500 }
    while follower.logEndOffset < leader.logEndOffset {
      let slice = try leader.read(from: follower.logEndOffset, maxBytes: 200, upTo: .logEndOffset)
      try follower.appendFollower(PartitionLog.bytes(of: slice))
    }
    #expect(try follower.rows() == leader.rows())
    #expect(follower.leaderEpochs == leader.leaderEpochs)
    #expect(throws: LogError.unexpectedOffset(0, end: 8)) {
      try follower.appendFollower(
        PartitionLog.bytes(of: leader.read(from: 0, maxBytes: 100, upTo: .logEndOffset)))
    }
  }
}
