import CPlatform
import Glibc

/// A process that this one has started.
public final class ChildProcess: @unchecked Sendable {  // `status` is written under `condition`
  public let id: Int32
  private let condition = Condition()
  private var status: Int32?

  private init(id: Int32) { self.id = id }

  /// Starts a program.
  ///
  /// - Parameters:
  ///   - path: the executable; looked up in PATH when it has no slash.
  ///   - environment: replaces the whole environment; nil hands this process's on.
  ///   - output: a file that standard output and error are appended to; nil: they are inherited.
  ///   - detached: puts it into a session of its own, so that it outlives a terminal.
  public static func start(
    _ path: String, _ arguments: [String], environment: [String: String]? = nil,
    directory: String? = nil, output: String? = nil, detached: Bool = false
  ) throws(SystemError) -> ChildProcess {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    if let output {
      posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o644)
      posix_spawn_file_actions_adddup2(&actions, 1, 2)
    }
    if let directory { _ = platform_spawn_addchdir(&actions, directory) }

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The child starts with no signal blocked or ignored, whatever this process has set.
    var none = sigset_t()
    sigemptyset(&none)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    var flags = Int32(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)
    if detached { flags |= 0x80 }  // POSIX_SPAWN_SETSID
    posix_spawnattr_setflags(&attributes, Int16(flags))

    let variables = (environment ?? ProcessInformation.environment)
      .sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    var id: pid_t = 0
    let code = withCStrings([path] + arguments) { argv in
      withCStrings(variables) { envp in posix_spawnp(&id, path, &actions, &attributes, argv, envp) }
    }
    guard code == 0 else { throw SystemError("posix_spawn", code: code, on: path) }
    return ChildProcess(id: id)
  }

  /// Sends a signal; false when the process is gone.
  @discardableResult
  public func signal(_ number: Int32) -> Bool {
    condition.lock()
    defer { condition.unlock() }
    guard status == nil else { return false }
    return kill(id, number) == 0
  }

  /// The exit status, 128 + n when a signal n ended it; nil while it runs.
  public func poll() -> Int32? {
    condition.lock()
    defer { condition.unlock() }
    if let status { return status }
    var raw: Int32 = 0
    let result = waitpid(id, &raw, WNOHANG)
    if result == id { status = platform_exit_status(raw) }
    if result < 0, errno == ECHILD { status = -1 }
    return status
  }

  /// Waits for the end, up to so many milliseconds; nil when it still runs.
  public func wait(upToMs limit: Int64) -> Int32? {
    let deadline = Clock.now().advanced(milliseconds: limit)
    while true {
      if let status = poll() { return status }
      if Clock.now() >= deadline { return nil }
      usleep(2_000)
    }
  }

  /// Asks it to end (SIGTERM), waits, and ends it (SIGKILL) when that was not enough.
  @discardableResult
  public func terminate(graceMs: Int64 = 10_000) -> Int32 {
    signal(SIGTERM)
    if let status = wait(upToMs: graceMs) { return status }
    signal(SIGKILL)
    return wait(upToMs: 60_000) ?? -1
  }
}

/// Null-terminated C strings for the length of a call.
private func withCStrings<R>(
  _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> R
) -> R {
  var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
  pointers.append(nil)
  defer { for pointer in pointers { free(pointer) } }
  return pointers.withUnsafeMutableBufferPointer { buffer in
    guard let start = buffer.baseAddress else { preconditionFailure("never empty") }
    return body(start)
  }
}
