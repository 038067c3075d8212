import Glibc
import Platform
import Values

// The fault model of the network: TCP between hosts that differ by their ports only.
//
// - A connection delivers in order what was written, whole, once, and unaltered; each piece after
//   its own random delay. Pieces of different connections overtake each other freely. What is
//   written at once may arrive in two pieces, and what arrives apart may be read at once.
// - A link is what one host sends to another: each direction is cut, slowed and healed by itself. A
//   cut loses nothing and tells nobody: what is sent waits, connections are neither made nor
//   refused, and the sender's window fills, since acknowledgements come over the other link.
// - A process that ends has its sockets closed by its host: peers read what was sent, then the end;
//   or a reset when input was left unread, or when they send more.
// - A host without power says nothing. What is sent to it waits; when it is back, it answers with
//   resets whatever belongs to connections of its former life.
// - A port where nobody listens refuses. Ports that were never listened at refuse, too.

/// One thing under way from a socket to another.
struct Segment {
  enum Content {
    /// Asks for a connection with the socket that listens at a port.
    case open(port: UInt16, from: SocketAddress)
    /// Answers that it is made: the accepting side's socket.
    case opened(Int32)
    case data([UInt8])
    /// So many bytes have been read.
    case credit(Int)
    /// Nothing more comes.
    case end
    case reset
  }

  let from: Int32
  let to: Int32
  let fromHost: Int
  let toHost: Int
  let content: Content
}

/// One end of a connection, or a listening socket.
struct Endpoint {
  enum Phase { case listening, connecting, open }

  /// What a connection may have under way and unread in one direction.
  static let window = 256 * 1024

  let process: Int
  let host: Int
  var local: SocketAddress
  var peer: SocketAddress
  var phase: Phase
  /// Connections that wait to be accepted.
  var backlog: [Int32] = []
  /// The other end; 0 until it is known.
  var other: Int32 = 0
  var otherHost = 0
  var inbox = ByteQueue()
  var sawEnd = false
  var hasFinished = false
  var isBroken = false
  /// An `errno` that the owner has not asked for yet.
  var error: Int32 = 0
  /// Bytes that may be sent before more are acknowledged.
  var credit = Endpoint.window
  /// When what was sent last will be there: nothing overtakes it.
  var lastArrival = Instant.zero
  var poller: Int?

  init(
    process: Int, host: Int, local: SocketAddress, peer: SocketAddress, phase: Phase
  ) {
    self.process = process
    self.host = host
    self.local = local
    self.peer = peer
    self.phase = phase
  }

  var readiness: Readiness {
    var ready: Readiness = []
    if isBroken { return [.readable, .writable, .broken] }
    switch phase {
    case .listening: if !backlog.isEmpty { ready.insert(.readable) }
    case .connecting: break
    case .open:
      if sawEnd || !inbox.isEmpty { ready.insert(.readable) }
      if credit > 0, !hasFinished { ready.insert(.writable) }
      if sawEnd, hasFinished { ready.insert(.broken) }
    }
    return ready
  }
}

/// Bytes that have arrived and were not read.
struct ByteQueue {
  private var bytes: [UInt8] = []
  private var start = 0

  var count: Int { bytes.count - start }
  var isEmpty: Bool { count == 0 }

  mutating func append(_ more: [UInt8]) { bytes += more }

  /// Copies the first bytes; returns how many.
  func copy(to buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(count, buffer.count)
    bytes.withUnsafeBytes { buffer.copyMemory(from: .init(rebasing: $0[start..<start + count])) }
    return count
  }

  mutating func removeFirst(_ count: Int) {
    start += count
    // Moving the rest down at every read would make reading in small pieces quadratic.
    guard start > bytes.count / 2 else { return }
    bytes.removeSubrange(..<start)
    start = 0
  }
}

/// What one host sends to another.
struct Link {
  var isCut = false
  var extraMs: Int64 = 0
  /// What was to arrive while it was cut, in order.
  var held: [Segment] = []
}

struct Network {
  struct Direction: Hashable, Comparable {
    let from: Int
    let to: Int
    static func < (a: Self, b: Self) -> Bool { (a.from, a.to) < (b.from, b.to) }
  }

  var sockets: [Int32: Endpoint] = [:]
  var listeners: [UInt16: Int32] = [:]
  /// Which host listened at a port last: where those who connect to it are looking.
  var owners: [UInt16: Int] = [:]
  var links: [Direction: Link] = [:]
  private var nextSocket = Machines.firstSocket
  private var nextPort: UInt16 = 32_768

  /// Sockets' numbers are not used again, so that nothing arrives at the wrong one.
  mutating func add(_ endpoint: Endpoint) -> Int32 {
    defer { nextSocket += 1 }
    sockets[nextSocket] = endpoint
    return nextSocket
  }

  /// A port that nobody listens at.
  mutating func freePort() -> UInt16 {
    repeat {
      nextPort = nextPort == .max ? 32_768 : nextPort + 1
    } while listeners[nextPort] != nil
    return nextPort
  }

  /// Takes a socket away without a word to its peer.
  mutating func forget(_ socket: Int32) {
    guard let endpoint = sockets.removeValue(forKey: socket) else { return }
    if endpoint.phase == .listening, listeners[endpoint.local.port] == socket {
      listeners[endpoint.local.port] = nil
    }
  }
}
