/// What the metadata shell reads: a snapshot, a segment of the metadata log, or a log directory.
import LogStorage
import Metadata
import MetadataLog
import Platform
import Raft
import Values

struct MetadataShellSource {
  /// What was not as it should be, yet did not keep the rest from being read.
  private(set) var warnings: [String] = []
  private var loader = MetadataLoader()
  private var timestamp: Int64 = 0
  /// Held while the shell runs, so that no node writes meanwhile.
  private let lock: File?

  /// Reads a file: a snapshot (`….checkpoint`), or a segment (`….log`), which may lack what
  /// earlier ones say.
  init(file path: String) throws {
    lock = try Self.takeLock(FileSystem.parent(of: path).flatMap { FileSystem.parent(of: $0) })
    let name = path.split(separator: "/").last.map(String.init) ?? path
    if let id = SnapshotID(fileName: name) {
      try load(path, id)
    } else {
      try apply(path, mayBeTorn: name.hasSuffix(".log"))
    }
  }

  /// Reads the newest snapshot of a log directory, and the log behind it. How much of that was
  /// committed is not on the disk: all of it is shown.
  /// - Parameter path: what `metadata.log.dir` names, or `__cluster_metadata-0` in it.
  init(directory path: String) throws {
    let name = "\(MetadataLogStore.partition)"
    let inner = "\(path)/\(name)"
    let directory = FileSystem.exists(inner) ? inner : path
    guard try FileSystem.status(directory)?.kind == .directory else {
      throw ToolFailure("\(path): no such directory")
    }
    lock = try Self.takeLock(FileSystem.exists(inner) ? path : FileSystem.parent(of: path))
    let names = try FileSystem.list(directory)
    let snapshot = names.compactMap { SnapshotID(fileName: $0) }.max()
    let segments = names.filter { $0.hasSuffix(".log") }.sorted()
    guard snapshot != nil || !segments.isEmpty else {
      throw ToolFailure("\(path): neither a snapshot nor a segment of the metadata log is there")
    }
    if let snapshot { try load("\(directory)/\(snapshot.fileName)", snapshot) }
    for (index, segment) in segments.enumerated() {
      // Segments that end before the snapshot are not read at all.
      if segments.indices.contains(index + 1), let next = Offset(segments[index + 1].dropLast(4)),
        next <= loader.lastOffset + 1
      {
        continue
      }
      try apply("\(directory)/\(segment)", mayBeTorn: index == segments.count - 1)
    }
  }

  var content: ShellImage {
    ShellImage(
      image: loader.image, lastOffset: loader.lastOffset, lastEpoch: loader.lastEpoch,
      timestamp: timestamp)
  }

  private static func takeLock(_ directory: String?) throws -> File? {
    guard let directory, FileSystem.exists("\(directory)/.lock") else { return nil }
    let file = try File("\(directory)/.lock", [.read, .write])
    guard try file.tryLock() else {
      throw ToolFailure(
        "Unable to lock \(directory). Please ensure that no broker or controller process is "
          + "using this directory before proceeding.")
    }
    return file
  }

  private mutating func load(_ path: String, _ id: SnapshotID) throws {
    var image = MetadataImage()
    var timestamp: Int64 = 0
    try SnapshotFile.forEachBatchOfWhole(path) { batch in
      if case .snapshotHeader(let header)? = batch.controls.first {
        timestamp = header.lastContainedLogTimestamp
      }
      for record in batch.records { image.apply(record) }
    }
    self.timestamp = timestamp
    loader.load(snapshot: image, lastOffset: id.offset - 1, epoch: id.epoch.rawValue)
  }

  /// - Parameter mayBeTorn: The end may be half written, as after a crash: then what precedes it
  ///   counts. Damage elsewhere is an error.
  private mutating func apply(_ path: String, mayBeTorn: Bool) throws {
    var (loader, timestamp) = (loader, timestamp)
    defer { (self.loader, self.timestamp) = (loader, timestamp) }
    do throws(StartupError) {
      try SnapshotFile.forEachBatch(path) { batch in
        guard batch.lastOffset > loader.lastOffset else { return }
        loader.apply(batch.records, lastOffset: batch.lastOffset, epoch: batch.epoch)
        timestamp = batch.timestamp
      }
    } catch {
      guard mayBeTorn, loader.lastOffset >= 0 else { throw error }
      warnings.append("\(error); shown is what precedes it")
    }
  }
}
