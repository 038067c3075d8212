// Is the process of a broker gone? The decision; sockets are the caller's.
import Metadata
import Values

/// Watches brokers by connections to their listeners, so that the death of a process is known in a
/// fraction of a second, without making any session shorter.
///
/// One line, a plain connection without a request, is held to each broker. The kernel ends it when
/// the process dies. That alone proves nothing: proxies, firewalls and idle limits end connections
/// too. So the address is tried again, and only a row of refusals counts: a machine that answers
/// "nobody listens here" several times, over a span that no hiccup of a listener takes.
///
/// | state | what happens | next |
/// |---|---|---|
/// | idle | its time has come: connect | connecting |
/// | connecting | made | up |
/// | connecting | refused, and the address answered before | the row grows; idle for a moment |
/// | connecting | timed out, unreachable, reset | the row is void; idle, backing off |
/// | up | the line ends | idle for a moment: the suspicion |
/// | the row is long enough | confirmed | gone |
/// | gone, and its address answers | nothing yet: mostly a new process, about to register | up |
/// | gone and up for longer than any session | revoked: it had been alive | up |
///
/// What makes it safe:
/// - An address that never answered this process is no witness: somebody who may not reach the
///   brokers (a firewall that refuses) never suspects any.
/// - A machine that is down, or cut off, refuses nothing: the session decides, as ever.
/// - A verdict is about one life of a broker (its epoch). One that is registered anew is watched
///   anew.
/// - A process that stands still does not refuse: the kernel goes on accepting for it.
///
/// Verdicts outlast their watch. Whoever takes office just after a death knows it already, or
/// learns it from one refusal: `missing` has the lives that were found to be over and do not answer
/// now.
public struct BrokerProbe: Sendable {
  /// A life of a broker and the address of the listener by which it is reached.
  public struct Subject: Equatable, Sendable {
    public var id: BrokerID
    public var epoch: BrokerEpoch
    public var host: String
    public var port: UInt16

    public init(id: BrokerID, epoch: BrokerEpoch, host: String, port: UInt16) {
      self.id = id
      self.epoch = epoch
      self.host = host
      self.port = port
    }

    /// Nil when the broker has no listener at all.
    public init?(_ broker: BrokerImage, listener: String?) {
      let found = listener.flatMap { broker.endpoint($0) } ?? broker.endpoints.first
      guard let found else { return nil }
      self.init(id: broker.id, epoch: broker.epoch, host: found.host, port: found.port)
    }

    var address: String { "\(host):\(port)" }
  }

  /// How a line came to its end, or did not come to be.
  public enum Ending: Sendable {
    /// ECONNREFUSED: a machine answers, and nobody listens there.
    case refused
    /// It had been made, and was closed or reset.
    case closed
    /// Neither made nor refused.
    case failed
  }

  public enum Effect: Equatable, Sendable {
    /// Connect, and tell `opened` or `ended` with this number.
    case connect(line: Int, host: String, port: UInt16)
    /// Close a line or an attempt; nothing more is to be told of it.
    case drop(line: Int)
    case confirmed(Subject)
    /// It answers after all, and its registration has outlived every session of a dead process.
    case revoked(Subject)
    case wakeAt(Instant)
  }

  /// Since the start of the process.
  public struct Counts: Equatable, Sendable {
    /// Lines that ended.
    public var suspected = 0
    public var confirmed = 0
    /// Confirmed, and found alive in the same life.
    public var falseSuspicions = 0

    public init(suspected: Int = 0, confirmed: Int = 0, falseSuspicions: Int = 0) {
      self.suspected = suspected
      self.confirmed = confirmed
      self.falseSuspicions = falseSuspicions
    }
  }

  /// So many refusals in a row, over so long a time, prove that a process is gone.
  public static let provingRefusals = 4
  public static let provingMs: Int64 = 150
  /// Between two refusals of a row.
  static let pauseMs: Int64 = 50
  /// A row that was left for longer than this is begun anew.
  static let rowLivesMs: Int64 = 1_000
  /// A line that was accepted and closed again and again is tried more and more seldom.
  static let shortestBackoffMs: Int64 = 50
  static let longestBackoffMs: Int64 = 5_000
  /// A line that has lived so long was a good one: the next trial comes at once.
  static let goodLineMs: Int64 = 2_000

  private enum State: Equatable {
    case idle(until: Instant)
    case connecting(Int)
    case up(Int, since: Instant)
  }

  private struct Watched {
    var subject: Subject
    var state: State
    var refusals = 0
    var firstRefusal = Instant.zero
    var lastRefusal = Instant.zero
    var backoffMs = BrokerProbe.shortestBackoffMs
    /// When it was declared gone.
    var goneAt: Instant?
    var isGone: Bool { goneAt != nil }
    /// An earlier watch of this very life has proven it gone: one refusal says it again.
    var wasGone = false

    init(_ subject: Subject, at now: Instant) {
      self.subject = subject
      state = .idle(until: now)
    }
  }

  // In the order of ids.
  private var watched: [Watched] = []
  /// What was known of lives that are not watched now and did not answer; the newest of each
  /// broker.
  private var remembered: [Watched] = []
  /// Addresses that have answered this process.
  private var witnesses: Set<String> = []
  private var lastLine = 0
  private let revokeAfterMs: Int64
  public private(set) var counts = Counts()

  /// - Parameter revokeAfterMs: after so long a registration of a dead process would have gone with
  ///   its session, in milliseconds.
  public init(revokeAfterMs: Int64) { self.revokeAfterMs = revokeAfterMs }

  /// Lives that are thought to be over.
  public var gone: [Subject] { watched.filter(\.isGone).map(\.subject) }

  /// Of those, the ones whose address does not answer: what answers is mostly a new process.
  public var missing: [Subject] {
    watched.filter { watched in
      if case .up = watched.state { false } else { watched.isGone }
    }.map(\.subject)
  }

  // MARK: Who is watched

  /// From now on these are watched, and no others. Lives that were watched go on as they were.
  public mutating func watch(
    _ subjects: [Subject], at now: Instant, into effects: inout [Effect]
  ) {
    var next: [Watched] = []
    for subject in subjects.sorted(by: { $0.id < $1.id }) {
      if let known = watched.first(where: { $0.subject == subject }) {
        next.append(known)
      } else {
        next.append(resumed(subject, at: now))
      }
    }
    for old in watched where !next.contains(where: { $0.subject == old.subject }) {
      drop(old, into: &effects)
      remembered.removeAll { $0.subject.id == old.subject.id }
      if old.refusals > 0 { remembered.append(old) }
    }
    watched = next
    advance(at: now, into: &effects)
  }

  /// A life that is watched from now on. A row of refusals goes on where it was left: who watched
  /// the controller is often the next one, in the middle of proving that the old one is gone.
  private func resumed(_ subject: Subject, at now: Instant) -> Watched {
    var new = Watched(subject, at: now)
    guard let old = remembered.first(where: { $0.subject == subject }) else { return new }
    new.wasGone = old.isGone || old.wasGone
    if now.milliseconds(since: old.lastRefusal) <= Self.rowLivesMs {
      new.refusals = old.refusals
      new.firstRefusal = old.firstRefusal
    }
    return new
  }

  /// A life that was declared over has shown that it is not: the declaration was wrong.
  public mutating func noteAlive(_ id: BrokerID, _ epoch: BrokerEpoch) {
    counts.falseSuspicions += 1
    guard
      let index = watched.firstIndex(where: { $0.subject.id == id && $0.subject.epoch == epoch })
    else { return }
    watched[index].goneAt = nil
    watched[index].wasGone = false
    watched[index].refusals = 0
  }

  /// Something else of this process has reached the address: it is a witness from now on.
  public mutating func noteReached(host: String, port: UInt16) {
    witnesses.insert("\(host):\(port)")
  }

  // MARK: What lines tell

  public mutating func opened(line: Int, at now: Instant, into effects: inout [Effect]) {
    guard let index = watched.firstIndex(where: { $0.state == .connecting(line) }) else { return }
    witnesses.insert(watched[index].subject.address)
    watched[index].state = .up(line, since: now)
    watched[index].refusals = 0
    watched[index].wasGone = false
    advance(at: now, into: &effects)
  }

  public mutating func ended(
    line: Int, _ ending: Ending, at now: Instant, into effects: inout [Effect]
  ) {
    guard
      let index = watched.firstIndex(where: {
        switch $0.state {
        case .connecting(line), .up(line, _): true
        default: false
        }
      })
    else { return }
    if case .up(_, let since) = watched[index].state {
      suspect(index, upSince: since, at: now)
    } else if ending == .refused, witnesses.contains(watched[index].subject.address) {
      refused(index, at: now, into: &effects)
    } else {
      watched[index].refusals = 0
      backOff(index, at: now)
    }
    advance(at: now, into: &effects)
  }

  /// The time asked for by `wakeAt` has come, or any other.
  public mutating func tick(at now: Instant, into effects: inout [Effect]) {
    advance(at: now, into: &effects)
  }

  private mutating func suspect(_ index: Int, upSince since: Instant, at now: Instant) {
    counts.suspected += 1
    watched[index].refusals = 0
    if now.milliseconds(since: since) >= Self.goodLineMs {
      watched[index].backoffMs = Self.shortestBackoffMs
      watched[index].state = .idle(until: now)
    } else {
      backOff(index, at: now)
    }
  }

  private mutating func refused(_ index: Int, at now: Instant, into effects: inout [Effect]) {
    if watched[index].refusals == 0 { watched[index].firstRefusal = now }
    watched[index].refusals += 1
    watched[index].lastRefusal = now
    watched[index].state = .idle(until: now.advanced(milliseconds: Self.pauseMs))
    let span = now.milliseconds(since: watched[index].firstRefusal)
    let isProof = watched[index].refusals >= Self.provingRefusals && span >= Self.provingMs
    guard isProof || watched[index].wasGone else { return }
    // It is looked at on, less often: a registration outlives its process by a session.
    watched[index].state = .idle(until: now.advanced(milliseconds: 10 * Self.pauseMs))
    guard !watched[index].isGone else { return }
    watched[index].goneAt = now
    if !watched[index].wasGone { counts.confirmed += 1 }
    effects.append(.confirmed(watched[index].subject))
  }

  private mutating func backOff(_ index: Int, at now: Instant) {
    watched[index].state = .idle(until: now.advanced(milliseconds: watched[index].backoffMs))
    watched[index].backoffMs = min(watched[index].backoffMs * 2, Self.longestBackoffMs)
  }

  // MARK: Going on

  private mutating func advance(at now: Instant, into effects: inout [Effect]) {
    var next = Instant.distantFuture
    for index in watched.indices {
      if let at = revocation(of: index) {
        if at <= now { revoke(index, into: &effects) } else { next = min(next, at) }
      }
      guard case .idle(let until) = watched[index].state else { continue }
      guard until <= now else {
        next = min(next, until)
        continue
      }
      lastLine += 1
      watched[index].state = .connecting(lastLine)
      let subject = watched[index].subject
      effects.append(.connect(line: lastLine, host: subject.host, port: subject.port))
    }
    if next != .distantFuture { effects.append(.wakeAt(next)) }
  }

  /// When a life that is thought to be over, and answers, is believed again.
  private func revocation(of index: Int) -> Instant? {
    guard case .up = watched[index].state else { return nil }
    return watched[index].goneAt?.advanced(milliseconds: revokeAfterMs)
  }

  private mutating func revoke(_ index: Int, into effects: inout [Effect]) {
    watched[index].goneAt = nil
    watched[index].wasGone = false
    counts.falseSuspicions += 1
    effects.append(.revoked(watched[index].subject))
  }

  private func drop(_ old: Watched, into effects: inout [Effect]) {
    switch old.state {
    case .idle: break
    case .connecting(let line), .up(let line, _): effects.append(.drop(line: line))
    }
  }
}
