import Platform
import Records
import Synchronization
import Testing
import Values

@testable import LogStorage

/// One log, many threads: whoever reads sees whole batches in order, whatever goes on beside it.
@Suite struct ConcurrencyTests {
  @Test func readersSeeWholeBatchesInOrder() throws {
    let folder = try Folder()
    let log = try folder.open { config in
      config.segmentBytes = 4000
      config.indexIntervalBytes = 300
      config.isCompacted = true
      config.deletesOldSegments = false
      config.fileDeleteDelayMs = 0
    }
    let isDone = Atomic<Bool>(false)
    let faults = Mutex<[String]>([])
    let reads = Atomic<Int>(0)
    let note: @Sendable (String) -> Void = { text in faults.withLock { $0.append(text) } }

    func start(_ name: String, _ body: @escaping @Sendable () throws -> Void) throws -> Thread {
      try Thread(name: name) {
        do { try body() } catch { note("\(name): \(error)") }
      }
    }
    let readers = try (0..<2).map { number in
      try start("reader-\(number)") {
        var random = SplitMix(seed: UInt64(number))
        while !isDone.load(ordering: .relaxed) {
          let end = log.highWatermark
          let from = Offset.random(in: 0...end, using: &random)
          let slice = try log.read(from: from, maxBytes: 2000, upTo: .highWatermark)
          guard slice.region != nil else { continue }
          var last = from - 1
          try PartitionLog.bytes(of: slice).withUnsafeBytes { raw in
            var batches = BatchIterator(raw)
            while let batch = try batches.next() {
              try batch.validate()
              if batch.header.lastOffset <= last { note("offset \(batch.header.lastOffset)") }
              last = batch.header.lastOffset
            }
          }
          if last >= slice.highWatermark { note("read \(last) beyond \(slice.highWatermark)") }
          reads.add(1, ordering: .relaxed)
        }
      }
    }
    let keeper = try start("keeper") {
      var cleaned: Offset = 0
      while !isDone.load(ordering: .relaxed) {
        try log.flush(now: startTime)
        let dirt = log.dirtiness(cleanedUpTo: cleaned, now: startTime)
        guard dirt.dirtyBytes > 8000 else { continue }
        cleaned = try log.clean(dirt, limits: CleanerConfig(), now: startTime).cleanedUpTo
        try log.removeCondemnedFiles(now: startTime)
      }
    }
    for number in 0..<1500 {
      try log.append(batch((0..<3).map { ("key \((number + $0) % 40)", "value \(number)") }))
      log.updateHighWatermark(log.logEndOffset)
    }
    isDone.store(true, ordering: .relaxed)
    for thread in readers + [keeper] { thread.join() }
    #expect(faults.withLock { $0 } == [])
    #expect(reads.load(ordering: .relaxed) > 0 && log.logEndOffset == 4500)
    var last: [String: Row] = [:]
    for row in try log.rows() { last[row.key ?? ""] = row }
    #expect(last.count == 40 && last.values.allSatisfy { $0.offset >= 4500 - 126 })
  }
}
