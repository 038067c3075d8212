import Bytes

/// One codec with its level: packs whole buffers as Kafka's clients expect to read them.
public struct Compressor: Equatable, Sendable {
  public var type: CompressionType
  /// The codec's own scale; see `CompressionType.levels`.
  public var level: Int

  public init(_ type: CompressionType, level: Int? = nil) {
    self.type = type
    self.level = level ?? type.defaultLevel
  }

  public static let none = Compressor(.none)

  /// Appends the packed bytes to `output`.
  ///
  /// `magic` is the message format the bytes go into: magic 0 carries lz4 frames whose header
  /// checksum is wrong in a way that its readers insist on (KAFKA-3160).
  public func compress(
    _ input: UnsafeRawBufferPointer, magic: Int8 = 2, into output: inout ByteWriter
  ) throws(CompressionError) {
    switch type {
    case .none: output.writeBytes(input)
    case .gzip: try Gzip.compress(input, level: level, into: &output)
    case .snappy: try Snappy.compress(input, into: &output)
    case .lz4: try LZ4.compress(input, level: level, brokenChecksum: magic == 0, into: &output)
    case .zstd: try Zstd.compress(input, level: level, into: &output)
    }
  }
}

/// Unpacks what any Kafka client packed.
public enum Decompressor {
  /// Appends the unpacked bytes to `output`: never more than `limit`, and memory grows only with
  /// what has really been unpacked. On an error some bytes may have been appended.
  public static func decompress(
    _ type: CompressionType, _ input: UnsafeRawBufferPointer, magic: Int8 = 2, limit: Int,
    into output: inout ByteWriter
  ) throws(CompressionError) {
    switch type {
    case .none:
      guard input.count <= limit else { throw .tooLarge(limit: limit) }
      output.writeBytes(input)
    case .gzip: try Gzip.decompress(input, limit: limit, into: &output)
    case .snappy: try Snappy.decompress(input, limit: limit, into: &output)
    case .lz4:
      try LZ4.decompress(input, ignoreChecksum: magic == 0, limit: limit, into: &output)
    case .zstd: try Zstd.decompress(input, limit: limit, into: &output)
    }
  }

  /// Throws `libraryMissing` when this machine cannot pack or unpack with the codec.
  public static func checkAvailable(_ type: CompressionType) throws(CompressionError) {
    switch type {
    case .none: return
    case .gzip: _ = try Gzip.library.get()
    case .snappy: _ = try Snappy.library.get()
    case .lz4: _ = try LZ4.library.get()
    case .zstd: _ = try Zstd.library.get()
    }
  }
}

/// How codecs append in steps without passing the limit.
enum Growth {
  /// The next step's room: as large as what is already there, within reason and within the limit.
  /// One byte past the limit is allowed, so that reaching it can be told from passing it.
  static func room(written: Int, packed: Int, limit: Int) -> Int {
    let wanted = max(written, min(max(packed * 2, 512), 1 << 16))
    return min(wanted, 1 << 20, limit - written + 1)
  }
}
