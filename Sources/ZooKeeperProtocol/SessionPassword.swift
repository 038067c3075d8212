// The password of a session, which every server works out from its id.

/// Sixteen bytes that ZooKeeper's servers make from a session's id and a constant that all of them
/// share. It keeps clients from mixing up sessions, not attackers out: whoever knows the id can
/// take the session over, as operators do to end one from outside.
public enum SessionPassword {
  /// Length in bytes.
  public static let length = 16

  /// Java's linear congruential generator, seeded with the id and the constant.
  public static func of(_ session: Int64) -> [UInt8] {
    var state =
      UInt64(bitPattern: session ^ 0xB341_5C00 ^ 0x5_DEEC_E66D) & 0xffff_ffff_ffff
    var bytes: [UInt8] = []
    while bytes.count < length {
      state = (state &* 0x5_DEEC_E66D &+ 0xB) & 0xffff_ffff_ffff
      let word = UInt32(truncatingIfNeeded: state >> 16)
      for shift in stride(from: 0, to: 32, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(shift)))
      }
    }
    return bytes
  }
}
