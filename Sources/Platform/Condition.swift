import Glibc
import Values

/// A lock to wait under: what the blocking side of this module needs and `Mutex` does not have.
///
/// On a simulated machine waiting is giving the turn away.
final class Condition: Sendable {
  private let kernel = KernelCondition()

  func lock() {
    guard Machines.simulated != nil else { return kernel.lock() }
    // No thread gives its turn away under the lock, so that it is free whenever one runs.
    precondition(kernel.tryLock(), "a simulated thread waits while it has this lock")
  }

  func unlock() { kernel.unlock() }

  /// Unlocks, waits for a signal, locks again. May wake without one.
  func wait() {
    guard let machine = Machines.simulated else { return kernel.wait() }
    unlock()
    _ = machine.wait(for: ObjectIdentifier(self), until: nil)
    lock()
  }

  /// The same, at most until `deadline`; false when that has come.
  func wait(until deadline: Instant) -> Bool {
    guard let machine = Machines.simulated else { return kernel.wait(until: deadline) }
    unlock()
    defer { lock() }
    return machine.wait(for: ObjectIdentifier(self), until: deadline)
  }

  func signal() {
    guard let machine = Machines.simulated else { return kernel.signal() }
    machine.wake(ObjectIdentifier(self), all: false)
  }

  func broadcast() {
    guard let machine = Machines.simulated else { return kernel.broadcast() }
    machine.wake(ObjectIdentifier(self), all: true)
  }
}

/// The kernel's, also in simulations: a simulated machine hands out turns with it.
package final class KernelCondition: @unchecked Sendable {  // pthread objects at a fixed address
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    mutex.initialize(to: pthread_mutex_t())
    condition.initialize(to: pthread_cond_t())
    pthread_mutex_init(mutex, nil)
    // Deadlines are on the clock that nobody can set.
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
    condition.deallocate()
  }

  package func lock() { pthread_mutex_lock(mutex) }
  /// False when another thread has the lock.
  package func tryLock() -> Bool { pthread_mutex_trylock(mutex) == 0 }
  package func unlock() { pthread_mutex_unlock(mutex) }
  package func wait() { pthread_cond_wait(condition, mutex) }
  /// The same, at most until `deadline`; false when that has come.
  func wait(until deadline: Instant) -> Bool {
    var time = timespec(
      tv_sec: Int(deadline.nanoseconds / 1_000_000_000),
      tv_nsec: Int(deadline.nanoseconds % 1_000_000_000))
    return pthread_cond_timedwait(condition, mutex, &time) != ETIMEDOUT
  }
  package func signal() { pthread_cond_signal(condition) }
  package func broadcast() { pthread_cond_broadcast(condition) }
}
