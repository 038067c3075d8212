// Snapshots as files: header, database, seal, digest, seal.

import Bytes
import Platform
import ZooKeeperProtocol
import Znodes

enum SnapshotFile {
  /// Writes a database as it was when it was copied; durable on return. Until then the file has
  /// another name, under which nobody looks for a snapshot.
  static func write(_ database: Database, to path: String) throws(StorageError) {
    let temporary = path + ".tmp"
    do throws(SystemError) {
      let file = try File(temporary, [.write, .create, .truncate])
      var output = SealedOutput(file)
      FileHeader.snapshot.write(to: &output.buffer)
      var writer = SnapshotWriter(database)
      while writer.write(to: &output.buffer, atLeast: 1 << 18) { try output.flush() }
      try output.seal()
      SnapshotFormat.ZxidDigest(zxid: database.lastZxid, digest: database.tree.digest)
        .write(to: &output.buffer)
      try output.seal()
      try file.sync()
      try file.rename(to: path)
      try FileSystem.syncDirectory(FileSystem.parent(of: path) ?? ".")
    } catch {
      _ = try? FileSystem.removeFile(temporary)
      throw .system(error)
    }
  }

  /// Bytes on their way to a file, summed up as they go. Seals count as bytes of what follows.
  private struct SealedOutput: ~Copyable {
    let file: File
    var buffer = ByteWriter(reserving: 1 << 18)
    private var sum = Adler32()
    private var position: Int64 = 0

    init(_ file: File) { self.file = file }

    mutating func flush() throws(SystemError) {
      var sum = self.sum
      sum.update(buffer.span)
      self.sum = sum
      try file.write(buffer.span, at: position)
      position += Int64(buffer.count)
      buffer.removeAll()
    }

    mutating func seal() throws(SystemError) {
      try flush()
      SnapshotFormat.writeSeal(sum.value, to: &buffer)
      try flush()
    }
  }

  /// Reads a snapshot of this server or of a real one, 3.9 included.
  static func read(
    _ path: String, zxid: Int64, extendedTypes: Bool
  ) throws(StorageError) -> Database {
    let mapped: MappedFile
    do throws(SystemError) {
      let file = try File(path)
      mapped = try MappedFile(file, count: Int(clamping: try file.size()), writable: false)
    } catch {
      throw .system(error)
    }
    return try withExtendedLifetime(mapped) { () throws(StorageError) in
      try parse(
        UnsafeRawBufferPointer(mapped.bytes), path, zxid: zxid, extendedTypes: extendedTypes)
    }
  }

  private static func parse(
    _ bytes: UnsafeRawBufferPointer, _ path: String, zxid: Int64, extendedTypes: Bool
  ) throws(StorageError) -> Database {
    var reader = ByteReader(bytes.bytes)
    guard (try? FileHeader(from: &reader)) == .snapshot else {
      throw .corrupt(file: path, offset: 0, reason: "not a snapshot of version 2")
    }
    var loader = SnapshotLoader(extendedTypes: extendedTypes)
    do throws(SnapshotError) {
      guard try loader.consume(&reader) else {
        throw SnapshotError.malformed(.endOfInput)
      }
    } catch {
      throw .corrupt(file: path, offset: reader.position, reason: "\(error)")
    }
    let database = loader.finish(zxid: zxid)
    try checkSeal(bytes, &reader, path)
    // What servers before 3.6 did not write, and what later ones add: the tree's digest, and since
    // 3.9 the zxid that the tree has come to. Each has a seal of its own.
    guard !reader.isAtEnd else { return database }
    guard let digest = try? SnapshotFormat.ZxidDigest(from: &reader) else {
      throw .corrupt(file: path, offset: reader.position, reason: "digest cut short")
    }
    try checkSeal(bytes, &reader, path)
    // A fuzzy snapshot is behind its digest until the log has been replayed up to there.
    if digest.zxid == zxid, zxid > 0, digest.version == TxnDigest.currentVersion,
      digest.digest != database.tree.digest, reader.isAtEnd
    {
      CoordinatorLog.storage.debug("snapshot is fuzzy", ["file": path])
    }
    if !reader.isAtEnd {
      guard (try? reader.readInt64()) != nil else {
        throw .corrupt(file: path, offset: reader.position, reason: "last zxid cut short")
      }
      try checkSeal(bytes, &reader, path)
    }
    return database
  }

  private static func checkSeal(
    _ bytes: UnsafeRawBufferPointer, _ reader: inout ByteReader, _ path: String
  ) throws(StorageError) {
    let end = reader.position
    let sum = Adler32.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<end]).bytes)
    guard let sealed = try? reader.readInt64(),
      (try? reader.readJuteString()) == SnapshotFormat.endPath
    else { throw .corrupt(file: path, offset: end, reason: "seal cut short") }
    guard sealed == sum else {
      throw .corrupt(file: path, offset: end, reason: "checksum does not fit")
    }
  }
}
