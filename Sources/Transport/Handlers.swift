import Platform

/// What a connection's owner does with whole frames: int32 length, then so many bytes.
///
/// All calls come on the connection's loop, one after the other. One handler may serve many
/// connections; what belongs to one of them goes into `Connection.context`.
public protocol FrameHandler: AnyObject {
  /// The connection is made (accepted, or connected).
  func opened(_ connection: Connection)
  /// A frame has come, without its length. The bytes are valid for the call only, and may be
  /// changed in place. Replies are written into `connection.output`.
  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection) throws(CloseReason)
  /// The connection is gone; nothing can be sent any more. Called exactly once, also when it was
  /// never made.
  func closed(_ connection: Connection, because reason: CloseReason)
}

/// What a connection's owner does with bytes as they come.
public protocol StreamHandler: AnyObject {
  func opened(_ connection: Connection)
  /// Bytes have come, together with those left over from before. Returns how many were consumed;
  /// the rest comes again when there is more. Valid for the call only.
  func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection) throws(CloseReason) -> Int
  func closed(_ connection: Connection, because reason: CloseReason)
}

/// How a connection's input is cut, and who gets it.
public enum InputHandler {
  case frames(any FrameHandler)
  case stream(any StreamHandler)

  func opened(_ connection: Connection) {
    switch self {
    case .frames(let handler): handler.opened(connection)
    case .stream(let handler): handler.opened(connection)
    }
  }

  func closed(_ connection: Connection, because reason: CloseReason) {
    switch self {
    case .frames(let handler): handler.closed(connection, because: reason)
    case .stream(let handler): handler.closed(connection, because: reason)
    }
  }
}

/// Limits of one connection; the same for all of a server.
public struct ConnectionLimits: Sendable {
  /// `socket.request.max.bytes`: a frame above this ends the connection. In stream mode: the most
  /// that may lie unconsumed.
  public var maxFrameBytes = 104_857_600
  /// Shared by connections whose half-received frames are bounded together; nil: not bounded.
  public var inputBudget: InputBudget?
  /// Unsent output above which the socket is not read from any more; accepted connections only.
  public var highWaterBytes = 1 << 20
  /// Unsent output below which it is read from again.
  public var lowWaterBytes = 1 << 18
  /// Parked replies above which the socket is not read from.
  public var maxParkedReplies = 1024
  /// `connections.max.idle.ms`: closed when nothing was received for so long; 0: never.
  public var idleTimeoutMs: Int64 = 0
  /// How long connecting may take.
  public var connectTimeoutMs: Int64 = 10_000
  /// The kernel's buffers (`socket.send.buffer.bytes`, `socket.receive.buffer.bytes`); -1: its own
  /// choice.
  public var sendBufferBytes: Int32 = -1
  public var receiveBufferBytes: Int32 = -1
  /// Whether small writes leave at once (TCP_NODELAY).
  public var noDelay = true
  /// Whether the kernel probes a silent peer (SO_KEEPALIVE).
  public var keepAlive = true

  /// Where file regions that are not in memory are read before they are sent, so that the loop
  /// never waits for a disk; nil: the loop waits.
  public var coldReads: IOPool?

  public init() {}
}
