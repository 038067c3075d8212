import CPlatform
import Glibc

/// A thread of the operating system. Event loops and I/O workers run on these; nothing else should
/// need one.
public final class Thread: @unchecked Sendable {  // `handle` is written before anyone else sees it
  private var handle: pthread_t = 0
  /// Its number on a simulated machine.
  private let simulated: Int?

  private final class Start {
    let name: String
    let simulated: Int?
    let body: @Sendable () -> Void
    init(name: String, simulated: Int?, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.simulated = simulated
      self.body = body
    }
  }

  /// Starts a thread, whose name is cut to 15 bytes where the system shows it.
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    simulated = Machines.simulated?.createThread(named: name)
    let start = Unmanaged.passRetained(Start(name: name, simulated: simulated, body: body))
    let code = pthread_create(
      &handle, nil,
      { argument in
        guard let argument else { return nil }
        let simulated = Unmanaged<Start>.fromOpaque(argument).takeUnretainedValue().simulated
        if let simulated { Machines.simulated?.beginThread(simulated) }
        Thread.run(argument)
        // Nothing of the body is left by now: what it held has gone in the thread's own turn.
        if let simulated { Machines.simulated?.endThread(simulated) }
        return nil
      }, start.toOpaque())
    if code != 0 {
      start.release()
      throw SystemError("pthread_create", code: code)
    }
  }

  @inline(never)
  private static func run(_ argument: UnsafeMutableRawPointer) {
    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
    platform_name_thread(start.name)
    start.body()
  }

  /// Waits for the thread's end. Called at most once.
  public func join() {
    if let simulated { Machines.simulated?.join(simulated) }
    pthread_join(handle, nil)
  }

  /// Whether this is the calling thread.
  public var isCurrent: Bool { pthread_equal(handle, pthread_self()) != 0 }
}

/// A lock to wait under: what the blocking side of this module needs and `Mutex` does not have.
///
/// Its calls go to the kernel in simulations, too, where threads are given their turns by it;
/// `Condition` is what everything else waits with.
package final class KernelCondition: @unchecked Sendable {  // pthread objects at a fixed address
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    mutex.initialize(to: pthread_mutex_t())
    condition.initialize(to: pthread_cond_t())
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
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
  /// Unlocks, waits for a signal, locks again. May wake without one.
  package func wait() { pthread_cond_wait(condition, mutex) }
  package func signal() { pthread_cond_signal(condition) }
  package func broadcast() { pthread_cond_broadcast(condition) }
}

/// A lock to wait under, on the kernel or on a simulated machine.
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
    machine.wait(for: ObjectIdentifier(self))
    lock()
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
