// Session ids and passwords, made so that every server of an ensemble, a real one included, makes
// the same password for the same session without asking.

import Values

enum SessionSecrets {
  /// Length of a password in bytes.
  static let passwordLength = 16

  /// The first id that a server gives: its number in the top byte, then the time, so that ids of
  /// before a restart are not given again.
  static func firstSession(server: Int64, wallTime: WallTime) -> Int64 {
    let time = UInt64(bitPattern: wallTime.milliseconds << 24) >> 8
    return Int64(bitPattern: time & 0x00ff_ffff_ffff_ffff) | server << 56
  }

  /// The password: sixteen bytes of Java's linear congruential generator, seeded with the id and a
  /// constant that all servers share. It keeps clients from mixing up sessions, not attackers out.
  static func password(of session: Int64) -> [UInt8] {
    var state =
      UInt64(bitPattern: session ^ 0xB341_5C00 ^ 0x5_DEEC_E66D) & 0xffff_ffff_ffff
    var bytes: [UInt8] = []
    while bytes.count < passwordLength {
      state = (state &* 0x5_DEEC_E66D &+ 0xB) & 0xffff_ffff_ffff
      let word = UInt32(truncatingIfNeeded: state >> 16)
      for shift in stride(from: 0, to: 32, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(shift)))
      }
    }
    return bytes
  }
}
