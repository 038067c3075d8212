import Bytes
import Foundation
import Platform
import Records
import TestKit
import Values

@testable import LogStorage

/// A record as tests compare it.
struct Row: Equatable, CustomStringConvertible {
  var offset: Int64
  var timestamp: Int64
  var key: String?
  var value: String?
  var headers: [String] = []

  var description: String {
    "\(offset)@\(timestamp) \(key ?? "null")=\(value ?? "null") \(headers)"
  }
}

let startTime = WallTime(milliseconds: 1_700_000_000_000)

func text(_ bytes: UnsafeRawBufferPointer?) -> String? {
  bytes.map { String(decoding: $0, as: UTF8.self) }
}

/// One batch of records with keys and values, offsets from 0.
func batch(
  _ pairs: [(String?, String?)], timestamp: Int64 = startTime.milliseconds,
  _ edit: (inout BatchOptions) -> Void = { _ in }
) throws -> [UInt8] {
  var options = BatchOptions()
  edit(&options)
  var builder = BatchBuilder(options)
  for (key, value) in pairs {
    builder.append(
      timestamp: timestamp, key: key.map { Array($0.utf8) }, value: value.map { Array($0.utf8) })
  }
  var output = ByteWriter()
  try builder.finish(into: &output)
  return output.array()
}

extension PartitionLog {
  @discardableResult
  func append(
    _ bytes: [UInt8], epoch: Int32 = 0, origin: AppendOrigin = .client, now: WallTime = startTime
  ) throws -> AppendResult {
    var bytes = bytes
    return try bytes.withUnsafeMutableBytes {
      try append(leader: $0, leaderEpoch: LeaderEpoch(epoch), origin: origin, now: now)
    }
  }

  @discardableResult
  func appendFollower(_ bytes: [UInt8], now: WallTime = startTime) throws -> AppendResult {
    try bytes.withUnsafeBytes { try append(follower: $0, now: now) }
  }

  /// The bytes of a slice.
  static func bytes(of slice: LogSlice) throws -> [UInt8] {
    guard let region = slice.region else { return [] }
    return try region.file.read(at: region.position, count: region.count)
  }

  /// All records up to a limit, as a consumer would read them in small fetches.
  func rows(
    from start: Offset? = nil, upTo limit: ReadLimit = .logEndOffset, maxBytes: Int = 1500
  ) throws -> [Row] {
    var next = start ?? logStartOffset
    var rows: [Row] = []
    var scratch = ByteWriter()
    while true {
      let slice = try read(from: next, maxBytes: maxBytes, upTo: limit)
      let bytes = try Self.bytes(of: slice)
      if bytes.isEmpty { return rows }
      let before = next
      try bytes.withUnsafeBytes { raw in
        var batches = BatchIterator(raw)
        while let batch = try batches.next() {
          try batch.validate()
          next = batch.header.nextOffset
          if batch.header.isControl { continue }
          let aborted = slice.abortedTransactions.contains {
            $0.producerID == batch.header.producerID && batch.header.isTransactional
              && $0.firstOffset <= batch.header.baseOffset
              && batch.header.baseOffset <= $0.lastOffset
          }
          if aborted { continue }
          var records = try batch.records(scratch: &scratch)
          while let record = try records.next() {
            if record.offset >= before { rows.append(try Row(record)) }
          }
        }
      }
      if next == before { return rows }
    }
  }
}

extension Row {
  init(_ record: RecordView) throws {
    self.init(
      offset: record.offset, timestamp: record.timestamp, key: text(record.key),
      value: text(record.value))
    var iterator = record.headers
    while let header = try iterator.next() {
      headers.append("\(text(header.name) ?? "")=\(text(header.value) ?? "null")")
    }
  }
}

/// A folder that goes away with the object.
final class Folder {
  let url: URL
  var path: String { url.path }
  init() throws { url = try Fixtures.temporaryFolder() }
  init(fixture: String) throws { url = try Fixtures.unpack(fixture) }
  deinit { try? FileManager.default.removeItem(at: url) }

  /// Name and bytes of all files below, but the lock files.
  func snapshot() throws -> [String: Data] {
    var files: [String: Data] = [:]
    let walker = FileManager.default.enumerator(atPath: path)
    while let name = walker?.nextObject() as? String {
      var isFolder: ObjCBool = false
      let full = url.appending(path: name)
      let isThere = FileManager.default.fileExists(atPath: full.path, isDirectory: &isFolder)
      if isThere, !isFolder.boolValue, !name.hasSuffix(".lock") {
        files[name] = try Data(contentsOf: full)
      }
    }
    return files
  }

  func open(
    _ name: String = "t-0", wasClean: Bool = true, recoveryPoint: Offset = 0,
    logStart: Offset? = nil, now: WallTime = startTime, _ edit: (inout LogConfig) -> Void = { _ in }
  ) throws -> PartitionLog {
    try openReporting(
      name, wasClean: wasClean, recoveryPoint: recoveryPoint, logStart: logStart, now: now, edit
    ).log
  }

  func openReporting(
    _ name: String = "t-0", wasClean: Bool = true, recoveryPoint: Offset = 0,
    logStart: Offset? = nil, now: WallTime = startTime, _ edit: (inout LogConfig) -> Void = { _ in }
  ) throws -> (log: PartitionLog, report: LoadReport) {
    var config = LogConfig()
    edit(&config)
    let partition = LogDirectoryName(name)?.topicPartition ?? TopicPartition(name, 0)
    return try PartitionLog.open(
      directory: "\(path)/\(name)", partition: partition, config: config, logStart: logStart,
      recoveryPoint: recoveryPoint, wasClean: wasClean, now: now)
  }
}
