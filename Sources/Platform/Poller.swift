import CPlatform
import Glibc

/// What a loop waits on: descriptors that become ready, and being woken by another thread.
package protocol Poller: AnyObject, Sendable {
  /// As `epoll_ctl`: adds, changes or removes a descriptor; `key` comes back with its events.
  func control(
    _ operation: Int32, _ descriptor: Int32, _ interest: Readiness, key: UInt64
  ) throws(SystemError)
  /// As `epoll_wait`. An event of the key `.max` means that the loop was woken, and wants
  /// `finishWake` to be called.
  func wait(
    _ events: UnsafeMutablePointer<epoll_event>, capacity: Int, milliseconds: Int32
  ) -> Int
  /// Ends the loop's waiting, now or the next time; from any thread.
  func wake()
  func finishWake()
}

/// The kernel's: epoll and an eventfd.
final class KernelPoller: Poller {
  private let epoll: FileDescriptor
  private let wakeup: FileDescriptor

  init() throws(SystemError) {
    epoll = FileDescriptor(
      owning: try retrying("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
    wakeup = FileDescriptor(
      owning: try retrying("eventfd") { eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)) })
    try control(EPOLL_CTL_ADD, wakeup.number, .readable, key: .max)
  }

  func control(
    _ operation: Int32, _ descriptor: Int32, _ interest: Readiness, key: UInt64
  ) throws(SystemError) {
    var event = epoll_event()
    event.events = interest.rawValue
    event.data.u64 = key
    try retrying("epoll_ctl") { epoll_ctl(epoll.number, operation, descriptor, &event) }
  }

  func wait(
    _ events: UnsafeMutablePointer<epoll_event>, capacity: Int, milliseconds: Int32
  ) -> Int {
    Int(epoll_wait(epoll.number, events, Int32(capacity), milliseconds))
  }

  func wake() {
    var one: UInt64 = 1
    while Glibc.write(wakeup.number, &one, 8) < 0, errno == EINTR {}
  }

  func finishWake() {
    var count: UInt64 = 0
    _ = Glibc.read(wakeup.number, &count, 8)
  }
}
