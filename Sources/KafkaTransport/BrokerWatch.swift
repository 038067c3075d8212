/// Holds a line to each watched broker and tells when the process behind one is gone. The decision
/// is `BrokerProbe`'s; here are its sockets and its clock.
import Control
import Platform
import Telemetry
import Transport
import Values

/// Confined to its loop.
public final class BrokerWatch {
  private let loop: EventLoop
  private var probe: BrokerProbe
  private var lines: [Int: Connection] = [:]
  private var timer = LoopTimer.none
  private var isClosed = false
  private let onConfirmed: (BrokerProbe.Subject) -> Void
  private let onRevoked: (BrokerProbe.Subject) -> Void
  private let counters: (suspected: Counter, confirmed: Counter, wrong: Counter)
  private var told = BrokerProbe.Counts()
  private static let log = Log("liveness")
  /// An address that does not even refuse says nothing, however long one waits.
  private static let connectTimeoutMs: Int64 = 2_000

  /// - Parameters:
  ///   - sessionTimeoutMs: how long a registration outlives its process at most, in milliseconds.
  ///   - onConfirmed: a process is gone; called on the loop, as is the other.
  ///   - onRevoked: it was not, after all.
  public init(
    on loop: EventLoop, sessionTimeoutMs: Int64, metrics: Metrics,
    onConfirmed: @escaping (BrokerProbe.Subject) -> Void,
    onRevoked: @escaping (BrokerProbe.Subject) -> Void
  ) {
    self.loop = loop
    // Servers stretch sessions, and look only now and then.
    probe = BrokerProbe(revokeAfterMs: 2 * sessionTimeoutMs + 10_000)
    self.onConfirmed = onConfirmed
    self.onRevoked = onRevoked
    let prefix = "jackdaw_failure_detection"
    counters = (
      metrics.counter(
        "\(prefix)_suspected_total", help: "Lines to brokers that ended: reasons to probe"),
      metrics.counter(
        "\(prefix)_confirmed_total", help: "Brokers whose process was proven to be gone"),
      metrics.counter(
        "\(prefix)_false_total", help: "Of those, brokers that turned out to be alive")
    )
  }

  /// From now on these are watched, and no others.
  public func watch(_ subjects: [BrokerProbe.Subject]) {
    guard !isClosed else { return }
    change { probe, effects in probe.watch(subjects, at: loop.now, into: &effects) }
  }

  /// A broker that was declared gone has shown that it lives.
  public func noteAlive(_ id: BrokerID, _ epoch: BrokerEpoch) {
    change { probe, _ in probe.noteAlive(id, epoch) }
  }

  /// Another connection of this process was made to this address: its word counts from now on.
  public func noteReached(host: String, port: UInt16) {
    change { probe, _ in probe.noteReached(host: host, port: port) }
  }

  /// Lives that were found to be over, and whose addresses do not answer.
  public var missing: [BrokerProbe.Subject] { probe.missing }

  public func close() {
    watch([])
    isClosed = true
    loop.cancel(timer)
  }

  private func change(_ body: (inout BrokerProbe, inout [BrokerProbe.Effect]) -> Void) {
    var effects: [BrokerProbe.Effect] = []
    body(&probe, &effects)
    count()
    for effect in effects { perform(effect) }
  }

  private func count() {
    let counts = probe.counts
    counters.suspected.add(Int64(counts.suspected - told.suspected))
    counters.confirmed.add(Int64(counts.confirmed - told.confirmed))
    counters.wrong.add(Int64(counts.falseSuspicions - told.falseSuspicions))
    told = counts
  }

  private func perform(_ effect: BrokerProbe.Effect) {
    switch effect {
    case .connect(let line, let host, let port): connect(line, host, port)
    case .drop(let line): lines.removeValue(forKey: line)?.close(.local("not watched any more"))
    case .confirmed(let subject):
      Self.log.info(
        "the process of a broker is gone: its listener refuses connections",
        ["broker": subject.id.rawValue, "epoch": subject.epoch.rawValue])
      onConfirmed(subject)
    case .revoked(let subject):
      Self.log.warn(
        "a broker that seemed to be gone is alive",
        ["broker": subject.id.rawValue, "epoch": subject.epoch.rawValue])
      onRevoked(subject)
    case .wakeAt(let instant):
      loop.cancel(timer)
      timer = loop.schedule(at: instant) { [weak self] in
        guard let self, !isClosed else { return }
        change { probe, effects in probe.tick(at: self.loop.now, into: &effects) }
      }
    }
  }

  private func connect(_ line: Int, _ host: String, _ port: UInt16) {
    let box = Unchecked(self)
    Hosts.resolve(host, port: port, then: loop) { found in
      box.value.connect(line, to: (try? found.get())?.first)
    }
  }

  private func connect(_ line: Int, to address: SocketAddress?) {
    guard !isClosed else { return }
    guard let address else { return endLater(line) }
    var limits = ConnectionLimits()
    limits.connectTimeoutMs = Self.connectTimeoutMs
    lines[line] = Connection.connect(
      to: address, on: loop, .stream(self), limits: limits, context: Line(line))
  }

  /// Not from within the effects of the step that asked for it.
  private func endLater(_ line: Int) {
    let box = Unchecked(self)
    loop.execute { box.value.end(line, .failed) }
  }

  private func end(_ line: Int, _ ending: BrokerProbe.Ending) {
    change { probe, effects in probe.ended(line: line, ending, at: loop.now, into: &effects) }
  }

  /// What a connection carries: which line it is, and whether it was made.
  private final class Line {
    let number: Int
    var isMade = false
    init(_ number: Int) { self.number = number }
  }
}

extension BrokerWatch: StreamHandler {
  public func opened(_ connection: Connection) {
    guard let line = connection.context as? Line, lines[line.number] === connection else { return }
    // Where nobody listens at a port of the kernel's own range, a connection from this machine may
    // meet itself. It must not be held: the broker could not have its port back.
    guard connection.local != connection.peer else {
      return connection.close(.local("connected to itself"))
    }
    line.isMade = true
    change { probe, effects in
      probe.opened(line: line.number, at: loop.now, into: &effects)
    }
  }

  /// Nothing was asked, so nothing is to be heard.
  public func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) -> Int { bytes.count }

  public func closed(_ connection: Connection, because reason: CloseReason) {
    guard let line = connection.context as? Line, lines[line.number] === connection else { return }
    lines[line.number] = nil
    if line.isMade { return end(line.number, .closed) }
    if case .failed(let error) = reason, error.isRefused { return end(line.number, .refused) }
    if connection.local == connection.peer { return end(line.number, .refused) }
    end(line.number, .failed)
  }
}
