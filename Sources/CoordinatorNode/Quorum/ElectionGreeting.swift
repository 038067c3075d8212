// The first message on an election connection: who opens it, and where it can be reached.

import Bytes

/// Unframed: version (long), server (long), address length (int), address.
struct ElectionGreeting: Equatable {
  /// One address.
  static let version: Int64 = -65536
  /// Several, separated by bars.
  static let multiAddressVersion: Int64 = -65535
  static let maxAddressBytes = 2048

  var server: Int64
  /// `host:port`, or several with bars between; empty from servers that only send their number.
  var address: String

  /// Reads a greeting from the front of `bytes`; nil while it is not complete.
  ///
  /// - Throws: When it cannot become a greeting.
  static func read(
    _ bytes: UnsafeRawBufferPointer
  ) throws(ByteError) -> (greeting: ElectionGreeting, length: Int)? {
    var reader = ByteReader(bytes.bytes)
    guard reader.remaining >= 8 else { return nil }
    let version = try reader.readInt64()
    // Servers of old sent their number and nothing else.
    if version >= 0 { return (ElectionGreeting(server: version, address: ""), 8) }
    guard version == Self.version || version == multiAddressVersion else {
      throw .invalidValue(version)
    }
    guard reader.remaining >= 12 else { return nil }
    let server = try reader.readInt64()
    let length = Int(try reader.readInt32())
    guard length > 0, length <= maxAddressBytes else { throw .invalidLength(Int64(length)) }
    guard reader.remaining >= length else { return nil }
    let address = try reader.readText(length)
    return (ElectionGreeting(server: server, address: address), reader.position)
  }

  func write(to writer: inout ByteWriter) {
    writer.writeInt64(Self.version)
    writer.writeInt64(server)
    writer.writeInt32(Int32(address.utf8.count))
    writer.writeText(address)
  }
}
