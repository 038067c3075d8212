// A proxy that accepts for a dead member would hide its death.
import Platform
import Transport

/// Closes a proxy's listener while nobody listens at its target, so that whoever connects is
/// refused as the member's own machine would refuse him.
///
/// Nothing tells when a listener comes or goes; a trial connection does. One is made whenever a
/// connection to the member has ended, and every few milliseconds while the member is away.
/// Confined to its loop, which is the one that accepts.
final class TargetGate {
  private let destination: SocketAddress
  private let target: String
  private let loop: EventLoop
  private var server: Server?
  private var isTrying = false
  private var isOpen = true
  private var isStopped = false
  /// Trials in a row that found nobody.
  private var misses = 0
  /// Between two trials while the member is away, in milliseconds; the second when it has been away
  /// for long, as the port that only an ensemble's leader opens is on all others.
  private static let pauseMs: (soon: Int64, late: Int64) = (10, 40)
  private static let manyMisses = 300

  init(of destination: SocketAddress, named target: String, on loop: EventLoop) {
    self.destination = destination
    self.target = target
    self.loop = loop
  }

  /// Takes charge of a listening server.
  func keep(_ server: Server) {
    self.server = server
    attempt()
  }

  func stop() {
    isStopped = true
    server = nil
  }

  /// Finds out whether the member is there.
  func attempt() {
    guard !isTrying, !isStopped, server != nil else { return }
    isTrying = true
    _ = Connection.connect(to: destination, on: loop, .stream(Trial(self)))
  }

  private func isThere() {
    guard !isStopped, let server else { return }
    do {
      try server.resumeListening()
      isOpen = true
      misses = 0
    } catch {
      // Another process has the port for the moment.
      ProxyPipes.log.warn("the proxy cannot listen", ["target": target, "reason": "\(error)"])
      again()
    }
  }

  private func isAway() {
    guard !isStopped, let server else { return }
    if isOpen { server.stopListening() }
    isOpen = false
    again()
  }

  private func again() {
    misses += 1
    let pause = misses < Self.manyMisses ? Self.pauseMs.soon : Self.pauseMs.late
    loop.schedule(afterMs: pause) { [weak self] in self?.attempt() }
  }

  /// One connection that is closed as soon as it is made.
  private final class Trial: StreamHandler {
    private let gate: TargetGate
    private var isMade = false
    init(_ gate: TargetGate) { self.gate = gate }

    func opened(_ connection: Connection) {
      // A connection to a port that nobody listens at may meet itself.
      isMade = connection.local != connection.peer
      connection.close(.local("the member is there"))
    }
    func received(
      bytes: UnsafeMutableRawBufferPointer, on connection: Connection
    ) throws(CloseReason) -> Int { bytes.count }
    func closed(_ connection: Connection, because reason: CloseReason) {
      gate.isTrying = false
      if isMade { return gate.isThere() }
      if case .failed(let error) = reason, error.isRefused { return gate.isAway() }
      if connection.local == connection.peer { return gate.isAway() }
      gate.again()
    }
  }
}
