import CPlatform
import Glibc
import Synchronization
import Values

/// What a descriptor can be ready for.
public struct Readiness: OptionSet, Sendable {
  public let rawValue: UInt32
  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
  public static let readable = Readiness(rawValue: PLATFORM_EPOLLIN)
  public static let writable = Readiness(rawValue: PLATFORM_EPOLLOUT)
  /// The peer is gone or the socket has an error; reported whether asked for or not.
  public static let broken = Readiness(rawValue: PLATFORM_EPOLLERR | PLATFORM_EPOLLHUP)
}

/// Is told, on its loop, what its descriptor is ready for.
public protocol ReadinessHandler: AnyObject {
  func ready(_ readiness: Readiness)
}

/// Is called once, at the end of the turn in which it was asked for.
public protocol TurnHook: AnyObject {
  func endOfTurn()
}

/// A timer's target that needs no closure: `tag` tells its timers apart.
public protocol TimerTarget: AnyObject {
  func timerFired(tag: Int)
}

/// One thread that waits for sockets, timers and messages, and runs what they ask for, in turns.
///
/// A turn: wait; dispatch what is ready; fire timers; run the messages that other threads have
/// sent; run the end-of-turn work; flush. Everything that belongs to a loop (connections, what
/// hangs on them) is touched from its thread only, so it needs no locks. Only `execute`,
/// `perform`, `run`, `stop` and `isCurrent` may be called from elsewhere.
public final class EventLoop: @unchecked Sendable {  // confined to its thread but for the mailbox
  public let name: String
  public let index: Int

  /// The time at which the turn began; cheap, and the same for all that a turn decides.
  public internal(set) var now: Instant
  public internal(set) var wallNow: WallTime
  /// Turns so far: how often the loop woke.
  public private(set) var turns: UInt64 = 0

  /// Memory that whatever runs may use until it returns: a read's landing place.
  public let scratch: UnsafeMutableRawBufferPointer

  /// For layers above: what they keep once for each loop (pools, caches), by their own type.
  public var attachments: [ObjectIdentifier: AnyObject] = [:]

  // MARK: State

  let poller: any Poller
  private var thread: Thread?
  private let threadID = Atomic<UInt>(0)
  private var isRunning = true
  private let idle = Atomic<Int64>(0)

  /// In a struct, because an array of bare closures makes a box around each of them.
  struct Message: Sendable {
    let run: @Sendable () -> Void
  }

  struct Mailbox {
    var messages: [Message] = []
    // The loop waits, or is on its way to: the next message must wake it.
    var isSleeping = false
    var isClosed = false
  }
  private let mailbox = Mutex(Mailbox())
  private var batch: [Message] = []

  var watched: [Watched] = []
  var freeWatched: [Int] = []
  var wheel: TimerWheel
  var workHooks: [any TurnHook] = []
  var flushHooks: [any TurnHook] = []
  private var runningHooks: [any TurnHook] = []

  /// Starts a loop on a thread of its own.
  public init(name: String, index: Int = 0, scratchBytes: Int = 256 * 1024) throws(SystemError) {
    // sendfile to a peer that is gone would end the process; as an error it ends the connection.
    Signals.ignoreBrokenPipes()
    self.name = name
    self.index = index
    poller = if let machine = Machines.simulated { machine.makePoller(named: name) } else {
      try KernelPoller()
    }
    scratch = .allocate(byteCount: scratchBytes, alignment: 4096)
    now = Clock.now()
    wallNow = Clock.wallNow()
    wheel = TimerWheel(startingAt: now.milliseconds)
    thread = try Thread(name: name) { [self] in loop() }
  }

  deinit { scratch.deallocate() }

  /// Whether the caller runs on this loop's thread.
  public var isCurrent: Bool { threadID.load(ordering: .relaxed) == UInt(pthread_self()) }

  // MARK: From any thread

  /// Runs `body` on the loop's thread, in a later turn or at the end of this one; bodies of one
  /// sender keep their order. Dropped when the loop has stopped.
  public func execute(_ body: @escaping @Sendable () -> Void) { _ = enqueue(body) }

  /// False when the loop has stopped.
  private func enqueue(_ body: @escaping @Sendable () -> Void) -> Bool {
    let (accepted, mustWake) = mailbox.withLock { mailbox in
      if mailbox.isClosed { return (false, false) }
      mailbox.messages.append(Message(run: body))
      defer { mailbox.isSleeping = false }
      return (true, mailbox.isSleeping)
    }
    if mustWake { poller.wake() }
    return accepted
  }

  /// Runs `body` on the loop and waits for its result. For start-up, shutdown and tests: blocks.
  /// - Precondition: not called from a loop's thread.
  public func perform<T: Sendable>(_ body: @escaping @Sendable () -> T) -> T {
    precondition(!isCurrent, "perform would wait for itself")
    let result = Box<T>()
    if enqueue({ result.fill(body()) }) { return result.wait() }
    // Nothing runs there any more: what was confined to the loop is safe here.
    threadID.store(UInt(pthread_self()), ordering: .relaxed)
    return body()
  }

  /// Runs `body` on the loop; for asynchronous callers.
  public func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
    await withCheckedContinuation { continuation in
      let message: @Sendable () -> Void = { continuation.resume(returning: body()) }
      if !enqueue(message) { message() }
    }
  }

  /// Ends the loop after the current turn. `join` waits for it.
  public func stop() { execute { [self] in isRunning = false } }

  /// Waits for the end of the thread.
  public func join() { thread?.join() }

  /// Messages waiting: what other threads have sent and the loop has not come to.
  public var mailboxDepth: Int { mailbox.withLock { $0.messages.count } }

  /// Time spent waiting rather than working, in nanoseconds since the start; from any thread.
  public var idleNanoseconds: Int64 { idle.load(ordering: .relaxed) }

  // MARK: Ends of turns

  /// Calls `hook` at the end of this turn, before output is flushed: group commit, parked fetches.
  public func atEndOfTurn(_ hook: any TurnHook) { workHooks.append(hook) }

  /// Calls `hook` at the very end of this turn: output that the turn has gathered.
  public func flushAtEndOfTurn(_ hook: any TurnHook) { flushHooks.append(hook) }

  // MARK: The turn

  private func loop() {
    threadID.store(UInt(pthread_self()), ordering: .relaxed)
    let capacity = 256
    let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: capacity)
    defer { events.deallocate() }
    while isRunning {
      let wait = timeout()
      let before = Clock.now()
      let count = poller.wait(events, capacity: capacity, milliseconds: wait)
      mailbox.withLock { $0.isSleeping = false }
      now = Clock.now()
      idle.add(now.nanoseconds &- before.nanoseconds, ordering: .relaxed)
      wallNow = Clock.wallNow()
      turns &+= 1
      for index in 0..<max(0, count) { dispatch(events[index]) }
      fireTimers()
      runMessages()
      endTurn()
    }
    // Whoever waits for an answer gets it.
    while !closeMailbox() { runMessages() }
    watched = []
    attachments = [:]
  }

  private func closeMailbox() -> Bool {
    mailbox.withLock { mailbox in
      mailbox.isClosed = mailbox.messages.isEmpty
      return mailbox.isClosed
    }
  }

  /// Milliseconds that the loop may sleep; tells senders that it does.
  private func timeout() -> Int32 {
    if !workHooks.isEmpty || !flushHooks.isEmpty { return 0 }
    let mustRun = mailbox.withLock { mailbox in
      mailbox.isSleeping = mailbox.messages.isEmpty
      return !mailbox.isSleeping
    }
    if mustRun { return 0 }
    guard let tick = wheel.nextTick else { return -1 }
    // Rounded up: waking just before a timer would only spin.
    let wait = tick - (Clock.now().nanoseconds / 1_000_000)
    return Int32(clamping: max(0, wait))
  }

  private func dispatch(_ event: epoll_event) {
    let key = event.data.u64
    if key == .max {
      poller.finishWake()
      return
    }
    let index = Int(key & 0xffff_ffff)
    // Closed, or closed and reused, earlier in this turn: the event is stale.
    guard index < watched.count, watched[index].generation == UInt32(truncatingIfNeeded: key >> 32),
      let handler = watched[index].handler
    else { return }
    handler.ready(Readiness(rawValue: event.events))
  }

  private func fireTimers() {
    while let timer = wheel.popDue(at: now.milliseconds) {
      switch timer {
      case .closure(let body): body()
      case .target(let target, let tag): target.timerFired(tag: tag)
      }
    }
  }

  /// Runs what had arrived when it began; what those send comes next turn, after the sockets.
  private func runMessages() {
    mailbox.withLock { swap(&$0.messages, &batch) }
    for message in batch { message.run() }
    batch.removeAll(keepingCapacity: batch.capacity <= 1024)
  }

  private func endTurn() {
    // Hooks may ask for more work this turn; a bound keeps the sockets from starving.
    var rounds = 0
    while !workHooks.isEmpty, rounds < 16 {
      swap(&workHooks, &runningHooks)
      runHooks()
      rounds += 1
    }
    swap(&flushHooks, &runningHooks)
    runHooks()
  }

  private func runHooks() {
    for hook in runningHooks { hook.endOfTurn() }
    runningHooks.removeAll(keepingCapacity: true)
  }
}

/// A result that one thread fills and another waits for.
final class Box<T: Sendable>: @unchecked Sendable {  // guarded by `condition`
  private let condition = Condition()
  private var value: T?

  func fill(_ value: T) {
    condition.lock()
    self.value = value
    condition.signal()
    condition.unlock()
  }

  func wait() -> T {
    condition.lock()
    defer { condition.unlock() }
    while true {
      if let value { return value }
      condition.wait()
    }
  }
}
