// From files to a database: the newest valid snapshot, and every transaction after it.

import Bytes
import Platform
import ZooKeeperProtocol
import Znodes

/// A transaction as it lies in the log.
public struct LoggedTxn: Sendable {
  public var zxid: Int64
  /// TxnHeader, record and, if there is one, TxnDigest.
  public var bytes: [UInt8]

  public init(zxid: Int64, bytes: [UInt8]) {
    self.zxid = zxid
    self.bytes = bytes
  }
}

/// What a data directory holds.
public struct Recovered: Sendable {
  public var database: Database
  /// The last transactions, contiguous up to the newest.
  public var recent: [LoggedTxn] = []
  /// Transactions replayed over the snapshot.
  public var replayed = 0
  /// The snapshot it began with; nil when there was none.
  public var snapshotZxid: Int64?
  /// What the tree's digest should be by the word of whoever wrote its last transaction.
  var digest: TxnDigest?
  /// Milliseconds that reading the snapshot and replaying the logs took.
  var snapshotMs: Int64 = 0
  var replayMs: Int64 = 0
}

struct Recovery {
  let directory: DataDirectory
  var extendedTypes = false
  /// `snapshot.trust.empty`: logs may begin anywhere when there is no snapshot.
  var trustsMissingSnapshot = false
  /// `commitLogCount`: how many of the last transactions are kept at hand.
  var recentLimit = 500

  /// Reads everything. Cuts off a last transaction that was being written when the server ended.
  func run() throws(StorageError) -> Recovered {
    let begin = Clock.now()
    var recovered = try newestSnapshot()
    let replayBegin = Clock.now()
    recovered.snapshotMs = replayBegin.milliseconds(since: begin)
    let start = recovered.database.lastZxid
    let logs = try relevantLogs(from: start)
    if recovered.snapshotZxid == nil, !trustsMissingSnapshot, let first = logs.first,
      first.zxid & 0xffff_ffff != 1
    {
      throw .noSnapshot(directory: directory.snapshots)
    }
    for (index, log) in logs.enumerated() {
      let isLast = index == logs.count - 1
      try LogFileReader(log.path).forEach(mayRepair: isLast) { (entry) throws(StorageError) in
        try apply(entry, of: log.path, to: &recovered)
      }
    }
    // A killed server may have left what the system had not brought to the disk. From here on all
    // that was read counts as durable.
    if let newest = logs.last {
      do throws(SystemError) { try File(newest.path, [.read, .write]).syncData() } catch {
        throw .system(error)
      }
    }
    recovered.database.endRecovery()
    if recovered.database.matches(recovered.digest) == false {
      CoordinatorLog.storage.warn(
        "the tree differs from what its last transaction says of it",
        ["zxid": "0x\(zxidText(recovered.database.lastZxid))"])
    }
    recovered.replayMs = Clock.now().milliseconds(since: replayBegin)
    return recovered
  }

  private func newestSnapshot() throws(StorageError) -> Recovered {
    for snapshot in try directory.listSnapshots().reversed() {
      do throws(StorageError) {
        let loaded = try SnapshotFile.load(
          snapshot.path, zxid: snapshot.zxid, extendedTypes: extendedTypes)
        var recovered = Recovered(database: loaded.database, snapshotZxid: snapshot.zxid)
        if let digest = loaded.digest, digest.zxid == snapshot.zxid {
          recovered.digest = TxnDigest(version: digest.version, treeDigest: digest.digest)
        }
        return recovered
      } catch {
        // A crash of a real server leaves half of one. The one before is as good: if logs that
        // would lead from there to here are gone, the gap is noticed.
        CoordinatorLog.storage.warn("snapshot skipped", ["reason": error])
      }
    }
    var empty = Database(extendedTypes: extendedTypes)
    empty.beginRecovery()
    return Recovered(database: empty)
  }

  /// The log that begins at or before `zxid`, and all after it.
  func relevantLogs(from zxid: Int64) throws(StorageError) -> [DataDirectory.Numbered] {
    let logs = try directory.listLogs()
    let first = logs.lastIndex { $0.zxid <= zxid } ?? 0
    return Array(logs[min(first, logs.count)...])
  }

  private func apply(
    _ entry: LogFileReader.Entry, of path: String, to recovered: inout Recovered
  ) throws(StorageError) {
    let txn: Txn
    do throws(ByteError) { txn = try Txn(decoding: entry.bytes) } catch {
      throw .corrupt(file: path, offset: entry.offset, reason: "transaction unreadable: \(error)")
    }
    let zxid = txn.header.zxid
    let last = recovered.database.lastZxid
    recovered.recent.append(LoggedTxn(zxid: zxid, bytes: entry.bytes))
    if recovered.recent.count > 2 * recentLimit {
      recovered.recent.removeFirst(recovered.recent.count - recentLimit)
    }
    guard zxid > last else { return }
    // Numbers of one epoch have no holes; an epoch's first is 1.
    let isNext = zxid == last + 1 || (zxid >> 32 > last >> 32 && zxid & 0xffff_ffff == 1)
    let isFirst = trustsMissingSnapshot && recovered.snapshotZxid == nil && last == 0
    guard isNext || isFirst else { throw .gap(file: path, after: last, next: zxid) }
    var changes: [ZnodeChange] = []
    _ = recovered.database.replay(txn, changes: &changes)
    recovered.replayed += 1
    recovered.digest = txn.digest
  }
}

/// Reads one log file.
struct LogFileReader {
  struct Entry {
    /// Where its checksum begins.
    var offset: Int
    var bytes: [UInt8]
  }

  let path: String

  init(_ path: String) { self.path = path }

  /// Calls `body` for every transaction.
  ///
  /// - Parameter mayRepair: Whether this is the newest log, whose last transaction may be torn: it
  ///   is then cut off. Damage with transactions behind it is never repaired.
  func forEach(
    mayRepair: Bool, _ body: (Entry) throws(StorageError) -> Void
  ) throws(StorageError) {
    let end = try scan(body)
    guard mayRepair, let end else { return }
    CoordinatorLog.storage.warn("torn transaction dropped", ["file": path, "offset": end])
    do throws(SystemError) {
      let file = try File(path, [.read, .write])
      try file.truncate(to: Int64(end))
      try file.sync()
    } catch {
      throw .system(error)
    }
  }

  /// Where a torn entry begins; nil if the file ends as it should.
  private func scan(_ body: (Entry) throws(StorageError) -> Void) throws(StorageError) -> Int? {
    let mapped: MappedFile
    do throws(SystemError) {
      let file = try File(path)
      mapped = try MappedFile(file, count: Int(clamping: try file.size()), writable: false)
    } catch {
      throw .system(error)
    }
    return try withExtendedLifetime(mapped) { () throws(StorageError) in
      let bytes = UnsafeRawBufferPointer(mapped.bytes)
      // A crash right after creation leaves an empty file, or zeros.
      if bytes.count < FileHeader.size { return bytes.isEmpty ? nil : 0 }
      var reader = ByteReader(bytes.bytes)
      guard (try? FileHeader(from: &reader)) == .log else {
        if bytes.allSatisfy({ $0 == 0 }) { return 0 }
        throw StorageError.corrupt(file: path, offset: 0, reason: "not a log of version 2")
      }
      while true {
        let start = reader.position
        switch TxnLogFormat.next(in: &reader) {
        case .txn(let range):
          try body(Entry(offset: start, bytes: Array(bytes[range])))
        case .end:
          return nil
        case .torn:
          return start
        case .corrupt:
          guard isLast(start, in: bytes) else {
            throw StorageError.corrupt(
              file: path, offset: start, reason: "transaction damaged, with others behind it")
          }
          return start
        }
      }
    }
  }

  /// Whether nothing but what a crash leaves lies behind the damaged entry: no whole transaction
  /// can be found after it.
  private func isLast(_ start: Int, in bytes: UnsafeRawBufferPointer) -> Bool {
    let raw = bytes.loadUnaligned(fromByteOffset: start + 8, as: Int32.self)
    let length = Int(Int32(bigEndian: raw))
    guard length > 0, length <= TxnLogFormat.maxEntryLength else {
      // The length itself is damaged. Where the next entry would begin is unknown, so any later
      // byte counts as a transaction.
      return bytes[(start + 12)...].allSatisfy { $0 == 0 }
    }
    let next = start + 12 + length + 1
    guard next < bytes.count else { return true }
    return bytes[next...].allSatisfy { $0 == 0 }
  }
}
