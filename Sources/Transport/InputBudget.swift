import Synchronization

/// A bound on what half-received frames of all connections may hold: `queued.max.request.bytes`.
///
/// A connection that has the beginning of a frame takes the frame's whole length out of the budget,
/// and gives it back when the frame has been handled. While nothing is left, other connections that
/// are in the middle of a frame are not read from. Like Kafka's memory pool it lends as long as
/// anything is left, so the last taker may overdraw it by one frame; nobody who was lent to is ever
/// stopped, so that what has begun can end.
public final class InputBudget: Sendable {
  private struct State {
    var left: Int64
    var waiting: [Connection] = []
  }

  private let state: Mutex<State>

  public init(bytes: Int64) { state = Mutex(State(left: bytes)) }

  /// Bytes that can be lent still; negative when it is overdrawn.
  public var left: Int64 { state.withLock { $0.left } }

  func take(_ bytes: Int) -> Bool {
    state.withLock { state in
      guard state.left > 0 else { return false }
      state.left -= Int64(bytes)
      return true
    }
  }

  func give(_ bytes: Int) {
    let waiting = state.withLock { state -> [Connection] in
      state.left += Int64(bytes)
      guard state.left > 0 else { return [] }
      defer { state.waiting.removeAll() }
      return state.waiting
    }
    for connection in waiting { connection.loop.execute { connection.claimInput() } }
  }

  /// Has `claimInput` called when something is given back.
  func wait(_ connection: Connection) {
    let isTooLate = state.withLock { state in
      if state.left > 0 { return true }
      state.waiting.append(connection)
      return false
    }
    if isTooLate { connection.loop.execute { connection.claimInput() } }
  }
}

extension Connection {
  /// Takes what the frame at the front of the input needs, or stops reading until it can be had.
  func claimInput() {
    guard let budget = limits.inputBudget, state == .open, lent == 0 else { return }
    let length = frameLength
    guard length > 0 else {
      // The frame that was waited for has gone.
      if isOverBudget { stopWaiting() }
      return
    }
    if budget.take(length) {
      lent = length
      if isOverBudget { stopWaiting() }
    } else {
      isOverBudget = true
      scheduleFlush()
      budget.wait(self)
    }
  }

  private func stopWaiting() {
    isOverBudget = false
    scheduleFlush()
  }

  /// Gives back what a frame had taken that has been handled, or never will be.
  func returnInput() {
    guard lent > 0 else { return }
    limits.inputBudget?.give(lent)
    lent = 0
  }

  /// Bytes of the frame that the input begins with, its length included; 0 while that is unknown.
  private var frameLength: Int {
    guard case .frames = handler, input.count >= 4 else { return 0 }
    let length = Int32(bigEndian: input.bytes.loadUnaligned(as: Int32.self))
    return length >= 0 && Int(length) <= limits.maxFrameBytes ? Int(length) + 4 : 0
  }
}
