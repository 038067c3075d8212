import Foundation
import Glibc
import Platform

/// The running process of one member, found again by its pid file.
///
/// A pid alone could by now belong to somebody else: it counts only while its command line names
/// the member's configuration file.
struct MemberProcess {
  let member: ClusterMember
  let folder: ClusterFolder

  /// The pid of the running process, nil when there is none.
  var runningID: Int32? {
    guard let id = lastID,
      let command = try? Data(contentsOf: URL(filePath: "/proc/\(id)/cmdline")),
      String(decoding: command, as: UTF8.self).contains(folder.config(of: member).path),
      !isZombie(id)
    else { return nil }
    return id
  }

  /// The pid of the last process that was started, whatever became of it.
  private var lastID: Int32? {
    guard let text = try? String(contentsOf: folder.pidFile(of: member), encoding: .utf8),
      let id = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)), id > 1
    else { return nil }
    return id
  }

  private func isZombie(_ id: Int32) -> Bool { Self.isZombie(at: "/proc/\(id)") }

  private static func isZombie(at folder: String) -> Bool {
    guard let status = try? String(contentsOfFile: "\(folder)/stat", encoding: .utf8),
      let end = status.lastIndex(of: ")")
    else { return true }
    return status[end...].dropFirst(2).first == "Z"
  }

  /// Whether a process is about to end: it has no memory any more, and so no command line, but
  /// threads that still hold its files. On a busy machine that lasts for a while, in which neither
  /// its locks nor its ports are free.
  static func isEnding(_ id: Int32) -> Bool {
    guard let command = try? Data(contentsOf: URL(filePath: "/proc/\(id)/cmdline")),
      command.isEmpty,
      let threads = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(id)/task")
    else { return false }
    return threads.contains { !isZombie(at: "/proc/\(id)/task/\($0)") }
  }

  /// The size of the log now; what a start writes comes after it.
  var logSize: UInt64 {
    let attributes = try? FileManager.default.attributesOfItem(atPath: folder.log(of: member).path)
    return attributes?[.size] as? UInt64 ?? 0
  }

  /// What the process has logged since the log was `start` bytes long.
  func log(since start: UInt64) -> String {
    guard let handle = try? FileHandle(forReadingFrom: folder.log(of: member)) else { return "" }
    defer { try? handle.close() }
    try? handle.seek(toOffset: start)
    return String(decoding: (try? handle.readToEnd()) ?? Data(), as: UTF8.self)
  }

  /// Starts it detached from the terminal, with its log appended to the member's file.
  ///
  /// - Parameter hasMovableClock: whether its time of day can be set by `setClock`.
  func start(executables: URL, hasMovableClock: Bool) throws {
    let path = executables.appending(path: member.executable).path
    guard FileManager.default.isExecutableFile(atPath: path) else {
      throw ClusterProblem("\(path) is missing: build it first (make build)")
    }
    if let id = lastID { awaitEnd(of: id) }
    var environment = ProcessInformation.environment
    if hasMovableClock { environment[ClockOffset.variable] = folder.clock(of: member).path }
    let child = try ChildProcess.start(
      path, [folder.config(of: member).path], environment: environment,
      output: folder.log(of: member).path, detached: true)
    try Data("\(child.id)\n".utf8).write(to: folder.pidFile(of: member), options: .atomic)
  }

  /// SIGTERM, then SIGKILL when it has not ended within the limit. True when it ended by itself.
  func stop(limitMs: Int64) -> Bool {
    guard let id = runningID else { return true }
    kill(id, SIGCONT)
    kill(id, SIGTERM)
    let deadline = Clock.now().advanced(milliseconds: limitMs)
    while Clock.now() < deadline {
      if runningID == nil {
        awaitEnd(of: id)
        try? FileManager.default.removeItem(at: folder.pidFile(of: member))
        return true
      }
      reap(id)
      usleep(5_000)
    }
    kill(id, SIGKILL)
    awaitEnd(of: id)
    try? FileManager.default.removeItem(at: folder.pidFile(of: member))
    return false
  }

  /// Waits for a process that was killed or has ended: afterwards what it held is free.
  func awaitEnd(of id: Int32) {
    while runningID == id || Self.isEnding(id) {
      reap(id)
      usleep(5_000)
    }
  }

  /// Collects the process if it was this very process that started it.
  private func reap(_ id: Int32) {
    var status: Int32 = 0
    waitpid(id, &status, WNOHANG)
  }
}
