import CPlatform
import Glibc

/// A TCP socket that never blocks. One owner; closed with it.
public struct Socket: ~Copyable, Sendable {
  let owned: FileDescriptor
  public var descriptor: Int32 { owned.number }

  init(owning number: Int32) { owned = FileDescriptor(owning: number) }

  /// The machine that it is a socket of; nil for the kernel's.
  private var simulated: (any Machine)? {
    descriptor >= Machines.firstSocket ? Machines.simulated : nil
  }

  private static func make(family: Int32) throws(SystemError) -> Int32 {
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    return try retrying("socket") { socket(family, kind, 0) }
  }

  // MARK: Listening

  /// A socket that listens at `address`; port 0 lets the kernel choose.
  public static func listening(
    at address: SocketAddress, backlog: Int32 = 512
  ) throws(SystemError) -> Socket {
    if let machine = Machines.simulated { return Socket(owning: try machine.listen(at: address)) }
    let socket = Socket(owning: try make(family: address.family))
    try socket.set(SOL_SOCKET, SO_REUSEADDR, 1)
    try retrying("bind", on: address.description) {
      address.withKernelForm { bind(socket.descriptor, $0, $1) }
    }
    try retrying("listen", on: address.description) { listen(socket.descriptor, backlog) }
    return socket
  }

  /// The next waiting connection and its peer; nil when none waits.
  public func accept() throws(SystemError) -> (Int32, SocketAddress)? {
    if let machine = simulated { return try machine.accept(descriptor) }
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    while true {
      let number = withUnsafeMutablePointer(to: &storage) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          platform_accept(descriptor, $0, &length)
        }
      }
      if number >= 0 {
        return (number, SocketAddress(storage) ?? SocketAddress(.any, port: 0))
      }
      switch errno {
      case EAGAIN: return nil
      // The peer has already gone: take the next.
      case EINTR, ECONNABORTED, EPROTO: continue
      default: throw SystemError("accept4")
      }
    }
  }

  /// Gives the descriptor away unclosed.
  public consuming func release() -> Int32 { owned.release() }

  /// Takes ownership of what `accept` returned.
  public static func adopting(_ number: Int32) -> Socket { Socket(owning: number) }

  // MARK: Connecting

  /// A socket on its way to `address`; writable when it has arrived or failed (`pendingError`).
  public static func connecting(to address: SocketAddress) throws(SystemError) -> Socket {
    if let machine = Machines.simulated { return Socket(owning: try machine.connect(to: address)) }
    let socket = Socket(owning: try make(family: address.family))
    let result = address.withKernelForm { Glibc.connect(socket.descriptor, $0, $1) }
    if result != 0, errno != EINPROGRESS, errno != EINTR {
      throw SystemError("connect", on: address.description)
    }
    return socket
  }

  /// What has gone wrong since the last look; nil when nothing has.
  public func pendingError(on subject: String? = nil) -> SystemError? {
    var code: Int32 = 0
    if let machine = simulated {
      code = machine.takeError(descriptor)
      return code == 0 ? nil : SystemError("connect", code: code, on: subject)
    }
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else {
      return SystemError("getsockopt")
    }
    return code == 0 ? nil : SystemError("connect", code: code, on: subject)
  }

  // MARK: Addresses and options

  /// Where the socket is bound: the true port after binding to 0.
  public func localAddress() throws(SystemError) -> SocketAddress {
    if let machine = simulated { return try machine.address(of: descriptor, isPeer: false) }
    return try address("getsockname") { getsockname(descriptor, $0, $1) }
  }

  public func peerAddress() throws(SystemError) -> SocketAddress {
    if let machine = simulated { return try machine.address(of: descriptor, isPeer: true) }
    return try address("getpeername") { getpeername(descriptor, $0, $1) }
  }

  private func address(
    _ call: StaticString,
    _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) throws(SystemError) -> SocketAddress {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    try retrying(call) {
      withUnsafeMutablePointer(to: &storage) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, &length) }
      }
    }
    return SocketAddress(storage) ?? SocketAddress(.any, port: 0)
  }

  /// Sends small writes at once.
  public func setNoDelay() throws(SystemError) { try set(Int32(IPPROTO_TCP), TCP_NODELAY, 1) }

  /// Lets the kernel probe a silent peer.
  public func setKeepAlive() throws(SystemError) { try set(SOL_SOCKET, SO_KEEPALIVE, 1) }

  /// The kernel's buffers, in bytes; -1 leaves the system's choice.
  public func setBuffers(send: Int32, receive: Int32) throws(SystemError) {
    if send > 0 { try set(SOL_SOCKET, SO_SNDBUF, send) }
    if receive > 0 { try set(SOL_SOCKET, SO_RCVBUF, receive) }
  }

  private func set(_ level: Int32, _ option: Int32, _ value: Int32) throws(SystemError) {
    if simulated != nil { return }
    var value = value
    try retrying("setsockopt") { [descriptor] in
      setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }
  }

  // MARK: Bytes

  /// What a transfer came to.
  public enum Transfer: Equatable, Sendable {
    case bytes(Int)
    /// Nothing without waiting.
    case wouldBlock
    /// The peer has finished sending.
    case end
    case failed(SystemError)
  }

  private func transfer(_ call: StaticString, isReading: Bool, _ body: () -> Int) -> Transfer {
    while true {
      let count = body()
      if count > 0 { return .bytes(count) }
      if count == 0 { return isReading ? .end : .wouldBlock }
      switch errno {
      case EINTR: continue
      case EAGAIN: return .wouldBlock
      default: return .failed(SystemError("\(call)"))
      }
    }
  }

  /// Reads into one buffer and, when that is full, on into a second.
  public func read(
    into buffer: UnsafeMutableRawBufferPointer, then second: UnsafeMutableRawBufferPointer? = nil
  ) -> Transfer {
    if let machine = simulated { return Self.read(descriptor, machine, into: buffer, then: second) }
    guard let second, second.count > 0 else {
      return transfer("recv", isReading: true) {
        recv(descriptor, buffer.baseAddress, buffer.count, 0)
      }
    }
    var vectors = (
      iovec(iov_base: buffer.baseAddress, iov_len: buffer.count),
      iovec(iov_base: second.baseAddress, iov_len: second.count)
    )
    return withUnsafePointer(to: &vectors) { pointer in
      pointer.withMemoryRebound(to: iovec.self, capacity: 2) { list in
        transfer("readv", isReading: true) { readv(descriptor, list, 2) }
      }
    }
  }

  /// The next byte, as the count of the transfer, left where it is.
  public func peek() -> Transfer {
    var byte: UInt8 = 0
    let result: Transfer =
      if let machine = simulated {
        withUnsafeMutableBytes(of: &byte) { machine.read(descriptor, into: $0, isPeeking: true) }
      } else {
        transfer("recv", isReading: true) { recv(descriptor, &byte, 1, Int32(MSG_PEEK)) }
      }
    if case .bytes = result { return .bytes(Int(byte)) }
    return result
  }

  /// Writes what fits. `more` holds a last small segment back for what follows at once.
  public func write(_ bytes: UnsafeRawBufferPointer, more: Bool = false) -> Transfer {
    if let machine = simulated { return machine.write(descriptor, bytes) }
    let flags = Int32(MSG_NOSIGNAL) | (more ? Int32(MSG_MORE) : 0)
    return transfer("send", isReading: false) {
      Glibc.send(descriptor, bytes.baseAddress, bytes.count, flags)
    }
  }

  /// Sends bytes of a file without bringing them into this process. `end` means that the file is
  /// shorter than promised.
  public func send(_ file: File, at position: Int64, count: Int) -> Transfer {
    if let machine = simulated { return Self.send(descriptor, machine, file, position, count) }
    var offset = off_t(position)
    return transfer("sendfile", isReading: true) {
      sendfile(descriptor, file.descriptor, &offset, count)
    }
  }

  /// Tells the peer that nothing more comes, keeping the reading side open.
  public func finishWriting() {
    if let machine = simulated { return machine.finishWriting(descriptor) }
    shutdown(descriptor, Int32(SHUT_WR))
  }
}
