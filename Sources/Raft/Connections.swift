import Values

// One request at a time to every node, and a pause after each that failed.

/// What was asked, and of whom.
struct Inflight: Sendable {
  let node: RaftNode
  let request: RaftRequest
  let correlation: CorrelationID
  let sent: Instant
}

/// The requests under way, by node.
struct Connections: Sendable {
  private enum State: Sendable {
    case waiting(Inflight)
    case backingOff(until: Instant)
  }

  private struct Entry: Sendable {
    let node: BrokerID
    var state: State
  }

  /// Whether a request may be sent now.
  enum Readiness: Hashable {
    case ready
    /// Not before then: the pause is over, or the answer overdue.
    case busy(until: Instant)
  }

  private let requestTimeoutMs: Int64
  private let retryBackoffMs: Int64
  /// In the order in which they were first used; a node that is not here is ready.
  private var entries: [Entry] = []
  private var lastCorrelation: Int64 = 0

  init(requestTimeoutMs: Int64, retryBackoffMs: Int64) {
    self.requestTimeoutMs = requestTimeoutMs
    self.retryBackoffMs = retryBackoffMs
  }

  // MARK: Questions

  func readiness(_ node: BrokerID, at now: Instant) -> Readiness {
    guard let entry = entries.first(where: { $0.node == node }) else { return .ready }
    let until = end(of: entry.state)
    return now < until ? .busy(until: until) : .ready
  }

  /// The request that an answer is for; nil if it is not waited for any more.
  func inflight(_ correlation: CorrelationID) -> Inflight? {
    for entry in entries {
      if case .waiting(let inflight) = entry.state, inflight.correlation == correlation {
        return inflight
      }
    }
    return nil
  }

  func isBackingOff(_ node: BrokerID, at now: Instant) -> Bool {
    guard let entry = entries.first(where: { $0.node == node }),
      case .backingOff(let until) = entry.state
    else { return false }
    return now < until
  }

  func hasTimedOut(_ node: BrokerID, at now: Instant) -> Bool {
    guard let entry = entries.first(where: { $0.node == node }), case .waiting = entry.state else {
      return false
    }
    return now >= end(of: entry.state)
  }

  /// When the fetches under way will all have been answered or be overdue; nil if there are none.
  func busyUntil(at now: Instant) -> Instant? {
    var latest: Instant?
    for entry in entries {
      guard case .waiting = entry.state, entry.node != RaftMachine.joiningNode else { continue }
      let until = end(of: entry.state)
      if now < until { latest = max(latest ?? until, until) }
    }
    return latest
  }

  private func end(of state: State) -> Instant {
    switch state {
    case .waiting(let inflight): inflight.sent.advanced(milliseconds: requestTimeoutMs)
    case .backingOff(let until): until
    }
  }

  // MARK: Changes

  mutating func sent(_ request: RaftRequest, to node: RaftNode, at now: Instant) -> CorrelationID {
    lastCorrelation += 1
    let correlation = CorrelationID(lastCorrelation)
    let inflight = Inflight(node: node, request: request, correlation: correlation, sent: now)
    set(.waiting(inflight), node.id)
    return correlation
  }

  /// An answer has come; it does nothing if the connection was reset meanwhile.
  mutating func completed(
    _ correlation: CorrelationID, succeeded: Bool, at now: Instant, pauseMs: Int64? = nil
  ) {
    guard let inflight = inflight(correlation) else { return }
    if succeeded {
      entries.removeAll { $0.node == inflight.node.id }
    } else {
      let pause = pauseMs ?? retryBackoffMs
      set(.backingOff(until: now.advanced(milliseconds: pause)), inflight.node.id)
    }
  }

  mutating func reset(_ node: BrokerID) { entries.removeAll { $0.node == node } }

  /// Forgets all: a new role has other questions, and answers to old ones mean nothing to it.
  mutating func resetAll() { entries.removeAll() }

  private mutating func set(_ state: State, _ node: BrokerID) {
    if let index = entries.firstIndex(where: { $0.node == node }) {
      entries[index].state = state
    } else {
      entries.append(Entry(node: node, state: state))
    }
  }
}
