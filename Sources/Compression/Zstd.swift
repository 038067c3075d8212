import Bytes
import CPlatform

/// zstd frames.
enum Zstd {
  struct Library: Sendable {
    let isError: @Sendable @convention(c) (Int) -> UInt32
    let compressBound: @Sendable @convention(c) (Int) -> Int
    let compress:
      @Sendable @convention(c) (
        UnsafeMutableRawPointer?, Int, UnsafeRawPointer?, Int, Int32
      ) -> Int
    let createContext: @Sendable @convention(c) () -> OpaquePointer?
    let decompress:
      @Sendable @convention(c) (
        OpaquePointer, UnsafeMutablePointer<jd_zstd_out>, UnsafeMutablePointer<jd_zstd_in>
      ) -> Int
    let freeContext: @Sendable @convention(c) (OpaquePointer) -> Int

    init() throws(CompressionError) {
      let zstd = try SharedLibrary(for: .zstd)
      isError = try zstd.function("ZSTD_isError", as: type(of: isError))
      compressBound = try zstd.function("ZSTD_compressBound", as: type(of: compressBound))
      compress = try zstd.function("ZSTD_compress", as: type(of: compress))
      createContext = try zstd.function("ZSTD_createDCtx", as: type(of: createContext))
      decompress = try zstd.function("ZSTD_decompressStream", as: type(of: decompress))
      freeContext = try zstd.function("ZSTD_freeDCtx", as: type(of: freeContext))
    }
  }

  static let library = Result { () throws(CompressionError) in try Library() }

  static func compress(
    _ input: UnsafeRawBufferPointer, level: Int, into output: inout ByteWriter
  ) throws(CompressionError) {
    let zstd = try library.get()
    let bound = zstd.compressBound(input.count)
    try output.appendBytes(room: bound) { (room) throws(CompressionError) -> Int in
      let size = zstd.compress(
        room.baseAddress, room.count, input.baseAddress, input.count, Int32(level))
      guard zstd.isError(size) == 0 else { throw .failed(.zstd) }
      return size
    }
  }

  static func decompress(
    _ input: UnsafeRawBufferPointer, limit: Int, into output: inout ByteWriter
  ) throws(CompressionError) {
    let zstd = try library.get()
    guard let context = zstd.createContext() else { throw .failed(.zstd) }
    defer { _ = zstd.freeContext(context) }
    var source = jd_zstd_in(source: input.baseAddress, size: input.count, position: 0)
    let start = output.count
    var hint = 1  // 0 when a frame is complete; frames may follow each other
    while hint != 0 || source.position < source.size {
      let room = Growth.room(written: output.count - start, packed: input.count, limit: limit)
      let before = source.position
      var made = 0
      try output.appendBytes(room: room) { (room) throws(CompressionError) -> Int in
        var target = jd_zstd_out(target: room.baseAddress, size: room.count, position: 0)
        hint = zstd.decompress(context, &target, &source)
        guard zstd.isError(hint) == 0 else { throw .corrupt(.zstd) }
        made = target.position
        return made
      }
      guard output.count - start <= limit else { throw .tooLarge(limit: limit) }
      if made == 0, source.position == before { throw .corrupt(.zstd) }
    }
  }
}
