// A TCP proxy that can be told to misbehave.
import Bytes
import Platform
import Synchronization
import Telemetry
import Transport
import Values

/// Stands before one listener of one member. Whoever connects is passed on, under the rules of the
/// links between the two.
public final class FaultProxy: Sendable {
  /// Where it listens: what others are told.
  public let address: SocketAddress
  public let target: String
  private let server: Server
  private let home: EventLoop
  private let gate: LoopConfined<TargetGate>

  /// - Parameters:
  ///   - address: where to listen; port 0 lets the kernel choose.
  ///   - target: the member's name in links.
  ///   - destination: where the member really listens.
  public init(
    at address: SocketAddress, for target: String, to destination: SocketAddress,
    rules: LinkTable, sources: SourceFinder, on group: EventLoopGroup
  ) throws(SystemError) {
    self.target = target
    var options = ServerOptions()
    options.name = "proxy of \(target)"
    options.limits.highWaterBytes = .max
    let home = group.loops[0]
    let gate = LoopConfined(TargetGate(of: destination, named: target, on: home))
    self.home = home
    self.gate = gate
    server = try Server(at: address, on: group, options: options) { loop in
      let pipes = ProxyPipes(
        target: target, destination: destination, rules: rules, sources: sources, loop: loop)
      pipes.onTargetLost = { home.execute { gate.value.attempt() } }
      rules.observe { loop.execute { pipes.rulesChanged() } }
      return .stream(pipes)
    }
    self.address = server.address
    home.execute { [server] in gate.value.keep(server) }
  }

  public var connectionCount: Int { server.connectionCount }

  public func stop() {
    home.perform { [gate] in gate.value.stop() }
    server.stop()
  }
}

/// All connections of one proxy on one loop.
final class ProxyPipes: StreamHandler, @unchecked Sendable {  // confined to `loop`
  let target: String
  let destination: SocketAddress
  let rules: LinkTable
  let sources: SourceFinder
  let loop: EventLoop
  var random = SplitMix(seed: 0x5eed)
  /// A connection to the member has ended, or was not made.
  var onTargetLost: () -> Void = {}
  private var pipes: [UInt64: Pipe] = [:]
  static let log = Log("proxy")

  init(
    target: String, destination: SocketAddress, rules: LinkTable, sources: SourceFinder,
    loop: EventLoop
  ) {
    self.target = target
    self.destination = destination
    self.rules = rules
    self.sources = sources
    self.loop = loop
  }

  func opened(_ connection: Connection) {
    let source =
      connection.local.map { sources.source(of: connection.peer, at: $0) } ?? SourceFinder.stranger
    let pipe = Pipe(near: connection, source: source, owner: self)
    connection.context = pipe
    pipes[connection.id] = pipe
    pipe.connectIfAllowed()
  }

  func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) -> Int {
    guard let pipe = connection.context as? Pipe else { throw .local("no pipe") }
    pipe.outbound.take(bytes)
    return bytes.count
  }

  func closed(_ connection: Connection, because reason: CloseReason) {
    guard let pipe = pipes[connection.id] else { return }
    pipe.outbound.end()
    pipe.inbound.sinkIsGone()
    forgetIfDone(pipe)
  }

  func forgetIfDone(_ pipe: Pipe) {
    if pipe.outbound.isDone, pipe.inbound.isDone { pipes[pipe.near.id] = nil }
  }

  func rulesChanged() {
    for id in pipes.keys.sorted() {
      pipes[id]?.connectIfAllowed()
      pipes[id]?.outbound.pump()
      pipes[id]?.inbound.pump()
    }
  }
}

/// Two connections and what flows between them.
final class Pipe {
  let near: Connection
  private var far: Connection?
  private(set) var outbound: Flow
  private(set) var inbound: Flow
  private unowned let owner: ProxyPipes
  private lazy var farHandler = FarEnd(self)

  init(near: Connection, source: String, owner: ProxyPipes) {
    self.near = near
    self.owner = owner
    outbound = Flow(Link(source, owner.target), owner)
    inbound = Flow(Link(owner.target, source), owner)
    outbound.source = near
    inbound.sink = near
  }

  /// A connection comes through when its first packet and the answer to it do.
  func connectIfAllowed() {
    guard far == nil, near.isOpen, !outbound.isCut, !inbound.isCut else { return }
    var limits = ConnectionLimits()
    limits.highWaterBytes = .max
    let made = Connection.connect(
      to: owner.destination, on: owner.loop, .stream(farHandler), limits: limits)
    far = made
    inbound.source = made
    outbound.sink = made
    outbound.pump()
  }

  func farReceived(_ bytes: UnsafeMutableRawBufferPointer) { inbound.take(bytes) }

  func farClosed() {
    inbound.end()
    outbound.sinkIsGone()
    owner.forgetIfDone(self)
    owner.onTargetLost()
  }
}

/// Hears of the connection to the member, which may outlive its pipe while its last bytes leave.
private final class FarEnd: StreamHandler {
  private weak var pipe: Pipe?
  init(_ pipe: Pipe) { self.pipe = pipe }

  func opened(_ connection: Connection) {}
  func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) -> Int {
    pipe?.farReceived(bytes)
    return bytes.count
  }
  func closed(_ connection: Connection, because reason: CloseReason) {
    pipe?.farClosed()
  }
}
