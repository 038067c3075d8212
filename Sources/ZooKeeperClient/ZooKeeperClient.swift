import Bytes
import Containers
import Platform
import Telemetry
import Transport
import Values
import ZooKeeperProtocol

/// What happens to a client's session; told on its loop, in order.
public enum SessionEvent: Equatable, Sendable {
  /// Connected: with a new session (`isNew`), or the same one on some server again.
  case connected(sessionID: Int64, isNew: Bool)
  /// No server at the moment. The session lives on for its timeout.
  case disconnected
  /// The ensemble has ended the session: its ephemerals and watches are gone. Requests fail until
  /// `startNewSession`.
  case expired
  /// An identity was refused; requests fail from now on.
  case authFailed
}

/// A watch that has fired. One set by a read is gone unless set again; one set by `addWatch` stays.
public struct WatchEvent: Equatable, Sendable {
  public var type: WatchEventType
  public var path: String
  public init(_ type: WatchEventType, _ path: String) {
    self.type = type
    self.path = path
  }
}

/// A client of a ZooKeeper ensemble: one session, asynchronous and pipelined.
///
/// Lives on one loop: callbacks come there. Requests may be made from any thread; those of one
/// thread keep their order, on the wire and in their answers. A request that was sent when the
/// connection broke fails with `connectionLoss` and may or may not have been done; one that was
/// not sent yet waits for the next server, up to the session's timeout.
public final class ZooKeeperClient: @unchecked Sendable {  // confined to `loop`
  public struct Options: Sendable {
    /// The timeout to ask for; the server clamps it to 2–20 of its ticks.
    public var sessionTimeoutMs: Int32 = 18_000
    /// `jute.maxbuffer`: a larger answer ends the connection.
    public var maxFrameBytes = 4 << 20
    /// The longest pause between two rounds through all servers, in milliseconds.
    public var maxReconnectPauseMs: Int64 = 1_000
    /// Called on the loop.
    public var onSession: @Sendable (SessionEvent) -> Void = { _ in }
    /// Called on the loop, before any answer that shows the change.
    public var onWatch: @Sendable (WatchEvent) -> Void = { _ in }
    /// How connections are encrypted; nil: not at all.
    public var tls: TLSContext?
    /// Seed of the order in which servers are tried.
    public var seed: UInt64?
    /// A session to take over, by its id, instead of asking for a new one.
    public var resumedSession: Int64?
    public init() {}
  }

  enum State: Equatable {
    /// Not started, or closed.
    case idle
    /// Looking for a server: resolving, connecting, waiting to try again.
    case connecting
    /// Connected; the answer to the handshake is awaited.
    case handshaking
    case connected
    case closing
    case expired
    case authFailed
  }

  public let connectString: ConnectString
  public let loop: EventLoop
  let options: Options
  let log = Log("zookeeper-client")

  // MARK: Confined to the loop

  var state = State.idle
  var connection: Connection?
  /// Rises with every attempt, so that what belongs to an old one is recognised.
  var attempt = 0
  var servers: [ConnectString.Server]
  var nextServer = 0
  /// The server being tried, as the connect string names it.
  var serverName = ""
  /// Further addresses of the server being tried, such as 127.0.0.1 after ::1.
  var otherAddresses: [SocketAddress] = []
  var failuresInARow = 0
  var random: SplitMix

  var sessionID: Int64 = 0
  var password = [UInt8](repeating: 0, count: 16)
  var negotiatedTimeoutMs: Int32 = 0
  var lastZxid: Int64 = 0
  var lastSent = Instant.zero
  var hasAnnouncedDisconnect = true
  var disconnectedSince = Instant.zero

  var nextXid: Int32 = 1
  /// Sent, not answered; answers come in this order.
  var pending = RingQueue<PendingRequest>()
  /// Not sent yet.
  var waiting = RingQueue<PendingRequest>()
  var auths: [AuthPacket] = []
  var authCompletions = RingQueue<@Sendable (Result<Void, ZooKeeperError>) -> Void>()
  var watches = WatchTable()
  var closeCompletions: [@Sendable () -> Void] = []

  /// A client that does nothing until `start`.
  public init(_ connectString: ConnectString, on loop: EventLoop, _ options: Options = Options()) {
    self.connectString = connectString
    self.loop = loop
    self.options = options
    var system = SystemRandom()
    random = SplitMix(seed: options.seed ?? system.next())
    // Everybody trying the first server first would load it alone.
    servers = connectString.servers.shuffled(using: &random)
    if let session = options.resumedSession {
      sessionID = session
      password = SessionPassword.of(session)
    }
  }

  // MARK: Life

  /// Begins to look for a server and a session.
  public func start() {
    onLoop { [self] in
      guard state == .idle else { return }
      state = .connecting
      disconnectedSince = loop.now
      connectNext()
    }
  }

  /// After `expired` (or `authFailed`): forgets the old session and asks for a new one. Watches are
  /// gone and have to be set again; identities are kept.
  public func startNewSession() {
    onLoop { [self] in
      guard state == .expired || state == .authFailed else { return }
      sessionID = 0
      password = [UInt8](repeating: 0, count: 16)
      watches.removeAll()
      state = .connecting
      disconnectedSince = loop.now
      connectNext()
    }
  }

  /// Ends the session at the server, which deletes its ephemerals, then the connection.
  /// `completion` is called when the server has said so, or a second has passed.
  public func close(_ completion: @escaping @Sendable () -> Void = {}) {
    onLoop { [self] in
      closeCompletions.append(completion)
      switch state {
      case .closing: return
      case .connected:
        state = .closing
        flushWaiting()
        send(
          PendingRequest(type: .closeSession, body: []) { [weak self] _, _ in
            self?.finishClosing()
          })
        loop.schedule(afterMs: 1_000) { [weak self] in self?.finishClosing() }
      default: finishClosing()
      }
    }
  }

  /// Drops everything at once without telling the server, as a crash would: the session lives on
  /// until its timeout. For tests of session expiry.
  public func abandon() { onLoop { [self] in finishClosing() } }

  func finishClosing() {
    state = .idle
    attempt += 1
    let old = connection
    connection = nil
    old?.close(.local("closed"))
    failAll(.connectionLoss)
    failWaiting(.connectionLoss)
    watches.removeAll()
    sessionID = 0
    let completions = closeCompletions
    closeCompletions = []
    for completion in completions { completion() }
  }

  func onLoop(_ body: @escaping @Sendable () -> Void) {
    if loop.isCurrent { body() } else { loop.execute(body) }
  }

  /// The session's number and negotiated timeout in milliseconds; nil without a session. On the
  /// loop only.
  public var session: (id: Int64, timeoutMs: Int32)? {
    sessionID == 0 ? nil : (sessionID, negotiatedTimeoutMs)
  }

  /// Whether a server is there right now. On the loop only.
  public var isConnected: Bool { state == .connected }
}
