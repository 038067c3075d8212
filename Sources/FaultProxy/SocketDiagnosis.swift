// The inode of one TCP socket of this machine, asked of the kernel by its two addresses.
import Glibc
import Platform

/// One exact question over netlink (`sock_diag(7)`), answered in microseconds. `/proc/net/tcp` has
/// the same, but lists every connection of the machine, those that have ended included: with ten
/// thousand of them and a busy processor a single look takes a quarter of a second, in which a
/// proxy would carry nothing.
enum SocketDiagnosis {
  enum Answer: Equatable {
    case inode(UInt32)
    /// No such socket.
    case missing
    /// The kernel does not answer such questions.
    case unavailable
  }

  // linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h.
  private static let netlinkSockDiag: Int32 = 4
  private static let sockDiagByFamily: UInt16 = 20
  private static let nlmsgError: UInt16 = 2
  private static let nlmRequest: UInt16 = 1
  private static let headerBytes = 16
  /// `struct inet_diag_msg`: its last field is the inode.
  private static let messageBytes = 72

  /// - Parameters:
  ///   - local: the socket's own address.
  ///   - peer: whom it is connected to.
  static func inode(local: SocketAddress, peer: SocketAddress) -> Answer {
    let number = Glibc.socket(
      AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), netlinkSockDiag)
    guard number >= 0 else { return .unavailable }
    defer { close(number) }
    let question = request(local: local, peer: peer)
    let sent = question.withUnsafeBytes { send(number, $0.baseAddress, $0.count, 0) }
    guard sent == question.count else { return .unavailable }
    var answer = [UInt8](repeating: 0, count: 4096)
    // The kernel has answered before `send` returned.
    let count = answer.withUnsafeMutableBytes {
      recv(number, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
    }
    guard count > 0 else { return .unavailable }
    return answer.withUnsafeBytes { parse(UnsafeRawBufferPointer(rebasing: $0[..<count]), peer) }
  }

  /// `nlmsghdr` and `inet_diag_req_v2`: numbers in the machine's order, ports and addresses in the
  /// network's.
  private static func request(local: SocketAddress, peer: SocketAddress) -> [UInt8] {
    let family: Int32
    if case .v4 = local.ip { family = AF_INET } else { family = AF_INET6 }
    var body: [UInt8] = [UInt8(family), UInt8(IPPROTO_TCP), 0, 0]
    append(UInt32.max, to: &body)  // in any state
    append(local.port.bigEndian, to: &body)
    append(peer.port.bigEndian, to: &body)
    for ip in [local.ip, peer.ip] {
      let bytes = ip.bytes
      body += bytes + [UInt8](repeating: 0, count: 16 - bytes.count)
    }
    append(UInt32(0), to: &body)  // any interface
    append(UInt64.max, to: &body)  // no cookie
    var message: [UInt8] = []
    append(UInt32(headerBytes + body.count), to: &message)
    append(sockDiagByFamily, to: &message)
    append(nlmRequest, to: &message)
    append(UInt64(1), to: &message)  // sequence number, and the kernel as the receiver
    return message + body
  }

  private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: value) { bytes += $0 }
  }

  private static func parse(_ bytes: UnsafeRawBufferPointer, _ peer: SocketAddress) -> Answer {
    guard bytes.count >= headerBytes + 4 else { return .unavailable }
    let type = bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self)
    if type == nlmsgError {
      let error = bytes.loadUnaligned(fromByteOffset: headerBytes, as: Int32.self)
      return -error == ENOENT ? .missing : .unavailable
    }
    guard type == sockDiagByFamily, bytes.count >= headerBytes + messageBytes else {
      return .unavailable
    }
    // Where no connection fits, the kernel finds a listener at the port.
    let port = bytes.loadUnaligned(fromByteOffset: headerBytes + 6, as: UInt16.self)
    guard UInt16(bigEndian: port) == peer.port else { return .missing }
    let inode = bytes.loadUnaligned(
      fromByteOffset: headerBytes + messageBytes - 4, as: UInt32.self)
    // A connection that has ended belongs to nobody.
    return inode == 0 ? .missing : .inode(inode)
  }
}
