// A machine to run nodes on: simulated clock, network, disk and chance, in one process.
//
// The nodes are those that ship. Their threads stay threads of the operating system, so that code
// which blocks does so as it always does, but exactly one of them runs at a time: it has the turn,
// and gives it away only where it waits (a loop for its sockets, a thread for a condition). Whose
// turn it is next is drawn from the seed, as is everything else that chance decides; and when no
// thread can run, the clock moves on to what happens next. One seed is one history.
//
// What the network may do to bytes is written at the top of Network.swift, what a power failure may
// do to files at the top of DiskJournal.swift.

import Glibc
import Platform
import Simulation
import Synchronization
import Values

/// A simulated machine below this process. There is one in the life of a process: what crashes in
/// it is never run again, but keeps its memory and its (waiting) threads.
///
/// The thread that makes it drives the simulation, and calls everything here but `sleep`, `now` and
/// `note`, which are for all.
/// The nodes' own order of hashing is the seed's only if the process was started with
/// `SWIFT_DETERMINISTIC_HASHING=1` in its environment.
public final class SimulatedMachine: Machine {
  /// How the machine behaves.
  public struct Options: Sendable {
    /// How long a message is under way, and how long one in fifty is; microseconds.
    public var delaysMicroseconds: ClosedRange<Int64> = 50...500
    public var slowDelaysMicroseconds: ClosedRange<Int64> = 2_000...20_000
    /// How long blocking work waits for the disk; microseconds. Now and then ten times as long.
    public var diskDelaysMicroseconds: ClosedRange<Int64> = 20...1_000
    /// How long a thread that could run, one in 256 times, does not; microseconds.
    public var preemptionsMicroseconds: ClosedRange<Int64> = 100...10_000
    /// What a turn of a thread takes on the clock; nanoseconds.
    public var turnNanoseconds: ClosedRange<Int64> = 500...20_000
    /// Processors that nodes believe to have.
    public var processors = 2
    /// A file that every event is written to; nil: only the last ones are kept, in memory.
    public var traceFile: String?
    public init() {}
  }

  let options: Options
  let state: Mutex<MachineState>
  /// The file that the thread with the turn is about to make.
  let creating = Mutex<String?>(nil)
  /// Where processes have their files: a folder of its own for each, named like the process.
  public let folder: String

  /// Makes the machine and puts it below this process.
  ///
  /// - Parameters:
  ///   - folder: made if it is not there; on a file system in memory if there is a choice.
  public init(seed: UInt64, folder: String, options: Options = Options()) throws(SystemError) {
    try FileSystem.createDirectory(folder)
    self.folder = try FileSystem.absolutePath(folder)
    self.options = options
    let graveyard = self.folder + "/.removed"
    try FileSystem.createDirectory(graveyard)
    ProcessInformation.raiseDescriptorLimit()
    let trace = try MachineTrace(file: options.traceFile)
    state = Mutex(
      MachineState(
        seed: seed, options: options, trace: trace,
        disk: DiskJournal(folder: self.folder, graveyard: graveyard)))
    CurrentThread.set(Scheduler.driver)
    Machines.install(self)
  }

  // MARK: Running

  /// The simulated monotonic clock, which begins at a thousand seconds.
  public var now: Instant { state.withLock { $0.now } }

  /// Lets the others run until a condition holds (true), or so much simulated time has passed.
  ///
  /// The condition is looked at once in a simulated millisecond, between turns: it may read what
  /// nodes publish, and must not wait.
  public func run(untilMs limit: Int64, _ condition: () -> Bool) -> Bool {
    let end = now.advanced(milliseconds: limit)
    while true {
      if condition() { return true }
      if now >= end { return false }
      switchAway { state, thread in
        // Hours in which nothing happens are passed over at once.
        let isIdle = state.scheduler.runnable.isEmpty
        let next = isIdle ? state.events.nextTime ?? end : state.now
        state.block(thread, until: min(end, max(next, state.now.advanced(milliseconds: 1))))
      }
    }
  }

  /// Lets the calling thread, of a process or the driver's, wait.
  public func sleep(milliseconds: Int64) { sleep(nanoseconds: milliseconds * 1_000_000) }

  // MARK: Processes

  /// Starts a process, whose first thread runs `main`; what that makes and starts belongs to it,
  /// also after `main` has returned.
  ///
  /// A process of a name that has run before finds that one's files and clock: it is the same host.
  @discardableResult
  public func start(
    _ name: String, _ main: @escaping @Sendable () -> Void
  ) throws(SystemError) -> SimulatedProcess {
    let id = state.withLock { $0.addProcess(name) }
    let process = SimulatedProcess(id: id, name: name, folder: folder + "/" + name)
    try FileSystem.createDirectory(process.folder)
    _ = try Thread(name: name) { main() }
    state.withLock { $0.starting = nil }
    return process
  }

  /// What a process loses when it ends without a word.
  public enum Loss: Sendable {
    /// It was killed: the kernel closes its sockets, and has what it wrote.
    case nothing
    /// Its host lost power: peers hear nothing, and of what was not synced some is gone. Other
    /// processes of that host end, too; it is dark until one of its name is started.
    case unsynced
  }

  /// Ends a process. Its threads are never run again.
  public func crash(_ process: SimulatedProcess, losing loss: Loss) {
    let descriptors = state.withLock { $0.end(process.id, losing: loss) }
    // Whatever still holds a descriptor holds nothing: locks are free, and the number is not given
    // to another file under the feet of an object that will be closed some day.
    Self.blind(descriptors)
    guard loss == .unsynced else { return }
    state.withLock { state in
      state.disk.losePower(
        of: process.name, using: &state.random, into: &state.trace, at: state.now)
    }
  }

  private static func blind(_ descriptors: [Int32]) {
    let nothing = open("/dev/null", O_RDWR | O_CLOEXEC)
    for descriptor in descriptors { dup2(nothing, descriptor) }
    Glibc.close(nothing)
  }

  /// Takes a process off the processor, as SIGSTOP does; its host goes on.
  public func pause(_ process: SimulatedProcess) {
    state.withLock { state in
      state.trace.add(.paused, process.id, at: state.now)
      state.processes[process.id].isPaused = true
    }
  }

  public func resume(_ process: SimulatedProcess) {
    state.withLock { state in
      state.trace.add(.resumed, process.id, at: state.now)
      state.resume(process.id)
    }
  }

  /// Whether any thread of the process is left.
  public func isRunning(_ process: SimulatedProcess) -> Bool {
    state.withLock { state in
      !state.processes[process.id].isDead
        && state.scheduler.threads.contains { $0.process == process.id && $0.status != .ended }
    }
  }

  /// The process whose thread is calling; nil on the driver's.
  public var currentProcess: String? {
    state.withLock { state in
      CurrentThread.number.flatMap { state.scheduler.threads[$0].process }
        .map { state.processes[$0].name }
    }
  }

  /// Moves the wall clock of a process's host; the monotonic clock stays.
  public func jumpClock(of name: String, ms: Int64) {
    state.withLock { state in
      let host = state.host(named: name)
      state.trace.add(.clockJumped, host, Int(ms), at: state.now)
      state.hosts[host].clockOffsetMs += ms
    }
  }

  // MARK: Links

  /// Holds back what one host sends to another, from here on; one direction only.
  public func cut(from: String, to: String) {
    state.withLock { state in
      state.changeLink(from, to) { $0.isCut = true }
    }
  }

  /// Makes everything from one host to another take longer, by so many milliseconds.
  public func slow(from: String, to: String, ms: Int64) {
    state.withLock { state in
      state.changeLink(from, to) { $0.extraMs = ms }
    }
  }

  /// Ends a cut and slowness; what was held back arrives.
  public func heal(from: String, to: String) {
    state.withLock { $0.heal(from, to) }
  }

  public func healAll() { state.withLock { $0.healAll() } }

  // MARK: Trace

  /// Puts a line into the trace.
  public func note(_ text: String) {
    state.withLock { state in state.trace.note(text, at: state.now) }
  }

  /// A hash of everything that has happened. Two runs of one seed have equal ones at equal times;
  /// if they do not, something has read a clock, an address or chance from elsewhere.
  public var digest: UInt64 { state.withLock { $0.trace.digest } }

  /// The last events, oldest first.
  public func lastEvents() -> [String] {
    state.withLock { state in
      let (threads, processes) = (state.scheduler.threads, state.processes)
      return state.trace.lastEvents { thread in
        let entry = threads[thread]
        return entry.process.map { "\(processes[$0].name)/\(entry.name)" } ?? entry.name
      }
    }
  }
}
