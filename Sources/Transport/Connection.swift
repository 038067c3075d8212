import Bytes
import Platform
import Telemetry
import Values

/// One TCP connection, confined to its loop.
///
/// Input is read once per turn and handed to the handler in place. Output is gathered in `output`
/// and leaves once, at the end of the turn. A reply that cannot be given yet is parked: its place
/// is kept, and whatever is written after it waits behind it.
public final class Connection: @unchecked Sendable {  // confined to `loop`
  public let loop: EventLoop
  public let peer: SocketAddress
  /// Process-wide number, for logs.
  public let id: UInt64
  /// The address on this side, known once the connection is made.
  public internal(set) var local: SocketAddress?
  /// The owner's state of this connection.
  public var context: AnyObject?

  /// Totals of this connection.
  public internal(set) var receivedBytes: Int64 = 0
  public internal(set) var sentBytes: Int64 = 0
  public internal(set) var receivedFrames: Int64 = 0
  /// When bytes last came, or the connection was made.
  public internal(set) var lastReceived: Instant
  /// When bytes last moved in either direction.
  public internal(set) var lastMoved: Instant

  enum State {
    case connecting
    /// Connected, TLS is being agreed on.
    case securing
    case open, closing, closed
  }

  // MARK: State

  var state: State
  var channel: Channel
  var handler: InputHandler
  let limits: ConnectionLimits
  var watch: Watch?
  var interest: Readiness = []
  var input = InputBuffer()
  var queue: OutputQueue
  /// What the kernel has not taken yet. New output gathers in `queue` until this is empty, so that
  /// memory is not held by bytes that have long been sent.
  var sending: OutputBuffer?
  var progress = SendProgress()
  var regions = RegionTable()
  var isFlushScheduled = false
  /// A cold part of a file is being read by an I/O thread; sending goes on when it is there.
  var isWarming = false
  /// `close` is sending what the kernel takes at once.
  var isEnding = false
  /// Not reading because of what is owed to the peer; `hold` is the owner's own wish.
  var isPaused = false
  var holds = 0
  var isReceiving = false
  /// Input was left unread because reading was paused; there may be whole frames in it.
  var hasHeldInput = false
  /// `become` was called: input that the old handler did not want is looked at again.
  var handlerChanged = false
  var sawEnd = false
  var closeReason: CloseReason?
  var timer = LoopTimer.none
  var onClose: ((Connection) -> Void)?
  /// TLS has been agreed on, or not.
  var onSecured: ((_ succeeded: Bool) -> Void)?
  /// The listener that accepted it; such a connection's violations are logged.
  var listenerName: String?
  private static let log = Log("transport")

  init(
    channel: consuming Channel, peer: SocketAddress, loop: EventLoop, handler: InputHandler,
    limits: ConnectionLimits, state: State
  ) {
    self.channel = channel
    self.peer = peer
    self.loop = loop
    self.handler = handler
    self.limits = limits
    self.state = state
    queue = OutputQueue(pool: BufferPool.of(loop))
    id = ConnectionNumbers.next()
    lastReceived = loop.now
    lastMoved = loop.now
  }

  /// What is waited for, as Java's selectors number it: 1 for input, 4 for room for output.
  public var interestOps: Int {
    (interest.contains(.readable) ? 1 : 0) + (interest.contains(.writable) ? 4 : 0)
  }

  /// Whether output can still reach the peer.
  public var isOpen: Bool { state == .open || isBeingMade }

  var isBeingMade: Bool { state == .connecting || state == .securing }

  /// Whether TLS protects it.
  public var isEncrypted: Bool { channel.isEncrypted }
  /// Who the peer has proved to be by its certificate; nil when it has not.
  public var securePeer: TLSPeer? { channel.securePeer }

  /// Hands the rest of the input, and all that comes, to another handler: after a handshake of
  /// another shape. The old one hears nothing more, `closed` included.
  public func become(_ handler: InputHandler) {
    self.handler = handler
    handlerChanged = true
  }

  // MARK: Output

  /// Where to write: behind everything written before, and behind parked replies. Leaves at the
  /// end of the turn. Written to from the connection's loop only.
  public var output: ByteWriter {
    unsafeAddress { UnsafePointer(queue.current().place) }
    unsafeMutableAddress {
      scheduleFlush()
      return queue.current().place
    }
  }

  /// Makes bytes of a file known, to be put into the output with `writeSplice(token:count:)`.
  public func spliceToken(for region: FileRegion) -> Int { regions.insert(region) }

  /// Puts bytes of a file into the output.
  public func writeRegion(_ region: FileRegion) {
    guard region.count > 0 else { return }
    output.writeSplice(token: regions.insert(region), count: region.count)
  }

  /// Keeps the next reply's place in the order of replies.
  public func park() -> ReplySlot {
    let slot = queue.park()
    if queue.parkedCount >= limits.maxParkedReplies { pause() }
    return slot
  }

  /// Gives a parked reply. Does nothing when the connection is gone or the reply was given.
  /// - Precondition: on the connection's loop; others go through `loop.execute`.
  public func complete(_ slot: ReplySlot, _ body: (inout ByteWriter) -> Void) {
    assert(loop.isCurrent)
    guard state != .closed, let buffer = queue.begin(slot) else { return }
    body(&buffer.writer)
    queue.finish(slot)
    scheduleFlush()
  }

  /// Bytes written and not yet taken by the kernel, those that wait behind a parked reply not
  /// counted.
  public var unsentBytes: Int { progress.remaining + queue.readyCount }
  /// Replies owed.
  public var parkedReplies: Int { queue.parkedCount }

  func scheduleFlush() {
    if isFlushScheduled || state == .closed { return }
    isFlushScheduled = true
    loop.flushAtEndOfTurn(self)
  }

  // MARK: Ending

  /// Ends the connection: what was written is given to the kernel as far as it takes it now, and
  /// the rest is dropped. `closed` is called before this returns.
  public func close(_ reason: CloseReason) {
    assert(loop.isCurrent)
    guard state != .closed else { return }
    isEnding = true
    if state == .open || state == .closing { sendOnce() }
    finish(reason)
  }

  /// Ends the connection when all that was written, and what is parked, has been sent; nothing more
  /// is read. A peer that does not take it in half a minute is dropped.
  public func closeAfterFlush(_ reason: CloseReason) {
    guard state == .open || isBeingMade else { return }
    if state == .open { state = .closing }
    linger(reason)
  }

  func finish(_ reason: CloseReason) {
    guard state != .closed else { return }
    secured(false)
    state = .closed
    loop.cancel(timer)
    if let watch { loop.unwatch(watch) }
    watch = nil
    channel.close()
    // A handler that closes in the middle of its frame may still be looking at the frame.
    if !isReceiving { input.release() }
    progress = SendProgress()
    regions.removeAll()
    // Buffers go only when nobody can be writing into them any more.
    loop.execute { [self] in
      queue.removeAll()
      sending = nil
    }
    if reason.isViolation, let listenerName {
      Self.log.warn(
        "connection closed: \(reason)",
        ["listener": listenerName, "peer": peer, "received": receivedBytes])
    }
    let owner = onClose
    onClose = nil
    owner?(self)
    handler.closed(self, because: reason)
    context = nil
  }

  // MARK: Holding back

  /// Stops reading until `release` has been called as often: the owner's back-pressure.
  public func hold() {
    holds += 1
    updateInterest()
  }

  public func release() {
    holds = max(0, holds - 1)
    if holds == 0 { scheduleFlush() }
  }

  func pause() {
    isPaused = true
    // The socket must stop being waited for, or a level-triggered loop would spin.
    scheduleFlush()
  }

  /// Whether input may be waiting because it is not being read.
  public var isHeldBack: Bool { isPaused || holds > 0 }

  var mayRead: Bool { state == .open && !isPaused && holds == 0 && !sawEnd }
}
