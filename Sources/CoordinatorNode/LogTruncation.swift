// Cutting a log back, and reading parts of it for learners.

import Bytes
import Platform
import ZooKeeperProtocol

struct LogTruncation {
  let directory: DataDirectory

  /// Removes every logged transaction after `zxid`, and snapshots that hold any; durable on return.
  func cut(after zxid: Int64) throws(StorageError) {
    do throws(SystemError) {
      for snapshot in try listing(directory.listSnapshots) where snapshot.zxid > zxid {
        try FileSystem.removeFile(snapshot.path)
      }
      let logs = try listing(directory.listLogs)
      // Newest first: a crash in between leaves no hole.
      for log in logs.reversed() where log.zxid > zxid { try FileSystem.removeFile(log.path) }
      if let last = logs.last(where: { $0.zxid <= zxid }) {
        try cut(last.path, after: zxid)
      }
      try FileSystem.syncDirectory(directory.logs)
      try FileSystem.syncDirectory(directory.snapshots)
    } catch {
      throw .system(error)
    }
  }

  /// Removes all logs, when a snapshot has taken their place.
  func removeAll() throws(StorageError) {
    do throws(SystemError) {
      for log in try listing(directory.listLogs) { try FileSystem.removeFile(log.path) }
      try FileSystem.syncDirectory(directory.logs)
    } catch {
      throw .system(error)
    }
  }

  private func listing(
    _ list: () throws(StorageError) -> [DataDirectory.Numbered]
  ) throws(SystemError) -> [DataDirectory.Numbered] {
    do { return try list() } catch {
      guard case .system(let error) = error else { return [] }
      throw error
    }
  }

  private func cut(_ path: String, after zxid: Int64) throws(SystemError) {
    var end: Int64?
    // Damage behind the place is cut off with the rest.
    _ = try? LogFileReader(path).forEach(mayRepair: false) { (entry) throws(StorageError) in
      var reader = ByteReader(entry.bytes.span.bytes)
      guard end == nil, let header = try? TxnHeader(from: &reader), header.zxid > zxid
      else { return }
      end = Int64(entry.offset)
    }
    guard let end else { return }
    let file = try File(path, [.read, .write])
    try file.truncate(to: end)
    try file.sync()
  }
}

struct LogRange {
  let directory: DataDirectory

  func read(from: Int64, through: Int64, limit: Int) -> [LoggedTxn]? {
    guard let logs = try? Recovery(directory: directory).relevantLogs(from: from),
      let first = logs.first, first.zxid <= from
    else { return nil }
    var found: [LoggedTxn] = []
    var size = 0
    for log in logs where log.zxid <= through {
      _ = try? LogFileReader(log.path).forEach(mayRepair: false) { (entry) throws(StorageError) in
        var reader = ByteReader(entry.bytes.span.bytes)
        guard let zxid = (try? TxnHeader(from: &reader))?.zxid, zxid <= through, size <= limit
        else { return }
        if zxid <= from {
          found.removeAll()
          size = 0
        }
        found.append(LoggedTxn(zxid: zxid, bytes: entry.bytes))
        size += entry.bytes.count
      }
    }
    return found.isEmpty || size > limit ? nil : found
  }
}
