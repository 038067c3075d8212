// The hash by which the tree finds its nodes.

/// Hashes names under their parents, eight bytes a step.
///
/// Names come from clients: whoever could compute these hashes could choose names that all meet in
/// one place, and make every search slow. So both seeds are secret, drawn anew by each process from
/// where the standard library has its own; what the tree holds does not depend on them.
struct NameHasher: Sendable {
  private let seed: UInt64
  private let factor: UInt64

  init() {
    var (first, second) = (Hasher(), Hasher())
    first.combine(1)
    second.combine(2)
    seed = UInt64(bitPattern: Int64(first.finalize()))
    // Odd, so that no bit of what is multiplied is lost.
    factor = UInt64(bitPattern: Int64(second.finalize())) | 1
  }

  /// Both halves of the product, folded into one: every bit of `value` reaches every bit.
  @inline(__always)
  private func fold(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: factor)
    return product.high ^ product.low
  }

  func hash(_ parent: NodeIndex, _ name: UnsafeBufferPointer<UInt8>) -> Int {
    let bytes = UnsafeRawBufferPointer(name)
    let count = bytes.count
    var state = fold(seed ^ UInt64(UInt32(bitPattern: parent.raw)) ^ UInt64(count) << 32)
    var position = 0
    while position + 8 < count {
      state = fold(state ^ bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
      position += 8
    }
    // The last one to eight bytes; where there are more before them, some of those once again.
    var last: UInt64 = 0
    if count >= 8 {
      last = bytes.loadUnaligned(fromByteOffset: count - 8, as: UInt64.self)
    } else if count >= 4 {
      let low = bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self)
      let high = bytes.loadUnaligned(fromByteOffset: count - 4, as: UInt32.self)
      last = UInt64(high) << 32 | UInt64(low)
    } else {
      for byte in bytes { last = last << 8 | UInt64(byte) }
    }
    state = fold(state ^ last)
    return Int(truncatingIfNeeded: fold(state ^ seed))
  }
}
