import Bytes
import CPlatform

/// gzip by zlib.
enum Gzip {
  typealias Stream = UnsafeMutablePointer<jd_zlib_stream>

  struct Library: Sendable {
    let deflateInit:
      @Sendable @convention(c) (
        Stream, Int32, Int32, Int32, Int32, Int32, UnsafePointer<CChar>, Int32
      ) -> Int32
    let deflateBound: @Sendable @convention(c) (Stream, UInt) -> UInt
    let deflate: @Sendable @convention(c) (Stream, Int32) -> Int32
    let deflateEnd: @Sendable @convention(c) (Stream) -> Int32
    let inflateInit:
      @Sendable @convention(c) (
        Stream, Int32, UnsafePointer<CChar>, Int32
      ) -> Int32
    let inflate: @Sendable @convention(c) (Stream, Int32) -> Int32
    let inflateReset: @Sendable @convention(c) (Stream) -> Int32
    let inflateEnd: @Sendable @convention(c) (Stream) -> Int32

    init() throws(CompressionError) {
      let z = try SharedLibrary(for: .gzip)
      deflateInit = try z.function("deflateInit2_", as: type(of: deflateInit))
      deflateBound = try z.function("deflateBound", as: type(of: deflateBound))
      deflate = try z.function("deflate", as: type(of: deflate))
      deflateEnd = try z.function("deflateEnd", as: type(of: deflateEnd))
      inflateInit = try z.function("inflateInit2_", as: type(of: inflateInit))
      inflate = try z.function("inflate", as: type(of: inflate))
      inflateReset = try z.function("inflateReset", as: type(of: inflateReset))
      inflateEnd = try z.function("inflateEnd", as: type(of: inflateEnd))
    }
  }

  static let library = Result { () throws(CompressionError) in try Library() }

  private static let ok: Int32 = 0
  private static let streamEnd: Int32 = 1
  private static let bufferError: Int32 = -5
  private static let noFlush: Int32 = 0
  private static let finish: Int32 = 4
  /// The largest window, with a gzip header and trailer instead of zlib's.
  private static let gzipWindow: Int32 = 15 + 16
  private static let streamSize = Int32(MemoryLayout<jd_zlib_stream>.size)

  static func compress(
    _ input: UnsafeRawBufferPointer, level: Int, into output: inout ByteWriter
  ) throws(CompressionError) {
    let z = try library.get()
    var stream = jd_zlib_stream()
    // Method 8 is deflate, memory level 8 and strategy 0 are zlib's defaults.
    guard
      z.deflateInit(&stream, Int32(level), 8, gzipWindow, 8, 0, "1.2.11", streamSize) == ok
    else { throw .failed(.gzip) }
    defer { _ = z.deflateEnd(&stream) }
    guard input.count <= Int(UInt32.max) else { throw .failed(.gzip) }
    let bound = Int(z.deflateBound(&stream, UInt(input.count))) + 32
    stream.next_in = input.bindMemory(to: UInt8.self).baseAddress
    stream.avail_in = UInt32(input.count)
    try output.appendBytes(room: bound) { (room) throws(CompressionError) -> Int in
      stream.next_out = room.bindMemory(to: UInt8.self).baseAddress
      stream.avail_out = UInt32(min(room.count, Int(UInt32.max)))
      guard z.deflate(&stream, finish) == streamEnd else { throw .failed(.gzip) }
      return Int(stream.total_out)
    }
  }

  static func decompress(
    _ input: UnsafeRawBufferPointer, limit: Int, into output: inout ByteWriter
  ) throws(CompressionError) {
    let z = try library.get()
    guard input.count > 0, input.count <= Int(UInt32.max) else { throw .corrupt(.gzip) }
    var stream = jd_zlib_stream()
    guard z.inflateInit(&stream, gzipWindow, "1.2.11", streamSize) == ok else {
      throw .failed(.gzip)
    }
    defer { _ = z.inflateEnd(&stream) }
    stream.next_in = input.bindMemory(to: UInt8.self).baseAddress
    stream.avail_in = UInt32(input.count)
    let start = output.count
    while true {
      let room = Growth.room(written: output.count - start, packed: input.count, limit: limit)
      var status = ok
      try output.appendBytes(room: room) { (room) throws(CompressionError) -> Int in
        stream.next_out = room.bindMemory(to: UInt8.self).baseAddress
        stream.avail_out = UInt32(room.count)
        status = z.inflate(&stream, noFlush)
        return room.count - Int(stream.avail_out)
      }
      guard output.count - start <= limit else { throw .tooLarge(limit: limit) }
      switch status {
      case ok: continue
      case streamEnd:
        if stream.avail_in == 0 { return }
        // Members of a gzip file may follow each other; the Java reader joins them too.
        guard z.inflateReset(&stream) == ok else { throw .failed(.gzip) }
      case bufferError where stream.avail_out == 0: continue
      default: throw .corrupt(.gzip)
      }
    }
  }
}
