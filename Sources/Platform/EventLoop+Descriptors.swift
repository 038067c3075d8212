import CPlatform
import Glibc

/// A descriptor that a loop waits for. Forgotten by `EventLoop.unwatch`, before it is closed.
public struct Watch: Sendable {
  let index: Int
  let generation: UInt32
}

struct Watched {
  var handler: (any ReadinessHandler)?
  var descriptor: Int32 = -1
  var generation: UInt32 = 0
}

extension EventLoop {
  /// Calls `handler` whenever the descriptor is ready for something asked for. The loop keeps the
  /// handler alive until `unwatch`.
  public func watch(
    _ descriptor: Int32, for interest: Readiness, _ handler: any ReadinessHandler
  ) throws(SystemError) -> Watch {
    assert(isCurrent)
    let index = freeWatched.popLast() ?? watched.count
    if index == watched.count { watched.append(Watched()) }
    watched[index].handler = handler
    watched[index].descriptor = descriptor
    let watch = Watch(index: index, generation: watched[index].generation)
    do {
      try control(EPOLL_CTL_ADD, watch, interest)
    } catch {
      forget(watch)
      throw error
    }
    return watch
  }

  /// Changes what is waited for; nothing at all is fine.
  public func change(_ watch: Watch, to interest: Readiness) throws(SystemError) {
    assert(isCurrent)
    guard watched[watch.index].generation == watch.generation else { return }
    try control(EPOLL_CTL_MOD, watch, interest)
  }

  /// Stops waiting; events of this turn that have not been delivered are dropped.
  public func unwatch(_ watch: Watch) {
    assert(isCurrent)
    guard watch.index < watched.count, watched[watch.index].generation == watch.generation else {
      return
    }
    try? control(EPOLL_CTL_DEL, watch, [])
    forget(watch)
  }

  private func forget(_ watch: Watch) {
    watched[watch.index].handler = nil
    watched[watch.index].descriptor = -1
    // Events that epoll has already handed out carry the old generation and are recognised.
    watched[watch.index].generation &+= 1
    freeWatched.append(watch.index)
  }

  private func control(
    _ operation: Int32, _ watch: Watch, _ interest: Readiness
  ) throws(SystemError) {
    let key = UInt64(watch.generation) << 32 | UInt64(watch.index)
    try poller.control(operation, watched[watch.index].descriptor, interest, key: key)
  }
}
