import Bytes

/// snappy, in the framing of snappy-java ("xerial") that Kafka's Java client writes; librdkafka
/// and others write one raw block, which is read as well.
enum Snappy {
  typealias Block =
    @Sendable @convention(c) (
      UnsafeRawPointer?, Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>
    ) -> Int32

  struct Library: Sendable {
    let compress: Block
    let uncompress: Block
    let maxCompressedLength: @Sendable @convention(c) (Int) -> Int
    let uncompressedLength:
      @Sendable @convention(c) (
        UnsafeRawPointer?, Int, UnsafeMutablePointer<Int>
      ) -> Int32

    init() throws(CompressionError) {
      let snappy = try SharedLibrary(for: .snappy)
      compress = try snappy.function("snappy_compress", as: Block.self)
      uncompress = try snappy.function("snappy_uncompress", as: Block.self)
      maxCompressedLength = try snappy.function(
        "snappy_max_compressed_length", as: type(of: maxCompressedLength))
      uncompressedLength = try snappy.function(
        "snappy_uncompressed_length", as: type(of: uncompressedLength))
    }
  }

  static let library = Result { () throws(CompressionError) in try Library() }

  /// The frame's first eight bytes: 0x82, the name, 0. Two int32 versions follow, both 1.
  private static let magic: [UInt8] = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]
  private static let headerSize = 16
  private static let blockSize = 32 * 1024
  /// A block of so many bytes cannot unpack to more than this many times as much: a copy of 64
  /// bytes takes at least two. A claim beyond that is a lie, and nothing is allocated for it.
  private static let highestRatio = 32

  static func compress(
    _ input: UnsafeRawBufferPointer, into output: inout ByteWriter
  ) throws(CompressionError) {
    let snappy = try library.get()
    output.writeBytes(magic)
    output.writeInt32(1)
    output.writeInt32(1)
    var position = 0
    while position < input.count {
      let end = min(position + blockSize, input.count)
      let block = UnsafeRawBufferPointer(rebasing: input[position..<end])
      let lengthAt = output.count
      output.writeInt32(0)
      var packed = 0
      try output.appendBytes(room: snappy.maxCompressedLength(block.count)) {
        (room) throws(CompressionError) -> Int in
        packed = room.count
        guard
          snappy.compress(block.baseAddress, block.count, room.baseAddress, &packed) == 0
        else { throw .failed(.snappy) }
        return packed
      }
      output.patchInt32(Int32(packed), at: lengthAt)
      position = end
    }
  }

  static func decompress(
    _ input: UnsafeRawBufferPointer, limit: Int, into output: inout ByteWriter
  ) throws(CompressionError) {
    let snappy = try library.get()
    let start = output.count
    guard input.count >= headerSize, input.prefix(magic.count).elementsEqual(magic) else {
      return try unpackBlock(input, with: snappy, room: limit, limit: limit, into: &output)
    }
    var position = headerSize
    while position < input.count {
      guard input.count - position >= 4 else { throw .corrupt(.snappy) }
      let length = Int(
        Int32(bigEndian: input.loadUnaligned(fromByteOffset: position, as: Int32.self)))
      position += 4
      // Streams may be joined, each with its header again; its first four bytes read as a length
      // are negative.
      if length < 0, input[(position - 4)...].starts(with: magic) {
        position += headerSize - 4
        continue
      }
      guard length >= 0, length <= input.count - position else { throw .corrupt(.snappy) }
      let block = UnsafeRawBufferPointer(rebasing: input[position..<(position + length)])
      let room = limit - (output.count - start)
      try unpackBlock(block, with: snappy, room: room, limit: limit, into: &output)
      position += length
    }
  }

  private static func unpackBlock(
    _ block: UnsafeRawBufferPointer, with snappy: Library, room: Int, limit: Int,
    into output: inout ByteWriter
  ) throws(CompressionError) {
    var size = 0
    guard snappy.uncompressedLength(block.baseAddress, block.count, &size) == 0,
      size >= 0, size <= block.count * highestRatio
    else { throw .corrupt(.snappy) }
    guard size <= room else { throw .tooLarge(limit: limit) }
    try output.appendBytes(room: size) { (room) throws(CompressionError) -> Int in
      guard snappy.uncompress(block.baseAddress, block.count, room.baseAddress, &size) == 0
      else { throw .corrupt(.snappy) }
      return size
    }
  }
}
