// autopurge: old snapshots, and logs that no remaining snapshot needs.

import Platform

struct LogPurge {
  let directory: DataDirectory

  /// Keeps the newest snapshots and every log that one of them would be replayed with.
  func run(retaining count: Int) {
    do throws(StorageError) {
      let snapshots = try directory.listSnapshots()
      guard snapshots.count > count else { return }
      let kept = snapshots.suffix(count)
      guard let oldest = kept.first else { return }
      let logs = try directory.listLogs()
      // The log that was being written when the oldest snapshot was taken begins before it.
      let firstNeeded = logs.lastIndex { $0.zxid <= oldest.zxid } ?? 0
      let old = snapshots.dropLast(count) + logs[..<min(firstNeeded, logs.count)]
      for file in old {
        do throws(SystemError) { try FileSystem.removeFile(file.path) } catch {
          throw .system(error)
        }
      }
      if !old.isEmpty { CoordinatorLog.storage.info("old files purged", ["count": old.count]) }
    } catch {
      CoordinatorLog.storage.warn("purge failed", ["reason": error])
    }
  }
}
