import Platform

/// Why a connection ended. Handlers throw one of these to end it.
public enum CloseReason: Error, Equatable, Sendable, CustomStringConvertible {
  /// The peer has closed its side.
  case peerClosed
  /// The socket failed: reset, unreachable, timed out.
  case failed(SystemError)
  /// The connection was not made in time.
  case connectTimedOut
  /// A name that has no address.
  case unresolved(String)
  /// TLS could not be agreed on.
  case handshakeFailed(String)
  /// Nothing has moved for the idle time.
  case idle
  /// A frame's length is negative or above the limit; no such frame was read.
  case frameTooLarge(Int64)
  /// The handler found the input not to be what it must be.
  case malformed(String)
  /// This side wanted it, for the reason given.
  case local(String)
  /// The loop or server is stopping.
  case shutdown

  /// Whether it deserves a line in the log: the peer broke the protocol, rather than went away.
  public var isViolation: Bool {
    switch self {
    case .frameTooLarge, .malformed, .handshakeFailed: true
    default: false
    }
  }

  public var description: String {
    switch self {
    case .peerClosed: "closed by the peer"
    case .failed(let error): "\(error)"
    case .connectTimedOut: "connection not established in time"
    case .unresolved(let reason): reason
    case .handshakeFailed(let why): "TLS handshake failed: \(why)"
    case .idle: "idle"
    case .frameTooLarge(let size): "frame of \(size) bytes refused"
    case .malformed(let what): "malformed input: \(what)"
    case .local(let why): why
    case .shutdown: "shutting down"
    }
  }
}
