/// Chooses partitions as Kafka's default partitioner does.
enum Partitioner {
  /// The partition of a key: the same in every client.
  static func partition(of key: [UInt8], count: Int) -> Int32 {
    Int32(Int(murmur2(key) & 0x7fff_ffff) % max(count, 1))
  }

  /// MurmurHash2 with the seed that Kafka's clients use.
  static func murmur2(_ bytes: [UInt8]) -> UInt32 {
    let m: UInt32 = 0x5bd1_e995
    var hash = 0x9747_b28c ^ UInt32(truncatingIfNeeded: bytes.count)
    bytes.withUnsafeBytes { raw in
      var position = 0
      while position + 4 <= raw.count {
        var word = UInt32(
          littleEndian: raw.loadUnaligned(fromByteOffset: position, as: UInt32.self))
        word = word &* m
        word ^= word >> 24
        word = word &* m
        hash = (hash &* m) ^ word
        position += 4
      }
      let rest = raw.count - position
      if rest >= 3 { hash ^= UInt32(raw[position + 2]) << 16 }
      if rest >= 2 { hash ^= UInt32(raw[position + 1]) << 8 }
      if rest >= 1 {
        hash ^= UInt32(raw[position])
        hash = hash &* m
      }
    }
    hash ^= hash >> 13
    hash = hash &* m
    return hash ^ (hash >> 15)
  }
}

/// The partition that records without a key go to for a while (KIP-794): changed after about one
/// batch, so that batches fill up and yet all partitions get their share.
struct StickyPartition {
  private var current: Int32 = -1
  private var bytes = 0

  mutating func next(
    size: Int, batchSize: Int, available: [Int32], count: Int,
    using random: inout some RandomNumberGenerator
  ) -> Int32 {
    if current < 0 || bytes >= batchSize || Int(current) >= count {
      let others = available.filter { $0 != current }
      let choices = others.isEmpty ? available : others
      current =
        choices.randomElement(using: &random)
        ?? Int32.random(in: 0..<Int32(max(count, 1)), using: &random)
      bytes = 0
    }
    bytes += size
    return current
  }
}
