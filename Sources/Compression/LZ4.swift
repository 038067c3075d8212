import Bytes
import CPlatform

/// lz4 frames with independent blocks of 64 KiB, the only kind that Kafka's Java reader accepts.
enum LZ4 {
  typealias Preferences = UnsafePointer<jd_lz4_preferences>

  struct Library: Sendable {
    let isError: @Sendable @convention(c) (Int) -> UInt32
    let frameBound: @Sendable @convention(c) (Int, Preferences) -> Int
    let compressFrame:
      @Sendable @convention(c) (
        UnsafeMutableRawPointer?, Int, UnsafeRawPointer?, Int, Preferences
      ) -> Int
    let createContext:
      @Sendable @convention(c) (
        UnsafeMutablePointer<OpaquePointer?>, UInt32
      ) -> Int
    let decompress:
      @Sendable @convention(c) (
        OpaquePointer, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>, UnsafeRawPointer?,
        UnsafeMutablePointer<Int>, UnsafeRawPointer?
      ) -> Int
    let freeContext: @Sendable @convention(c) (OpaquePointer) -> Int

    init() throws(CompressionError) {
      let lz4 = try SharedLibrary(for: .lz4)
      isError = try lz4.function("LZ4F_isError", as: type(of: isError))
      frameBound = try lz4.function("LZ4F_compressFrameBound", as: type(of: frameBound))
      compressFrame = try lz4.function("LZ4F_compressFrame", as: type(of: compressFrame))
      createContext = try lz4.function(
        "LZ4F_createDecompressionContext", as: type(of: createContext))
      decompress = try lz4.function("LZ4F_decompress", as: type(of: decompress))
      freeContext = try lz4.function("LZ4F_freeDecompressionContext", as: type(of: freeContext))
    }
  }

  static let library = Result { () throws(CompressionError) in try Library() }

  private static let contextVersion: UInt32 = 100
  private static let blocksOf64KiB: Int32 = 4
  private static let independent: Int32 = 1
  /// Below this level the library packs fast instead of well.
  private static let lowestHighLevel = 3

  static func compress(
    _ input: UnsafeRawBufferPointer, level: Int, brokenChecksum: Bool,
    into output: inout ByteWriter
  ) throws(CompressionError) {
    let lz4 = try library.get()
    var preferences = jd_lz4_preferences()
    preferences.block_size_id = blocksOf64KiB
    preferences.block_mode = independent
    // As in Kafka's client the default level means the fast packer, any other the thorough one.
    preferences.compression_level =
      level == CompressionType.lz4.defaultLevel ? 0 : Int32(max(level, lowestHighLevel))
    let start = output.count
    let bound = lz4.frameBound(input.count, &preferences)
    try output.appendBytes(room: bound) { (room) throws(CompressionError) -> Int in
      let size = lz4.compressFrame(
        room.baseAddress, room.count, input.baseAddress, input.count, &preferences)
      guard lz4.isError(size) == 0 else { throw .failed(.lz4) }
      return size
    }
    guard brokenChecksum else { return }
    output.withUnsafeMutableBytes { bytes in
      let frame = UnsafeMutableRawBufferPointer(rebasing: bytes[start...])
      guard let end = descriptorEnd(UnsafeRawBufferPointer(frame)) else { return }
      frame[end] = checksum(UnsafeRawBufferPointer(rebasing: frame[..<end]))
    }
  }

  static func decompress(
    _ input: UnsafeRawBufferPointer, ignoreChecksum: Bool, limit: Int,
    into output: inout ByteWriter
  ) throws(CompressionError) {
    let lz4 = try library.get()
    var created: OpaquePointer?
    guard lz4.isError(lz4.createContext(&created, contextVersion)) == 0, let context = created
    else { throw .failed(.lz4) }
    defer { _ = lz4.freeContext(context) }
    var position = 0
    if ignoreChecksum { try feedHeader(input, to: context, lz4, &position) }
    let start = output.count
    var hint = 1  // 0 once the frame is complete
    while hint != 0 {
      let room = Growth.room(written: output.count - start, packed: input.count, limit: limit)
      var taken = input.count - position
      var made = room
      try output.appendBytes(room: room) { (room) throws(CompressionError) -> Int in
        let next = input.baseAddress.map { $0 + position }
        hint = lz4.decompress(context, room.baseAddress, &made, next, &taken, nil)
        guard lz4.isError(hint) == 0 else { throw .corrupt(.lz4) }
        return made
      }
      position += taken
      guard output.count - start <= limit else { throw .tooLarge(limit: limit) }
      if hint != 0, taken == 0, made == 0 { throw .corrupt(.lz4) }
    }
  }

  /// Gives the library the frame's header with the checksum it would have written itself.
  private static func feedHeader(
    _ input: UnsafeRawBufferPointer, to context: OpaquePointer, _ lz4: Library,
    _ position: inout Int
  ) throws(CompressionError) {
    guard let end = descriptorEnd(input) else { throw .corrupt(.lz4) }
    var header = Array(input[...end])
    header[end] = checksum(UnsafeRawBufferPointer(rebasing: input[4..<end]))
    var taken = header.count
    var made = 0
    let hint = lz4.decompress(context, nil, &made, header, &taken, nil)
    guard lz4.isError(hint) == 0, taken == header.count else { throw .corrupt(.lz4) }
    position = header.count
  }

  /// Where the header's checksum byte is: after the frame magic (4), flags and block size (2), the
  /// content size (8, when bit 3 of the flags is set) and a dictionary id (4, bit 0).
  private static func descriptorEnd(_ frame: UnsafeRawBufferPointer) -> Int? {
    guard frame.count >= 7 else { return nil }
    let flags = frame[4]
    let end = 6 + (flags & 8 != 0 ? 8 : 0) + (flags & 1 != 0 ? 4 : 0)
    return end < frame.count ? end : nil
  }

  /// The second byte of the xxHash-32 of the descriptor. Old clients hashed the frame magic too.
  private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt8 {
    UInt8(truncatingIfNeeded: xxHash32(bytes) >> 8)
  }

  /// xxHash-32 with seed 0, of any length; only frame headers (at most 18 bytes) come here.
  static func xxHash32(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    let p1: UInt32 = 0x9e37_79b1
    let p2: UInt32 = 0x85eb_ca77
    let p3: UInt32 = 0xc2b2_ae3d
    let p4: UInt32 = 0x27d4_eb2f
    let p5: UInt32 = 0x1656_67b1
    func turn(_ x: UInt32, _ by: UInt32) -> UInt32 { x << by | x >> (32 - by) }
    func word(_ at: Int) -> UInt32 {
      UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
    }
    var position = 0
    var hash = p5
    if bytes.count >= 16 {
      var lanes: [UInt32] = [p1 &+ p2, p2, 0, 0 &- p1]
      while bytes.count - position >= 16 {
        for lane in 0..<4 {
          lanes[lane] = turn(lanes[lane] &+ word(position) &* p2, 13) &* p1
          position += 4
        }
      }
      hash = turn(lanes[0], 1) &+ turn(lanes[1], 7) &+ turn(lanes[2], 12) &+ turn(lanes[3], 18)
    }
    hash &+= UInt32(truncatingIfNeeded: bytes.count)
    while bytes.count - position >= 4 {
      hash = turn(hash &+ word(position) &* p3, 17) &* p4
      position += 4
    }
    while position < bytes.count {
      hash = turn(hash &+ UInt32(bytes[position]) &* p5, 11) &* p1
      position += 1
    }
    hash = (hash ^ hash >> 15) &* p2
    hash = (hash ^ hash >> 13) &* p3
    return hash ^ hash >> 16
  }
}
