import Platform
import Synchronization

/// The bytes of a connection on their way in and out: plain TCP, or TLS over it.
struct Channel: ~Copyable {
  private var socket: Socket?
  private let security: ChannelSecurity?
  /// Nil until the handshake begins.
  private var session: TLSSession?

  init(_ socket: consuming Socket, security: ChannelSecurity? = nil) {
    descriptor = socket.descriptor
    self.socket = consume socket
    self.security = security
  }

  /// Not connected to anything.
  init() {
    descriptor = -1
    socket = nil
    security = nil
  }

  // MARK: TLS

  /// Whether a handshake has to come first, or it must be found out whether it has.
  var needsSecuring: Bool { security != nil }
  var isEncrypted: Bool { session != nil }
  var handshakeTimeoutMs: Int64 { security?.context.settings.handshakeTimeoutMs ?? 0 }
  var securePeer: TLSPeer? { session?.peer }

  /// Goes on with the handshake.
  mutating func secure(_ peer: SocketAddress) -> TLSSession.Step {
    guard let security else { return .done }
    if session == nil {
      if security.isOptional {
        switch peek() {
        case .bytes(let first):
          if !TLSContext.begins(UInt8(truncatingIfNeeded: first)) { return .done }
        case .wouldBlock: return .wantsInput
        case .end: return .failed("closed before it said anything")
        case .failed(let error): return .failed("\(error)")
        }
      }
      session = security.context.session(over: descriptor, host: security.host, peer: peer)
    }
    return session?.handshake() ?? .failed("OpenSSL gives no session")
  }

  /// The first byte that has come, left where it is.
  private func peek() -> Socket.Transfer { socket?.peek() ?? .end }

  /// Input that the socket will not announce any more.
  var hasInput: Bool { session?.hasInput ?? false }

  /// For the loop to wait on; -1 when there is none.
  let descriptor: Int32

  func read(
    into buffer: UnsafeMutableRawBufferPointer, then second: UnsafeMutableRawBufferPointer? = nil
  ) -> Socket.Transfer {
    guard let session else { return socket?.read(into: buffer, then: second) ?? .end }
    let first = session.read(into: buffer)
    guard case .bytes(let count) = first, count == buffer.count, let second,
      case .bytes(let more) = session.read(into: second)
    else { return first }
    return .bytes(count + more)
  }

  func write(_ bytes: UnsafeRawBufferPointer, more: Bool) -> Socket.Transfer {
    if let session { return session.write(bytes) }
    return socket?.write(bytes, more: more) ?? .end
  }

  func send(_ region: FileRegion, skipping sent: Int) -> Socket.Transfer {
    let position = region.position + Int64(sent)
    guard let session else {
      return socket?.send(region.file, at: position, count: region.count - sent) ?? .end
    }
    return Self.encrypt(region.file, at: position, count: region.count - sent, session)
  }

  /// The kernel cannot encrypt what it sends: one record's worth is read, and written.
  private static func encrypt(
    _ file: File, at position: Int64, count: Int, _ session: TLSSession
  ) -> Socket.Transfer {
    withUnsafeTemporaryAllocation(byteCount: min(count, 16_384), alignment: 16) { buffer in
      do throws(SystemError) {
        let read = try file.read(into: buffer, at: position)
        guard read > 0 else { return .end }
        return session.write(UnsafeRawBufferPointer(rebasing: buffer[..<read]))
      } catch {
        return .failed(error)
      }
    }
  }

  func pendingError(on peer: String) -> SystemError? { socket?.pendingError(on: peer) }

  func localAddress() -> SocketAddress? { try? socket?.localAddress() }

  /// Options that a made connection should have; failing to set one is no reason to give it up.
  func prepare(_ limits: ConnectionLimits) {
    if limits.noDelay { try? socket?.setNoDelay() }
    if limits.keepAlive { try? socket?.setKeepAlive() }
    try? socket?.setBuffers(send: limits.sendBufferBytes, receive: limits.receiveBufferBytes)
  }

  mutating func close() {
    session?.close()
    session = nil
    socket = nil
  }
}

/// How a connection is to be encrypted.
struct ChannelSecurity {
  var context: TLSContext
  /// The name that was connected to; clients only.
  var host: String?
  /// Peers without TLS are welcome, too.
  var isOptional = false
}

/// Numbers connections of this process.
enum ConnectionNumbers {
  private static let counter = Atomic<UInt64>(1)
  static func next() -> UInt64 { counter.wrappingAdd(1, ordering: .relaxed).oldValue }
}

/// File regions that splices stand for, by token. Freed as they are sent.
struct RegionTable {
  private var regions: [FileRegion?] = []
  private var free: [Int] = []

  mutating func insert(_ region: FileRegion) -> Int {
    if let token = free.popLast() {
      regions[token] = region
      return token
    }
    regions.append(region)
    return regions.count - 1
  }

  subscript(token: Int) -> FileRegion? { regions.indices.contains(token) ? regions[token] : nil }

  mutating func remove(_ token: Int) {
    guard regions.indices.contains(token), regions[token] != nil else { return }
    regions[token] = nil
    free.append(token)
  }

  mutating func removeAll() {
    regions.removeAll(keepingCapacity: true)
    free.removeAll(keepingCapacity: true)
  }
}
