import Containers
import Synchronization
import Values

/// A few threads for work that blocks: fsync, rolling, recovery, cleaning, cold reads, name lookup.
///
/// The number of threads bounds what hits the disk at once; what waits is counted, and the longest
/// wait measured, so that a slow disk shows before it hurts.
public final class IOPool: Sendable {
  private struct Job {
    let submitted: Instant
    let work: @Sendable () -> Void
  }

  private final class Queue: @unchecked Sendable {  // guarded by `condition`
    let condition = Condition()
    var jobs = RingQueue<Job>()
    var running = 0
    var longestWaitNanoseconds: Int64 = 0
    var completed: Int64 = 0
    var isStopping = false
  }

  private let queue = Queue()
  private let threads: Mutex<[Thread]>
  /// Beyond this many waiting jobs `trySubmit` refuses.
  public let limit: Int

  /// Starts so many threads.
  public init(
    threads count: Int, name: String = "io", limit: Int = 10_000
  ) throws(SystemError) {
    self.limit = limit
    threads = Mutex([])
    for index in 0..<max(1, count) {
      let thread = try Thread(name: "\(name)-\(index)") { [queue] in Self.work(queue) }
      threads.withLock { $0.append(thread) }
    }
  }

  private static func work(_ queue: Queue) {
    while true {
      queue.condition.lock()
      while queue.jobs.isEmpty, !queue.isStopping { queue.condition.wait() }
      guard let job = queue.jobs.popFirst() else {
        queue.condition.unlock()
        return
      }
      queue.running += 1
      let waited = Clock.now().nanoseconds - job.submitted.nanoseconds
      queue.longestWaitNanoseconds = max(queue.longestWaitNanoseconds, waited)
      queue.condition.unlock()
      Machines.simulated?.waitForDisk()
      job.work()
      queue.condition.lock()
      queue.running -= 1
      queue.completed += 1
      queue.condition.unlock()
    }
  }

  /// Runs `work` on one of the threads. Work that must not be lost (a flush) comes this way.
  public func submit(_ work: @escaping @Sendable () -> Void) {
    enqueue(Job(submitted: Clock.now(), work: work), limit: .max)
  }

  /// The same unless too many jobs wait already; false then.
  public func trySubmit(_ work: @escaping @Sendable () -> Void) -> Bool {
    enqueue(Job(submitted: Clock.now(), work: work), limit: limit)
  }

  /// Runs `work` on a thread and hands its result to `completion` on `loop`.
  public func submit<T: Sendable>(
    _ work: @escaping @Sendable () -> T, then loop: EventLoop,
    _ completion: @escaping @Sendable (T) -> Void
  ) {
    submit {
      let result = work()
      loop.execute { completion(result) }
    }
  }

  /// Runs `work` on a thread; for asynchronous callers.
  public func run<T: Sendable>(_ work: @escaping @Sendable () -> T) async -> T {
    await withCheckedContinuation { continuation in
      submit { continuation.resume(returning: work()) }
    }
  }

  @discardableResult
  private func enqueue(_ job: Job, limit: Int) -> Bool {
    queue.condition.lock()
    defer { queue.condition.unlock() }
    guard queue.jobs.count < limit, !queue.isStopping else { return false }
    queue.jobs.append(job)
    queue.condition.signal()
    return true
  }

  public struct Load: Sendable {
    public var waiting: Int
    public var running: Int
    public var completed: Int64
    /// The longest that a job has waited for a thread since the last look.
    public var longestWaitNanoseconds: Int64
  }

  /// How busy the pool is; resets the longest wait.
  public func load() -> Load {
    queue.condition.lock()
    defer { queue.condition.unlock() }
    let load = Load(
      waiting: queue.jobs.count, running: queue.running, completed: queue.completed,
      longestWaitNanoseconds: queue.longestWaitNanoseconds)
    queue.longestWaitNanoseconds = 0
    return load
  }

  /// Finishes what waits, then ends the threads and returns.
  public func stop() {
    queue.condition.lock()
    queue.isStopping = true
    queue.condition.broadcast()
    queue.condition.unlock()
    for thread in threads.withLock({ threads in
      defer { threads = [] }
      return threads
    }) { thread.join() }
  }
}
