import Bytes
import CPlatform
import Compression
import Testing
import Values

@testable import Records

/// A record with its own copies, for comparisons.
struct PlainRecord: Equatable {
  var offset: Int64
  var timestamp: Int64
  var key: [UInt8]?
  var value: [UInt8]?
  var headers: [String] = []

  init(offset: Int64, timestamp: Int64, key: String?, value: String?, headers: [String] = []) {
    self.offset = offset
    self.timestamp = timestamp
    self.key = key.map { Array($0.utf8) }
    self.value = value.map { Array($0.utf8) }
    self.headers = headers
  }

  init(_ view: RecordView) throws {
    offset = view.offset
    timestamp = view.timestamp
    key = view.key.map { Array($0) }
    value = view.value.map { Array($0) }
    var iterator = view.headers
    while let header = try iterator.next() {
      let name = String(decoding: header.name, as: UTF8.self)
      headers.append(
        "\(name)=\(header.value.map { String(decoding: $0, as: UTF8.self) } ?? "null")")
    }
  }
}

func readAll(_ bytes: [UInt8]) throws -> [PlainRecord] {
  try bytes.withUnsafeBytes { raw in
    var batches = BatchIterator(raw)
    var scratch = ByteWriter()
    var found: [PlainRecord] = []
    while let batch = try batches.next() {
      try batch.validate()
      var records = try batch.records(scratch: &scratch)
      while let record = try records.next() { found.append(try PlainRecord(record)) }
    }
    #expect(batches.remaining == 0)
    return found
  }
}

func build(
  _ records: [PlainRecord], _ edit: (inout BatchOptions) -> Void = { _ in }
) throws -> [UInt8] {
  var options = BatchOptions()
  options.baseOffset = records.first?.offset ?? 0
  edit(&options)
  var builder = BatchBuilder(options)
  for record in records {
    let headers = record.headers.map { text in
      let parts = text.split(separator: "=", maxSplits: 1)
      return (name: String(parts[0]), value: parts[1] == "null" ? nil : Array(parts[1].utf8))
    }
    builder.append(
      offset: record.offset, timestamp: record.timestamp, key: record.key, value: record.value,
      headers: headers)
  }
  var output = ByteWriter()
  try builder.finish(into: &output)
  return output.array()
}

func headerOf(_ bytes: [UInt8]) throws -> BatchHeader {
  try bytes.withUnsafeBytes { try BatchHeader($0) }
}

func sample(_ count: Int, from offset: Int64 = 0, headers: Bool = true) -> [PlainRecord] {
  var records: [PlainRecord] = []
  for index in 0..<count {
    let time = 1_700_000_000_000 + Int64(index * 7 % 5)
    records.append(
      PlainRecord(
        offset: offset + Int64(index), timestamp: time,
        key: index % 3 == 0 ? nil : "key-\(index)", value: index % 7 == 6 ? nil : "value \(index)",
        headers: headers && index % 4 == 0 ? ["h1=x", "h2=null"] : []))
  }
  return records
}

@Suite struct BatchTests {
  @Test func checksumsAgreeAcrossLengths() {
    let bytes = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 7) }
    for count in [0, 1, 7, 8, 9, 255, 767, 768, 769, 4095, 12_287, 12_288, 12_289, 20_000] {
      #expect(jd_crc32c(0, bytes, count) == jd_crc32c_portable(0, bytes, count))
    }
    let digits = Array("123456789".utf8)
    #expect(jd_crc32c(0, digits, 9) == 0xe306_9283)
    #expect(jd_crc32(0, digits, 9) == 0xcbf4_3926)
    #expect(jd_crc32c(jd_crc32c(0, digits, 4), Array(digits[4...]), 5) == 0xe306_9283)
  }

  @Test(arguments: CompressionType.allCases)
  func batchesRoundTrip(_ codec: CompressionType) throws {
    let records = sample(50, from: 1000)
    let bytes = try build(records) { $0.compressor = Compressor(codec) }
    #expect(try readAll(bytes) == records)
  }

  @Test(arguments: [CompressionType.none, .gzip, .snappy, .lz4], [Int8(0), 1])
  func oldFormatsRoundTrip(_ codec: CompressionType, _ magic: Int8) throws {
    var records = sample(20, from: 77, headers: false)
    let bytes = try build(records) {
      $0.compressor = Compressor(codec); $0.magic = magic
    }
    if magic == 0 { for index in records.indices { records[index].timestamp = -1 } }
    #expect(try readAll(bytes) == records)
  }

  @Test func headersSayWhatWasAsked() throws {
    let bytes = try build(sample(3, from: 5)) {
      $0.producerID = 9; $0.producerEpoch = 2; $0.baseSequence = .max - 1
      $0.isTransactional = true; $0.partitionLeaderEpoch = 4
    }
    try bytes.withUnsafeBytes { raw in
      let header = try BatchHeader(raw)
      #expect(header.producerID == 9 && header.producerEpoch == 2 && header.isTransactional)
      #expect(header.lastOffset == 7 && header.nextOffset == 8 && header.recordCount == 3)
      #expect(header.lastSequence == 0)
      #expect(header.maxTimestamp == 1_700_000_000_004 && header.partitionLeaderEpoch == 4)
    }
  }

  @Test func markersRoundTrip() throws {
    let marker = EndTransactionMarker(isCommit: false, coordinatorEpoch: 12)
    let bytes = try marker.batch(producerID: 5, producerEpoch: 1, timestamp: 99)
    try bytes.withUnsafeBytes { raw in
      let batch = try RecordBatch(raw)
      try batch.validate()
      #expect(batch.header.isControl && batch.header.isTransactional)
      var scratch = ByteWriter()
      var records = try batch.records(scratch: &scratch)
      let record = try #require(try records.next())
      #expect(try EndTransactionMarker(record) == marker)
    }
  }

  @Test func aCutOffBatchEndsTheIteration() throws {
    let bytes = try build(sample(5)) + build(sample(5, from: 5)).dropLast(3)
    try bytes.withUnsafeBytes { raw in
      var batches = BatchIterator(raw)
      let first = try batches.next()
      let second = try batches.next()
      #expect(first != nil && second == nil)
      #expect(batches.remaining > 0)
    }
  }

  @Test(arguments: [Int8(0), 1, 2])
  func damageIsFoundAndNeverCrashes(_ magic: Int8) throws {
    var random = SplitMix(seed: 42)
    let codecs: [CompressionType] = [.none, .gzip, .snappy, .lz4]
    for round in 0..<400 {
      let codec = codecs[round % 4]
      var bytes = try build(sample(8, headers: magic == 2)) {
        $0.magic = magic
        $0.compressor = Compressor(codec)
      }
      for _ in 0..<2 {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(
          in: 1...255, using: &random)
      }
      bytes.withUnsafeMutableBytes { raw in
        // Both with the checksum in the way and without it.
        var batches = BatchIterator(UnsafeRawBufferPointer(raw))
        var scratch = ByteWriter()
        while let batch = try? batches.next() {
          guard var records = try? batch.records(scratch: &scratch, limit: 1 << 16) else { break }
          while let record = try? records.next() {
            var headers = record.headers
            while let header = try? headers.next() { _ = header.name.count }
          }
        }
        let validator = RecordValidator(
          AppendRules(), origin: .client, now: WallTime(milliseconds: 0))
        _ = try? validator.validate(raw)
      }
    }
  }

  @Test func downConversionDropsWhatOldClientsLack() throws {
    let marker = EndTransactionMarker(isCommit: true, coordinatorEpoch: 0)
    let bytes =
      try build(sample(6))
      + marker.batch(
        producerID: 1, producerEpoch: 0, timestamp: 0, baseOffset: 6)
      + build(sample(4, from: 7)) { $0.compressor = Compressor(.gzip) }
    var output = ByteWriter()
    let converted = try bytes.withUnsafeBytes {
      try RecordConverter.downConvert($0, to: 1, firstOffset: 3, into: &output)
    }
    #expect(converted == 7)
    var wanted = sample(6)[3...] + sample(4, from: 7)
    for index in wanted.indices { wanted[index].headers = [] }
    #expect(try readAll(output.array()) == Array(wanted))
  }
}
