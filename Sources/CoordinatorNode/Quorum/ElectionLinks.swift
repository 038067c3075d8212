// Connections between election ports: one for each pair of servers, opened by the higher one.

import Bytes
import Platform
import Transport
import Zab
import ZooKeeperProtocol

/// Carries votes. Everything on the coordinator's loop.
///
/// A link is opened when there is something to say. Between the same two servers the connection of
/// the higher one stays; the lower one's only makes the higher one connect back.
final class ElectionLinks {
  /// What a connection knows of itself.
  private final class Context {
    let peer: ServerID
    init(_ peer: ServerID) { self.peer = peer }
  }

  private let config: CoordinatorConfig
  private let own: ServerID
  private let loop: EventLoop
  private var links: [ServerID: Connection] = [:]
  /// Connections that are being made, or that wait to be closed after the greeting.
  private var attempts: [ServerID: Connection] = [:]
  private var resolving: Set<ServerID> = []
  private var server: Server?
  private var isClosed = false

  /// Where servers greeted from that are in no configuration we know; they may want to join.
  private var strangers: [ServerID: EnsembleServer] = [:]
  private static let maxStrangers = 64

  /// A member of the configuration in force, or of the one to come.
  var member: ((ServerID) -> EnsembleServer?)?
  var onLinkUp: ((ServerID) -> Void)?
  /// Called when a server to which there was a link refuses to be connected to.
  var onRefused: ((ServerID) -> Void)?
  /// Servers that were linked to us at some time.
  private var known: Set<ServerID> = []
  /// How often a server was connected to again in this election.
  private var retries: [ServerID: Int] = [:]
  /// Whether votes are being counted: then a link that broke is made again at once, because what
  /// was on its way is lost, and the election's own repetitions grow seconds apart.
  var isLooking: () -> Bool = { false }
  private static let longestRetryMs: Int64 = 100
  /// How often the lower of two servers tries to find out whether the other one is gone.
  private static let maxProbes = 5
  var onMessage: ((ElectionMessage, ServerID) -> Void)?

  init(_ config: CoordinatorConfig, on loop: EventLoop) {
    self.config = config
    self.loop = loop
    own = ServerID(config.serverID)
  }

  /// Opens the election port; fails when it is taken.
  func listen(at address: SocketAddress, on group: EventLoopGroup) throws(SystemError) {
    var options = ServerOptions()
    options.limits = Self.limits(config)
    options.name = "election"
    options.tls = config.security.quorumTLS.server
    options.isTLSOptional = config.security.quorumTLS.isOptional
    let handler = LoopConfined(self)
    server = try Server(at: address, on: group, options: options) { _ in .stream(handler.value) }
  }

  func closeAll() {
    isClosed = true
    server?.stopListening()
    for id in links.keys.sorted() { links[id]?.close(.shutdown) }
    for id in attempts.keys.sorted() { attempts[id]?.close(.shutdown) }
  }

  /// An election begins: a link that breaks from here on is worth an attempt at once.
  func beginElection() { retries = [:] }

  // MARK: Sending

  /// Sends now, or makes a connection: what is worth saying is said again once it is up.
  func send(_ message: ElectionMessage, to peer: ServerID) {
    guard let link = links[peer], link.isOpen else { return connect(to: peer) }
    let frame = link.output.beginFrame()
    message.write(to: &link.output)
    link.output.endFrame(frame)
  }

  /// Votes are short; real servers take no more than this either.
  private static func limits(_ config: CoordinatorConfig) -> ConnectionLimits {
    var limits = ConnectionLimits()
    limits.maxFrameBytes = 512 * 1024
    limits.connectTimeoutMs = Int64(config.electionConnectTimeoutMs)
    limits.keepAlive = config.peers.electionKeepsAlive
    return limits
  }

  /// One attempt at a time for each server. A failed one is not repeated here: the election says
  /// what it has to say again, and that tries again.
  private func connect(to peer: ServerID) {
    guard links[peer] == nil, attempts[peer] == nil, !resolving.contains(peer),
      let member = member?(peer) ?? strangers[peer]
    else { return }
    resolving.insert(peer)
    QuorumAddress.resolve(member.host, port: member.electionPort, on: loop) { address in
      self.resolving.remove(peer)
      guard let address, self.links[peer] == nil, self.attempts[peer] == nil else { return }
      self.attempts[peer] = Connection.connect(
        to: address, on: self.loop, .stream(self), limits: Self.limits(self.config),
        context: Context(peer), tls: self.config.security.quorumTLS.client, host: member.host)
    }
  }

  /// The connection carries votes from here on, in place of an older one: the peer may have lost
  /// that without our noticing.
  private func establish(_ connection: Connection, with peer: ServerID) {
    let former = links[peer]
    links[peer] = connection
    known.insert(peer)
    if attempts[peer] === connection { attempts[peer] = nil }
    if former !== connection { former?.close(.local("replaced by a new connection")) }
    connection.become(.frames(self))
    CoordinatorLog.quorum.debug("election link up", ["server": peer])
    onLinkUp?(peer)
  }

  /// Forgets a connection, unless another one has taken its place.
  private func ended(_ connection: Connection, _ reason: CloseReason) {
    guard let context = connection.context as? Context else { return }
    let peer = context.peer
    let wasLink = links[peer] === connection
    if wasLink { links[peer] = nil }
    if attempts[peer] === connection { attempts[peer] = nil }
    var isRefused = false
    if case .failed(let error) = reason { isRefused = error.isRefused }
    if isRefused, known.contains(peer) { onRefused?(peer) }
    guard isLooking(), !isClosed else { return }
    let count = retries[peer, default: 0]
    // By the side whose connection stays: two that both try again would drop each other's. The
    // other one tries a few times as well, until there is a link again or it is refused: the
    // process at the other end has probably ended, and while it ends it seems to listen. Once that
    // is clear, the election need not wait for its vote.
    let probes = known.contains(peer) && !isRefused && count < Self.maxProbes
    guard ElectionLinkRule.keepsOutgoing(to: peer, from: own) || probes else { return }
    retries[peer] = count + 1
    if wasLink, count == 0 { return connect(to: peer) }
    loop.schedule(afterMs: min(Self.longestRetryMs, 10 << Int64(min(count, 4)))) { [weak self] in
      guard let self, isLooking(), !isClosed else { return }
      connect(to: peer)
    }
  }

  // MARK: Greeting

  /// An accepted connection: the peer greets first, and soon. One that never says who it is would
  /// be kept for nothing.
  private func awaitGreeting(_ connection: Connection) {
    loop.schedule(afterMs: config.peers.greetingTimeoutMs) { [weak connection] in
      guard let connection, connection.context == nil else { return }
      connection.close(.local("no greeting in time"))
    }
  }

  /// A server that is no member yet is talked to where members may change: it learns who leads, and
  /// follows without a vote until it is added.
  private func admit(_ greeting: ElectionGreeting) -> Bool {
    guard config.reconfigEnabled, greeting.server >= 0 else { return false }
    let parts = greeting.address.split(separator: "|").first.map(String.init) ?? ""
    guard let colon = parts.lastIndex(of: ":"),
      let port = UInt16(parts[parts.index(after: colon)...])
    else { return false }
    let host = parts[..<colon].filter { $0 != "[" && $0 != "]" }
    let peer = ServerID(greeting.server)
    guard strangers[peer] != nil || strangers.count < Self.maxStrangers else { return false }
    strangers[peer] = EnsembleServer(
      id: greeting.server, host: host, quorumPort: 0, electionPort: port)
    return true
  }

  /// An accepted connection has said who it is.
  private func greeted(_ greeting: ElectionGreeting, on connection: Connection) {
    let peer = ServerID(greeting.server)
    guard member?(peer) != nil || admit(greeting) else {
      CoordinatorLog.quorum.warn(
        "election connection refused: not a member",
        ["server": peer, "peer": connection.peer])
      return connection.close(.local("not a member"))
    }
    switch ElectionLinkRule.incoming(from: peer, to: own) {
    case .refuse:
      CoordinatorLog.quorum.warn("another server has our id", ["peer": connection.peer])
      connection.close(.local("our own id"))
    case .keep:
      connection.context = Context(peer)
      establish(connection, with: peer)
    case .closeAndConnect:
      connection.close(.local("the higher server connects"))
      // It may have lost a link that we still believe in.
      links.removeValue(forKey: peer)?.close(.local("replaced by a new connection"))
      connect(to: peer)
    }
  }
}

extension ElectionLinks: StreamHandler {
  func opened(_ connection: Connection) {
    guard let context = connection.context as? Context else { return awaitGreeting(connection) }
    guard let member = member?(own) ?? config.ownServer else { return }
    ElectionGreeting(server: own.rawValue, address: member.electionAddress)
      .write(to: &connection.output)
    if ElectionLinkRule.keepsOutgoing(to: context.peer, from: own) {
      establish(connection, with: context.peer)
    } else {
      connection.closeAfterFlush(.local("the higher server connects"))
    }
  }

  func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) -> Int {
    // Only accepted connections are greeted on.
    guard connection.context == nil else { return bytes.count }
    do {
      guard let (greeting, length) = try ElectionGreeting.read(UnsafeRawBufferPointer(bytes))
      else { return 0 }
      greeted(greeting, on: connection)
      return length
    } catch {
      throw .malformed("election greeting: \(error)")
    }
  }

  func closed(_ connection: Connection, because reason: CloseReason) { ended(connection, reason) }
}

extension ElectionLinks: FrameHandler {
  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    guard let context = connection.context as? Context else { return }
    var reader = ByteReader(UnsafeRawBufferPointer(frame).bytes)
    // A message that cannot be read is skipped, as real servers do: the next may be better.
    guard let message = try? ElectionMessage(from: &reader) else { return }
    onMessage?(message, context.peer)
  }
}

/// Where members are reached.
enum QuorumAddress {
  /// The first address of a host, on the loop; nil when it has none.
  static func resolve(
    _ host: String, port: UInt16, on loop: EventLoop,
    _ completion: @escaping (SocketAddress?) -> Void
  ) {
    let answer = LoopConfined(completion)
    Hosts.resolve(host, port: port, then: loop) { result in
      switch result {
      case .success(let addresses): answer.value(addresses.first)
      case .failure(let error):
        CoordinatorLog.quorum.warn("member without an address", ["reason": error])
        answer.value(nil)
      }
    }
  }
}
