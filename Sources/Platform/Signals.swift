import CPlatform
import Glibc

/// Signals as events of a loop.
public enum Signals {
  /// Makes writing to a closed socket or pipe an error instead of death. Every loop sees to it.
  public static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

  /// Makes writing beyond the process's limit for files an error (EFBIG) instead of death: a limit
  /// is a full disk, which a broker survives.
  public static func ignoreFileSizeLimits() { signal(SIGXFSZ, SIG_IGN) }

  /// Keeps SIGTERM and SIGINT from their default action, in this thread and all that it starts.
  /// Called in `main` before any loop starts; `onTermination` then receives them.
  public static func blockTermination() {
    var set = terminationSet()
    pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// Calls `body` on `loop` at every SIGTERM or SIGINT, with the signal's number.
  /// - Precondition: `blockTermination` came before the first thread.
  public static func onTermination(
    _ loop: EventLoop, _ body: @escaping @Sendable (Int32) -> Void
  ) throws(SystemError) {
    if Machines.simulated != nil { throw SystemError("signalfd", code: ENOTSUP) }
    var set = terminationSet()
    let number = try retrying("signalfd") {
      signalfd(-1, &set, Int32(SFD_CLOEXEC | SFD_NONBLOCK))
    }
    let source = SignalSource(FileDescriptor(owning: number), body)
    loop.execute { source.start(on: loop) }
  }

  private static func terminationSet() -> sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    sigaddset(&set, SIGINT)
    return set
  }
}

private final class SignalSource: ReadinessHandler, @unchecked Sendable {  // used on its loop only
  private let descriptor: FileDescriptor
  private let body: @Sendable (Int32) -> Void

  init(_ descriptor: consuming FileDescriptor, _ body: @escaping @Sendable (Int32) -> Void) {
    self.descriptor = descriptor
    self.body = body
  }

  func start(on loop: EventLoop) { _ = try? loop.watch(descriptor.number, for: .readable, self) }

  func ready(_ readiness: Readiness) {
    var info = signalfd_siginfo()
    let size = MemoryLayout<signalfd_siginfo>.size
    while read(descriptor.number, &info, size) == size { body(Int32(info.ssi_signo)) }
  }
}
