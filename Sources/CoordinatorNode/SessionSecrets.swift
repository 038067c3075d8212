// Session ids and passwords, made so that every server of an ensemble, a real one included, makes
// the same password for the same session without asking.

import Values
import ZooKeeperProtocol

enum SessionSecrets {
  /// Length of a password in bytes.
  static let passwordLength = SessionPassword.length

  /// The first id that a server gives: its number in the top byte, then the time, so that ids of
  /// before a restart are not given again.
  static func firstSession(server: Int64, wallTime: WallTime) -> Int64 {
    let time = UInt64(bitPattern: wallTime.milliseconds << 24) >> 8
    return Int64(bitPattern: time & 0x00ff_ffff_ffff_ffff) | server << 56
  }

  static func password(of session: Int64) -> [UInt8] { SessionPassword.of(session) }
}
