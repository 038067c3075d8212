import CPlatform
import Glibc
import Platform
import Synchronization
import Values

/// What the machine keeps of a loop's waiting.
struct PollerState {
  struct Watched {
    let socket: Int32
    let key: UInt64
    var interest: Readiness
  }

  /// In the order in which they were added.
  var watched: [Watched] = []
  /// The loop's thread, while it waits.
  var waiter: Int?
  var isWoken = false
}

/// Stands in for epoll: level-triggered, and in no order that a loop may rely on.
final class SimulatedPoller: Poller {
  private let machine: SimulatedMachine
  private let index: Int

  init(_ machine: SimulatedMachine, index: Int) {
    self.machine = machine
    self.index = index
  }

  func control(
    _ operation: Int32, _ descriptor: Int32, _ interest: Readiness, key: UInt64
  ) throws(SystemError) {
    let code = machine.state.withLock { state in
      state.control(index, operation, descriptor, interest, key)
    }
    if code != 0 { throw SystemError("epoll_ctl", code: code) }
  }

  func wait(
    _ events: UnsafeMutablePointer<epoll_event>, capacity: Int, milliseconds: Int32
  ) -> Int {
    machine.switchAway { [index] state, thread in
      if milliseconds == 0 || state.pollers[index].isWoken || state.hasReady(index) {
        state.makeRunnable(thread)
        return
      }
      state.pollers[index].waiter = thread
      state.block(
        thread,
        until: milliseconds < 0 ? nil : state.now.advanced(milliseconds: Int64(milliseconds)))
    }
    return machine.state.withLock { state in
      // Looked at now, not when the loop was woken: what has come since is in the same turn.
      state.pollers[index].waiter = nil
      state.pollers[index].isWoken = false
      var ready = state.ready(index)
      ready.shuffle(using: &state.random)
      for (place, event) in ready.prefix(capacity).enumerated() {
        events[place].events = event.readiness.rawValue
        events[place].data.u64 = event.key
      }
      return min(ready.count, capacity)
    }
  }

  func wake() {
    CurrentThread.mustBeKnown()
    machine.state.withLock { state in
      state.pollers[index].isWoken = true
      if let waiter = state.pollers[index].waiter { state.wake(waiter) }
    }
  }

  /// Never asked for: being woken is no event here.
  func finishWake() {}
}

extension SimulatedMachine {
  package func makePoller(named name: String) -> any Poller {
    let index = state.withLock { state in
      state.pollers.append(PollerState())
      return state.pollers.count - 1
    }
    return SimulatedPoller(self, index: index)
  }
}

extension MachineState {
  /// Returns an `errno`; 0 when it is done.
  fileprivate mutating func control(
    _ poller: Int, _ operation: Int32, _ socket: Int32, _ interest: Readiness, _ key: UInt64
  ) -> Int32 {
    // Only sockets of this machine can be waited for.
    // A socket that is closed is watched no longer, as with epoll.
    guard network.sockets[socket] != nil else { return EBADF }
    let place = pollers[poller].watched.firstIndex { $0.socket == socket }
    switch operation {
    case EPOLL_CTL_ADD:
      if place != nil { return EEXIST }
      pollers[poller].watched.append(
        PollerState.Watched(socket: socket, key: key, interest: interest))
      network.sockets[socket]?.poller = poller
    case EPOLL_CTL_MOD:
      guard let place else { return ENOENT }
      pollers[poller].watched[place].interest = interest
    default:
      guard let place else { return ENOENT }
      pollers[poller].watched.remove(at: place)
      network.sockets[socket]?.poller = nil
    }
    return 0
  }

  func hasReady(_ poller: Int) -> Bool {
    pollers[poller].watched.contains { !readiness($0).isEmpty }
  }

  func ready(_ poller: Int) -> [(key: UInt64, readiness: Readiness)] {
    pollers[poller].watched.compactMap { watched in
      let readiness = readiness(watched)
      return readiness.isEmpty ? nil : (watched.key, readiness)
    }
  }

  private func readiness(_ watched: PollerState.Watched) -> Readiness {
    let all = network.sockets[watched.socket]?.readiness ?? []
    return all.intersection(watched.interest.union(.broken))
  }

  /// A socket may have become ready: wakes the loop that waits for it.
  mutating func touch(_ socket: Int32) {
    guard let poller = network.sockets[socket]?.poller, let waiter = pollers[poller].waiter,
      let watched = pollers[poller].watched.first(where: { $0.socket == socket }),
      !readiness(watched).isEmpty
    else { return }
    wake(waiter)
  }

  mutating func unwatch(_ socket: Int32, of poller: Int) {
    pollers[poller].watched.removeAll { $0.socket == socket }
  }
}
