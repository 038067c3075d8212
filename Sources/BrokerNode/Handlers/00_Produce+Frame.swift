/// A Produce request as it lies in its frame, and the answer to it: flat rows that are filled again
/// with every request, instead of messages that would be made for each.
import Bytes
import KafkaMessages
import KafkaProtocol
import Values

/// The rows of one request. Equal to what `ProduceRequest` reads and `ProduceResponse` writes; a
/// test compares them in all versions.
struct ProduceFrame {
  struct Topic {
    var name: String
    var partitionCount: Int
  }

  /// One partition: what was sent, and what is answered.
  struct Row {
    var index: Int32
    /// Where the records lie, in positions of the frame; nil: none were sent.
    var records: Range<Int>?
    var errorCode: Int16 = 0
    var baseOffset: Int64 = -1
    var logAppendTimeMs: Int64 = -1
    var logStartOffset: Int64 = -1
  }

  private(set) var transactionalID: String?
  private(set) var acks: Int16 = 0
  private(set) var timeoutMs: Int32 = 0
  /// For how long the client will not be heard: part of the answer.
  var throttleTimeMs: Int32 = 0
  private(set) var topics: [Topic] = []
  /// Of all topics, one behind the other.
  var rows: [Row] = []

  /// The topic of each row.
  var topicOfRows: [String] {
    topics.flatMap { Array(repeating: $0.name, count: $0.partitionCount) }
  }

  /// Forgets the request. A request with very many partitions leaves no memory behind.
  mutating func removeAll() {
    let keeps = rows.capacity <= 4096 && topics.capacity <= 4096
    topics.removeAll(keepingCapacity: keeps)
    rows.removeAll(keepingCapacity: keeps)
  }

  /// Reads versions 0–11, to the end of the request.
  mutating func read(
    _ reader: inout ByteReader, version: Int16, names: inout NameCache
  ) throws(ByteError) {
    let flexible = version >= 9
    // Beside what the batches say, it tells only who may be refused.
    transactionalID = nil
    throttleTimeMs = 0
    if version >= 3, let id = try reader.readNullableTextRange(compact: flexible) {
      transactionalID = try names.name(at: id, of: reader)
    }
    acks = try reader.readInt16()
    timeoutMs = try reader.readInt32()
    for _ in 0..<(try reader.readCount(compact: flexible, atLeast: 3)) {
      guard let name = try reader.readNullableTextRange(compact: flexible) else {
        throw .unexpectedNull
      }
      let topic = try names.name(at: name, of: reader)
      let count = try reader.readCount(compact: flexible, atLeast: 6)
      topics.append(Topic(name: topic, partitionCount: count))
      for _ in 0..<count {
        let index = try reader.readInt32()
        let length = try reader.readByteLength(compact: flexible)
        var row = Row(index: index)
        if let length { row.records = try reader.readRange(length) }
        rows.append(row)
        if flexible { try reader.skipTaggedFields() }
      }
      if flexible { try reader.skipTaggedFields() }
    }
    if flexible { try reader.skipTaggedFields() }
  }

  /// Writes the answer's body. What only failures tell (messages, records at fault, the new leader)
  /// is not in it.
  func write(to output: inout ByteWriter, version: Int16) {
    let flexible = version >= 9
    output.writeCount(topics.count, compact: flexible)
    var next = 0
    for topic in topics {
      output.writeString(topic.name, compact: flexible)
      output.writeCount(topic.partitionCount, compact: flexible)
      for place in next..<(next + topic.partitionCount) {
        Self.write(rows[place], to: &output, version: version)
      }
      next += topic.partitionCount
      if flexible { output.writeUInt8(0) }
    }
    if version >= 1 { output.writeInt32(throttleTimeMs) }
    if flexible { output.writeUInt8(0) }
  }

  private static func write(_ row: Row, to output: inout ByteWriter, version: Int16) {
    let flexible = version >= 9
    output.writeInt32(row.index)
    output.writeInt16(row.errorCode)
    output.writeInt64(row.baseOffset)
    if version >= 2 { output.writeInt64(row.logAppendTimeMs) }
    if version >= 5 { output.writeInt64(row.logStartOffset) }
    if version >= 8 {
      output.writeCount(0, compact: flexible)  // records at fault
      output.writeNullableString(nil, compact: flexible)
    }
    if flexible { output.writeUInt8(0) }
  }

  /// The answer as a message, to add what failures tell.
  func message() -> ProduceResponse {
    var response = ProduceResponse()
    response.throttleTimeMs = throttleTimeMs
    var next = 0
    for topic in topics {
      var answer = ProduceResponse.TopicProduceResponse()
      answer.name = topic.name
      answer.partitionResponses = rows[next..<(next + topic.partitionCount)].map { row in
        ProduceResponse.PartitionProduceResponse {
          $0.index = row.index
          $0.errorCode = row.errorCode
          $0.baseOffset = row.baseOffset
          $0.logAppendTimeMs = row.logAppendTimeMs
          $0.logStartOffset = row.logStartOffset
        }
      }
      next += topic.partitionCount
      response.responses.append(answer)
    }
    return response
  }
}
