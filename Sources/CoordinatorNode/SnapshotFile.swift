// Snapshots as files: header, database, seal, digest, seal.

import Bytes
import Compression
import Platform
import ZooKeeperProtocol
import Znodes

enum SnapshotFile {
  /// Writes a database as it was when it was copied; durable on return. Until then the file has
  /// another name, under which nobody looks for a snapshot.
  ///
  /// - Parameter path: Its end says how the file is compressed.
  static func write(_ database: Database, to path: String) throws(StorageError) {
    let temporary = path + ".tmp"
    do throws(SnapshotFailure) {
      try write(database, to: path, by: temporary)
    } catch {
      _ = try? FileSystem.removeFile(temporary)
      switch error {
      case .system(let error): throw .system(error)
      case .codec(let error): throw .codec(file: path, reason: "\(error)")
      }
    }
  }

  private enum SnapshotFailure: Error {
    case system(SystemError)
    case codec(CompressionError)
  }

  private static func write(
    _ database: Database, to path: String, by temporary: String
  ) throws(SnapshotFailure) {
    do {
      let file = try File(temporary, [.write, .create, .truncate])
      var output = SealedOutput(file, SnapshotCompression(ofFile: path).codec)
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
    } catch let error as SystemError {
      throw .system(error)
    } catch let error as CompressionError {
      throw .codec(error)
    } catch {
      throw .system(SystemError("write", code: 0, on: path))
    }
  }

  /// Bytes on their way to a file, summed up as they go. Seals count as bytes of what follows.
  /// Compressed files are made of one member for each flush: their readers join them, and memory
  /// stays bounded.
  private struct SealedOutput: ~Copyable {
    let file: File
    var buffer = ByteWriter(reserving: 1 << 18)
    private var sum = Adler32()
    private var position: Int64 = 0
    private let codec: CompressionType
    private var packed = ByteWriter()

    init(_ file: File, _ codec: CompressionType) {
      self.file = file
      self.codec = codec
    }

    mutating func flush() throws {
      guard buffer.count > 0 else { return }
      var sum = self.sum
      sum.update(buffer.span)
      self.sum = sum
      if codec == .none {
        try file.write(buffer.span, at: position)
        position += Int64(buffer.count)
      } else {
        let bytes = buffer.array()
        try bytes.withUnsafeBytes { try Compressor(codec).compress($0, into: &packed) }
        try file.write(packed.span, at: position)
        position += Int64(packed.count)
        packed.removeAll()
      }
      buffer.removeAll()
    }

    mutating func seal() throws {
      try flush()
      SnapshotFormat.writeSeal(sum.value, to: &buffer)
      try flush()
    }
  }

  /// A snapshot as it was read, and the digest that it claims, if it does.
  struct Loaded {
    /// Its recovery has not ended: a log may be replayed over it.
    var database: Database
    var digest: SnapshotFormat.ZxidDigest?
  }

  /// Reads a snapshot that stands for itself.
  static func read(
    _ path: String, zxid: Int64, extendedTypes: Bool
  ) throws(StorageError) -> Database {
    var database = try load(path, zxid: zxid, extendedTypes: extendedTypes).database
    database.endRecovery()
    return database
  }

  /// Reads a snapshot of this server or of a real one, 3.9 included.
  static func load(
    _ path: String, zxid: Int64, extendedTypes: Bool
  ) throws(StorageError) -> Loaded {
    let mapped: MappedFile
    do throws(SystemError) {
      let file = try File(path)
      mapped = try MappedFile(file, count: Int(clamping: try file.size()), writable: false)
    } catch {
      throw .system(error)
    }
    return try withExtendedLifetime(mapped) { () throws(StorageError) in
      let bytes = UnsafeRawBufferPointer(mapped.bytes)
      let codec = SnapshotCompression(ofFile: path).codec
      if codec == .none {
        return try parse(bytes, path, zxid: zxid, extendedTypes: extendedTypes)
      }
      let plain = try unpack(bytes, codec, path)
      // Not a closure over typed errors: the standard library's only takes untyped ones.
      let result = plain.withUnsafeBytes { plain in
        Result { () throws(StorageError) in
          try parse(plain, path, zxid: zxid, extendedTypes: extendedTypes)
        }
      }
      return try result.get()
    }
  }

  /// The most that deflate packs into one byte.
  private static let highestRatio = 1040

  private static func unpack(
    _ bytes: UnsafeRawBufferPointer, _ codec: CompressionType, _ path: String
  ) throws(StorageError) -> [UInt8] {
    var output = ByteWriter(reserving: bytes.count * 4)
    do throws(CompressionError) {
      try Decompressor.decompress(
        codec, bytes, limit: bytes.count * highestRatio + 1024, into: &output)
    } catch .corrupt {
      throw .corrupt(file: path, offset: 0, reason: "cannot be unpacked")
    } catch {
      throw .codec(file: path, reason: "\(error)")
    }
    return output.array()
  }

  private static func parse(
    _ bytes: UnsafeRawBufferPointer, _ path: String, zxid: Int64, extendedTypes: Bool
  ) throws(StorageError) -> Loaded {
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
    var loaded = Loaded(database: loader.finish(zxid: zxid, endsRecovery: false))
    var seal = Seal()
    try seal.check(bytes, &reader, path)
    // What servers before 3.6 did not write, and what later ones add: the tree's digest, and since
    // 3.9 the zxid that the tree has come to. Each has a seal of its own.
    guard !reader.isAtEnd else { return loaded }
    guard let digest = try? SnapshotFormat.ZxidDigest(from: &reader) else {
      throw .corrupt(file: path, offset: reader.position, reason: "digest cut short")
    }
    loaded.digest = digest
    try seal.check(bytes, &reader, path)
    if !reader.isAtEnd {
      guard (try? reader.readInt64()) != nil else {
        throw .corrupt(file: path, offset: reader.position, reason: "last zxid cut short")
      }
      try seal.check(bytes, &reader, path)
    }
    return loaded
  }

  /// The sum of all that was read so far; each seal covers everything before it.
  private struct Seal {
    private var sum = Adler32()
    private var position = 0

    mutating func check(
      _ bytes: UnsafeRawBufferPointer, _ reader: inout ByteReader, _ path: String
    ) throws(StorageError) {
      let end = reader.position
      sum.update(UnsafeRawBufferPointer(rebasing: bytes[position..<end]))
      position = end
      guard let sealed = try? reader.readInt64(),
        (try? reader.readJuteString()) == SnapshotFormat.endPath
      else { throw .corrupt(file: path, offset: end, reason: "seal cut short") }
      guard sealed == sum.value else {
        throw .corrupt(file: path, offset: end, reason: "checksum does not fit")
      }
    }
  }
}

extension SnapshotCompression {
  var codec: CompressionType {
    switch self {
    case .none: .none
    case .gzip: .gzip
    case .snappy: .snappy
    }
  }
}
