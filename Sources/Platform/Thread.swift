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
