import Bytes
import KafkaMessages
import KafkaProtocol
import Testing
import Values

@testable import BrokerNode

/// The rows of a Produce request against the generated messages, which say what the protocol is.
@Suite struct ProduceFrameTests {
  private func request(seed: UInt64) -> ProduceRequest {
    var random = SplitMix(seed: seed)
    func below(_ limit: UInt64) -> Int { Int(random.next() % limit) }
    return ProduceRequest {
      $0.transactionalID = below(2) == 0 ? nil : "transactional-id-of-many-bytes"
      $0.acks = Int16(below(3)) - 1
      $0.timeoutMs = Int32(below(100_000))
      $0.topicData = (0..<below(4)).map { topic in
        .init {
          $0.name = String(repeating: "n", count: 1 + below(200)) + "\(topic)"
          $0.partitionData = (0..<below(4)).map { _ in
            .init {
              $0.index = Int32(below(1000))
              let bytes = [UInt8](repeating: 7, count: below(300))
              $0.records = below(4) == 0 ? .null : .owned(bytes)
            }
          }
        }
      }
    }
  }

  private func encoded(_ request: ProduceRequest, version: Int16) -> [UInt8] {
    var writer = ByteWriter()
    request.write(to: &writer, version: version)
    return writer.array()
  }

  @Test(arguments: Int16(0)...11)
  func `rows are what the generated reader reads, and are answered as it writes`(
    version: Int16
  ) throws {
    var frame = ProduceFrame()
    var names = NameCache()
    for seed in 0..<50 as Range<UInt64> {
      let bytes = encoded(request(seed: seed), version: version)
      var known = ByteReader(bytes.span.bytes)
      let wanted = try ProduceRequest(from: &known, version: version)
      var reader = ByteReader(bytes.span.bytes)
      frame.removeAll()
      try frame.read(&reader, version: version, names: &names)
      let isAtEnd = reader.isAtEnd
      #expect(isAtEnd)
      #expect(frame.acks == wanted.acks && frame.timeoutMs == wanted.timeoutMs)
      #expect(frame.topics.map(\.name) == wanted.topicData.map(\.name))
      #expect(frame.topics.map(\.partitionCount) == wanted.topicData.map(\.partitionData.count))
      let partitions = wanted.topicData.flatMap(\.partitionData)
      #expect(frame.rows.map(\.index) == partitions.map(\.index))
      for (row, partition) in zip(frame.rows, partitions) {
        if case .inFrame(let range) = partition.records {
          #expect(row.records == range)
        } else {
          #expect(row.records == nil)
        }
      }
      for place in frame.rows.indices {
        frame.rows[place].errorCode = Int16(place)
        frame.rows[place].baseOffset = Int64(place) << 33
        frame.rows[place].logAppendTimeMs = 5
        frame.rows[place].logStartOffset = 6
      }
      var fast = ByteWriter()
      frame.write(to: &fast, version: version)
      var generated = ByteWriter()
      frame.message().write(to: &generated, version: version)
      #expect(fast.array() == generated.array())
    }
  }

  @Test func `a request that is cut off anywhere is refused`() throws {
    var names = NameCache()
    for version in [0, 3, 8, 9, 11] as [Int16] {
      let bytes = encoded(request(seed: 3), version: version)
      for count in 0..<bytes.count {
        let part = Array(bytes[..<count])
        var reader = ByteReader(part.span.bytes)
        var frame = ProduceFrame()
        do {
          try frame.read(&reader, version: version, names: &names)
          Issue.record("version \(version) read from \(count) of \(bytes.count) bytes")
        } catch {}
      }
    }
  }

  @Test func `names that want the same place push each other out and are right still`() throws {
    var names = NameCache()
    let texts = (0..<2000).map { "a-name-of-more-than-fifteen-bytes-\($0)" }
    for text in texts + texts.reversed() {
      let bytes = Array(text.utf8)
      let reader = ByteReader(bytes.span.bytes)
      let found = try names.name(at: 0..<bytes.count, of: reader)
      #expect(found == text)
    }
  }
}
