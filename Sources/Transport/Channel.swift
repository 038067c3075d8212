import Platform
import Synchronization

/// The bytes of a connection on their way in and out: plain TCP. What encrypts them stands in here.
struct Channel: ~Copyable {
  private var socket: Socket?

  init(_ socket: consuming Socket) {
    descriptor = socket.descriptor
    self.socket = consume socket
  }

  /// Not connected to anything.
  init() {
    descriptor = -1
    socket = nil
  }

  /// For the loop to wait on; -1 when there is none.
  let descriptor: Int32

  func read(
    into buffer: UnsafeMutableRawBufferPointer, then second: UnsafeMutableRawBufferPointer? = nil
  ) -> Socket.Transfer {
    socket?.read(into: buffer, then: second) ?? .end
  }

  func write(_ bytes: UnsafeRawBufferPointer, more: Bool) -> Socket.Transfer {
    socket?.write(bytes, more: more) ?? .end
  }

  func send(_ region: FileRegion, skipping sent: Int) -> Socket.Transfer {
    socket?.send(
      region.file, at: region.position + Int64(sent), count: region.count - sent) ?? .end
  }

  func pendingError(on peer: String) -> SystemError? { socket?.pendingError(on: peer) }

  func localAddress() -> SocketAddress? { try? socket?.localAddress() }

  /// Options that a made connection should have; failing to set one is no reason to give it up.
  func prepare(_ limits: ConnectionLimits) {
    try? socket?.setNoDelay()
    try? socket?.setKeepAlive()
    try? socket?.setBuffers(send: limits.sendBufferBytes, receive: limits.receiveBufferBytes)
  }

  mutating func close() { socket = nil }
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
