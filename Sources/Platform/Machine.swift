import CPlatform
import Glibc
import Synchronization
import Values

// The seam between this module and the kernel. A process that ships has a kernel below it and pays
// one relaxed load and an untaken branch for each call; a simulation puts a `Machine` there, which
// runs whole clusters of nodes in one process, on a clock, a network and disks of its own.

/// What takes the kernel's place in a simulation.
///
/// Calls come from threads that the machine has been told of (`createThread`), or from the one that
/// drives the simulation. Exactly one of them runs at a time; another gets its turn only in the
/// calls that say "waits".
package protocol Machine: MachineTime, MachineThreads, MachineNetwork, MachineDisk {}

/// Clocks and chance.
package protocol MachineTime: AnyObject, Sendable {
  /// Processors that the calling process may use.
  var processorCount: Int { get }
  func monotonicNow() -> Instant
  /// The time of day as the calling process sees it.
  func wallNow() -> WallTime
  func fillRandom(_ buffer: UnsafeMutableRawBufferPointer)
}

/// Threads, and what they wait for.
package protocol MachineThreads: AnyObject, Sendable {
  /// Makes a thread of the caller's process known, under a number of its own.
  func createThread(named name: String) -> Int
  /// The first call on a new thread; waits.
  func beginThread(_ thread: Int)
  /// The last call on a thread; does not wait, but gives the turn away.
  func endThread(_ thread: Int)
  /// Waits until a thread has ended.
  func join(_ thread: Int)
  /// Waits until `wake` is called for the same object; false when the deadline came first.
  func wait(for object: ObjectIdentifier, until deadline: Instant?) -> Bool
  func wake(_ object: ObjectIdentifier, all: Bool)
  /// Waits for so long.
  func sleep(nanoseconds: Int64)
  /// Waits for as long as a disk may take to get to a piece of work.
  func waitForDisk()
  func makePoller(named name: String) -> any Poller
}

/// TCP. Sockets have numbers from `Machines.firstSocket` on, which no kernel gives out.
package protocol MachineNetwork: AnyObject, Sendable {
  func listen(at address: SocketAddress) throws(SystemError) -> Int32
  func accept(_ listener: Int32) throws(SystemError) -> (Int32, SocketAddress)?
  func connect(to address: SocketAddress) throws(SystemError) -> Int32
  /// The `errno` of what has gone wrong since the last look; 0 when nothing has.
  func takeError(_ socket: Int32) -> Int32
  func address(of socket: Int32, isPeer: Bool) throws(SystemError) -> SocketAddress
  func read(
    _ socket: Int32, into buffer: UnsafeMutableRawBufferPointer, isPeeking: Bool
  ) -> Socket.Transfer
  func write(_ socket: Int32, _ bytes: UnsafeRawBufferPointer) -> Socket.Transfer
  func finishWriting(_ socket: Int32)
  func close(_ socket: Int32)
}

/// Files stay files of the kernel; the machine hears of every change beforehand, so that it can
/// undo those that a power failure would have lost.
package protocol MachineDisk: AnyObject, Sendable {
  func willOpen(_ path: String, _ mode: File.Mode)
  func didOpen(_ path: String, as descriptor: Int32)
  func willClose(_ descriptor: Int32)
  /// - Parameter position: nil: at the end of the file.
  func willWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at position: Int64?)
  func willResize(_ descriptor: Int32, to size: Int64)
  /// Everything written to the file is durable from here on.
  func sync(_ descriptor: Int32)
  func willRename(_ path: String, to newPath: String)
  /// Removes a file; returns the `errno`, 0 when it is gone.
  func removeFile(_ path: String) -> Int32
  func didCreateDirectory(_ path: String)
  func willRemoveDirectory(_ path: String)
  /// The names in a directory are durable from here on.
  func syncDirectory(_ path: String)
  /// When a file was changed last, in milliseconds since 1970; nil: not in this simulation.
  func modifiedMs(inode: UInt64) -> Int64?
  /// Whether reading bytes of a file would not have to wait for the disk.
  func isCached() -> Bool
}

/// The machine below this process.
package enum Machines {
  /// The first number of a simulated socket: kernels give the lowest that is free.
  package static let firstSocket: Int32 = 1 << 30

  private static let isSimulating = Atomic<Bool>(false)
  private static let installed = Mutex<(any Machine)?>(nil)

  /// The simulated machine; nil in every process that ships.
  @inline(__always)
  static var simulated: (any Machine)? {
    guard isSimulating.load(ordering: .relaxed) else { return nil }
    return simulatedMachine()
  }

  @inline(never)
  private static func simulatedMachine() -> (any Machine)? { installed.withLock { $0 } }

  /// Puts a machine below everything that this process does from here on.
  /// - Precondition: called once, before any loop or thread of this module has been made.
  package static func install(_ machine: any Machine) {
    installed.withLock { installed in
      precondition(installed == nil, "one process simulates one machine")
      installed = machine
    }
    isSimulating.store(true, ordering: .relaxed)
  }
}
