import Glibc
import Platform
import Simulation
import Synchronization
import Values

/// Where a thread waits for its turn.
final class Gate: Sendable {
  private let condition = KernelCondition()
  private let isOpen = Atomic<Bool>(false)

  func open() {
    condition.lock()
    isOpen.store(true, ordering: .relaxed)
    condition.signal()
    condition.unlock()
  }

  /// Waits until it is open, and closes it.
  func pass() {
    condition.lock()
    while !isOpen.load(ordering: .relaxed) { condition.wait() }
    isOpen.store(false, ordering: .relaxed)
    condition.unlock()
  }
}

/// The calling thread's number on the machine.
enum CurrentThread {
  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key, nil)
    return key
  }()

  static func set(_ thread: Int) {
    pthread_setspecific(key, UnsafeRawPointer(bitPattern: thread + 1))
  }

  /// Nil on threads that the machine has not been told of.
  static var number: Int? {
    let number = Int(bitPattern: pthread_getspecific(key))
    return number == 0 ? nil : number - 1
  }

  /// Threads of Swift's own pools run when they like: what they do to a node is in no history.
  static func mustBeKnown() {
    precondition(number != nil, "a thread that the simulated machine does not know has come in")
  }
}

/// The threads, and which of them can run.
struct Scheduler {
  /// The thread that drives the simulation: of no process, but scheduled as the others are.
  static let driver = 0

  enum Status { case runnable, waiting, ended }

  struct Entry {
    let name: String
    let process: Int?
    let gate = Gate()
    var status = Status.runnable
    /// Counts its waits, so that the time-out of an earlier one is recognised.
    var waits = 0
    var joiners: [Int] = []
  }

  var threads: [Entry] = []
  /// Threads that can run, in no order that matters: one is drawn.
  var runnable: [Int] = []
  /// Threads that wait for a condition, in the order in which they came.
  var waiting: [ObjectIdentifier: [Int]] = [:]
}

/// Everything that the machine knows. Whoever has the turn has it, for the length of a call.
struct MachineState {
  /// What happens by itself, later.
  enum Occurrence {
    case timeout(thread: Int, wait: Int)
    case arrival(Segment)
  }

  let options: SimulatedMachine.Options
  var now = Instant(milliseconds: 1_000_000)
  var random: SplitMix
  var events = EventQueue<Occurrence>()
  var scheduler = Scheduler()
  var pollers: [PollerState] = []
  var hosts: [Host] = []
  var processes: [ProcessRecord] = []
  /// The process whose first thread is being made.
  var starting: Int?
  var network = Network()
  /// Which process has opened a file.
  var openers: [Int32: Int] = [:]
  var disk: DiskJournal
  var trace: MachineTrace

  init(seed: UInt64, options: SimulatedMachine.Options, trace: MachineTrace, disk: DiskJournal) {
    self.options = options
    self.trace = trace
    self.disk = disk
    random = SplitMix(seed: seed)
    scheduler.threads.append(Scheduler.Entry(name: "driver", process: nil))
  }

  mutating func draw(_ range: ClosedRange<Int64>) -> Int64 {
    Int64.random(in: range, using: &random)
  }

  // MARK: Waiting

  /// Takes a thread out of those that can run, for ever or until a point in time.
  mutating func block(_ thread: Int, until deadline: Instant?) {
    scheduler.threads[thread].status = .waiting
    scheduler.threads[thread].waits += 1
    guard let deadline else { return }
    events.schedule(
      .timeout(thread: thread, wait: scheduler.threads[thread].waits), at: max(now, deadline))
  }

  /// Lets a thread run again; nothing happens when it can.
  mutating func wake(_ thread: Int) {
    guard scheduler.threads[thread].status == .waiting else { return }
    makeRunnable(thread)
  }

  mutating func makeRunnable(_ thread: Int) {
    scheduler.threads[thread].status = .runnable
    scheduler.runnable.append(thread)
  }

  // MARK: Choosing

  /// Whose turn it is. Moves the clock: a turn takes its time, and when no thread can run, what
  /// happens next is waited for.
  mutating func chooseNext() -> Int {
    while true {
      while let next = events.nextTime, next <= now, let event = events.next() {
        happen(event.event)
      }
      if let thread = takeRunnable() {
        now.nanoseconds += draw(options.turnNanoseconds)
        trace.add(.turn, thread, at: now)
        return thread
      }
      guard let next = events.nextTime else {
        preconditionFailure("every thread waits, and nothing will ever happen")
      }
      now = max(now, next)
    }
  }

  private mutating func happen(_ event: Occurrence) {
    switch event {
    case .arrival(let segment): deliver(segment)
    case .timeout(let thread, let wait):
      if scheduler.threads[thread].waits == wait { wake(thread) }
    }
  }

  /// Draws one of those that can run. The dead are dropped, the paused put aside; and now and then
  /// one is held up for a while, as by a kernel that has something else to do.
  private mutating func takeRunnable() -> Int? {
    while !scheduler.runnable.isEmpty {
      let place = Int(random.next() % UInt64(scheduler.runnable.count))
      scheduler.runnable.swapAt(place, scheduler.runnable.count - 1)
      let thread = scheduler.runnable.removeLast()
      guard let process = scheduler.threads[thread].process else { return thread }
      if processes[process].isDead { continue }
      if processes[process].isPaused {
        processes[process].parked.append(thread)
      } else if random.next() % 256 == 0 {
        let delay = draw(options.preemptionsMicroseconds) * 1_000
        block(thread, until: now.advanced(nanoseconds: delay))
      } else {
        return thread
      }
    }
    return nil
  }
}
