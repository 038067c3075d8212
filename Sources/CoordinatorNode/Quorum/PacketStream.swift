// Quorum packets on a stream: back to back, without frames.

import Bytes
import Transport
import ZooKeeperProtocol

enum PacketStream {
  /// Bytes before the data: type, zxid, length of the data.
  private static let headBytes = 16

  /// Reads the packet at `position`; nil while it is not complete.
  ///
  /// - Parameter maxData: The longest data that is believed, in bytes.
  static func next(
    in bytes: UnsafeRawBufferPointer, at position: Int, maxData: Int
  ) throws(CloseReason) -> (packet: QuorumPacket, end: Int)? {
    let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
    guard rest.count >= headBytes else { return nil }
    let length = Int(
      Int32(bigEndian: rest.loadUnaligned(fromByteOffset: headBytes - 4, as: Int32.self)))
    guard length >= -1, length <= maxData else {
      throw .malformed("quorum packet with \(length) bytes of data")
    }
    var reader = ByteReader(rest.bytes)
    do {
      let packet = try QuorumPacket(from: &reader)
      return (packet, position + reader.position)
    } catch .endOfInput, .invalidLength {
      // The rest is on its way; the connection's limit bounds how long that is believed.
      return nil
    } catch {
      throw .malformed("quorum packet: \(error)")
    }
  }
}
