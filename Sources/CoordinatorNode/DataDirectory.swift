// Where a server's data lie: `version-2` under `dataDir` and `dataLogDir`.

import Platform
import ZooKeeperProtocol

/// Names and places of snapshots, transaction logs and epochs.
public struct DataDirectory: Sendable {
  /// The directory of snapshots and epochs, `version-2` included.
  public let snapshots: String
  /// The directory of transaction logs, `version-2` included.
  public let logs: String
  /// `dataDir` itself, where `myid` is.
  public let root: String

  public init(dataDir: String, dataLogDir: String) {
    root = dataDir
    snapshots = dataDir + "/version-2"
    logs = dataLogDir + "/version-2"
  }

  /// Makes what is missing, unless `datadir.autocreate` says that it must be there already.
  public func create(makesMissing: Bool = true) throws(StorageError) {
    if !makesMissing {
      for directory in [snapshots, logs] where !FileSystem.exists(directory) {
        throw .ensemble("\(directory) is missing, and datadir.autocreate is off")
      }
    }
    do {
      try FileSystem.createDirectory(snapshots)
      try FileSystem.createDirectory(logs)
    } catch { throw .system(error) }
  }

  /// Claims the directories for this process, until the files returned are gone: recovery cuts off
  /// what it takes for a torn transaction, and must not meet one that is being written.
  func lock() throws(StorageError) -> [File] {
    var locks: [File] = []
    for directory in snapshots == logs ? [snapshots] : [snapshots, logs] {
      do throws(SystemError) {
        let file = try File(directory + "/.lock", [.write, .create])
        guard try file.tryLock() else { throw SystemError("flock", code: 0, on: directory) }
        locks.append(file)
      } catch {
        throw error.call == "flock" ? .locked(directory: directory) : .system(error)
      }
    }
    return locks
  }

  func log(_ zxid: Int64) -> String { "\(logs)/log.\(zxidText(zxid))" }
  func snapshot(_ zxid: Int64, _ compression: SnapshotCompression = .none) -> String {
    "\(snapshots)/snapshot.\(zxidText(zxid))\(compression.suffix)"
  }

  /// A file of the directory with the zxid in its name.
  struct Numbered: Hashable, Sendable {
    var zxid: Int64
    var path: String
  }

  /// Transaction logs, oldest first.
  func listLogs() throws(StorageError) -> [Numbered] { try list(logs, "log") }

  /// Snapshots, oldest first; compressed ones have a third part in their names.
  func listSnapshots() throws(StorageError) -> [Numbered] { try list(snapshots, "snapshot") }

  private func list(_ directory: String, _ prefix: String) throws(StorageError) -> [Numbered] {
    let names: [String]
    do { names = try FileSystem.list(directory) } catch { throw .system(error) }
    var found: [Numbered] = []
    for name in names {
      let parts = name.split(separator: ".", omittingEmptySubsequences: false)
      guard parts.count >= 2, parts[0] == prefix, let zxid = UInt64(parts[1], radix: 16),
        parts.count == 2
          || (prefix == "snapshot" && parts.count == 3 && ["gz", "snappy"].contains(parts[2]))
      else { continue }
      found.append(Numbered(zxid: Int64(bitPattern: zxid), path: "\(directory)/\(name)"))
    }
    return found.sorted { $0.zxid < $1.zxid }
  }

  /// Bytes of all files in a directory, for `conf` and `dirs`.
  static func size(of directory: String) -> Int64 {
    let names = (try? FileSystem.list(directory)) ?? []
    return names.reduce(0) { total, name in
      total + ((try? FileSystem.status("\(directory)/\(name)"))??.size ?? 0)
    }
  }

  // MARK: Epochs

  /// The number in `acceptedEpoch` or `currentEpoch`; nil when there is no such file.
  func readEpoch(_ name: String) throws(StorageError) -> Int64? {
    let path = "\(snapshots)/\(name)"
    let bytes: [UInt8]?
    do { bytes = try FileSystem.readFile(path) } catch { throw .system(error) }
    guard let bytes else { return nil }
    let text = String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
    guard let epoch = Int64(text) else {
      throw .corrupt(file: path, offset: 0, reason: "not a number: \(text)")
    }
    return epoch
  }

  /// Writes the number; durable on return.
  ///
  /// A number with as many digits as the one before is written in its place: a disk writes a sector
  /// whole or not at all, and one flush does where a new file and its directory need several, four
  /// times in each failover.
  func writeEpoch(_ name: String, _ epoch: Int64) throws(StorageError) {
    let path = "\(snapshots)/\(name)"
    let bytes = Array("\(epoch)".utf8)
    do throws(SystemError) {
      guard try FileSystem.status(path)?.size == Int64(bytes.count) else {
        return try FileSystem.replaceFile(path, with: bytes)
      }
      let file = try File(path, [.write])
      try file.write(bytes, at: 0)
      try file.syncData()
    } catch { throw .system(error) }
  }
}
