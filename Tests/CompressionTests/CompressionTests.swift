import Bytes
import Testing
import Values

@testable import Compression

/// Every codec against itself, against hostile input, and against bytes that other clients wrote.
@Suite struct CompressionTests {
  static let packing: [CompressionType] = [.gzip, .snappy, .lz4, .zstd]

  static func sample(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SplitMix(seed: seed)
    // Half noise, half repetition, so that every codec has both to do.
    return (0..<count).map {
      $0 % 64 < 24 ? UInt8.random(in: 0...255, using: &random) : UInt8($0 % 7)
    }
  }

  static func pack(
    _ bytes: [UInt8], _ type: CompressionType, level: Int? = nil, magic: Int8 = 2
  ) throws -> [UInt8] {
    var output = ByteWriter()
    try bytes.withUnsafeBytes { raw in
      try Compressor(type, level: level).compress(raw, magic: magic, into: &output)
    }
    return output.array()
  }

  static func unpack(
    _ bytes: [UInt8], _ type: CompressionType, magic: Int8 = 2, limit: Int = 1 << 24
  ) throws -> [UInt8] {
    var output = ByteWriter()
    try bytes.withUnsafeBytes { raw in
      try Decompressor.decompress(type, raw, magic: magic, limit: limit, into: &output)
    }
    return output.array()
  }

  @Test(arguments: CompressionType.allCases, [0, 1, 100, 65_536, 300_000])
  func roundTrips(_ type: CompressionType, _ count: Int) throws {
    let bytes = Self.sample(count, seed: UInt64(count))
    #expect(try Self.unpack(Self.pack(bytes, type), type) == bytes)
  }

  @Test(arguments: [
    (CompressionType.gzip, 1), (.gzip, 9), (.lz4, 1), (.lz4, 17), (.zstd, -5), (.zstd, 19),
  ])
  func levels(_ type: CompressionType, _ level: Int) throws {
    let bytes = Self.sample(50_000, seed: 3)
    #expect(try Self.unpack(Self.pack(bytes, type, level: level), type) == bytes)
  }

  @Test(arguments: packing)
  func unpackingIsBounded(_ type: CompressionType) throws {
    let packed = try Self.pack([UInt8](repeating: 7, count: 1 << 20), type)
    #expect(throws: CompressionError.tooLarge(limit: 1000)) {
      try Self.unpack(packed, type, limit: 1000)
    }
    #expect(try Self.unpack(packed, type, limit: 1 << 20).count == 1 << 20)
  }

  @Test(arguments: packing)
  func truncatedInputIsCorrupt(_ type: CompressionType) throws {
    let packed = try Self.pack(Self.sample(5000, seed: 9), type)
    for cut in [1, packed.count / 2, packed.count - 1] {
      #expect(throws: CompressionError.self) { try Self.unpack(Array(packed[..<cut]), type) }
    }
  }

  @Test(arguments: packing)
  func damagedInputNeverCrashes(_ type: CompressionType) throws {
    var random = SplitMix(seed: 11)
    let packed = try Self.pack(Self.sample(3000, seed: 12), type)
    for _ in 0..<300 {
      var damaged = packed
      for _ in 0..<3 {
        damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
      }
      _ = try? Self.unpack(damaged, type, limit: 1 << 16)
    }
  }

  @Test func rawSnappyIsRead() throws {
    // One raw block: length 5, a literal of 5 bytes.
    let raw: [UInt8] = [5, 4 << 2] + Array("hello".utf8)
    #expect(try Self.unpack(raw, .snappy) == Array("hello".utf8))
    // A claim of 4 GiB in six bytes is refused before anything is allocated.
    #expect(throws: CompressionError.corrupt(.snappy)) {
      try Self.unpack([0xff, 0xff, 0xff, 0xff, 0x0f, 0], .snappy, limit: .max - 1)
    }
  }

  @Test func snappyIsFramedAsTheJavaClientExpects() throws {
    let packed = try Self.pack(Self.sample(100_000, seed: 4), .snappy)
    #expect(
      Array(packed[..<16]) == [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
  }

  @Test func magicZeroHasTheOldChecksum() throws {
    let bytes = Self.sample(1000, seed: 5)
    let old = try Self.pack(bytes, .lz4, magic: 0)
    let new = try Self.pack(bytes, .lz4, magic: 2)
    #expect(old[6] != new[6])
    #expect(Array(old[7...]) == Array(new[7...]))
    #expect(try Self.unpack(old, .lz4, magic: 0) == bytes)
    #expect(try Self.unpack(new, .lz4, magic: 0) == bytes)
    #expect(throws: CompressionError.corrupt(.lz4)) { try Self.unpack(old, .lz4, magic: 2) }
  }

  @Test func xxHashKnowsItsVectors() {
    func hash(_ text: String) -> UInt32 { Array(text.utf8).withUnsafeBytes { LZ4.xxHash32($0) } }
    #expect(hash("") == 0x02cc_5d05)
    #expect(hash("abc") == 0x32d1_53ff)
    #expect(hash("Nobody inspects the spammish repetition") == 0xe229_3b2f)
  }

  @Test func aMissingLibraryNamesThePackage() {
    let error = SharedLibrary.missing(.snappy)
    #expect(error.description.contains("libsnappy1v5"))
  }
}
