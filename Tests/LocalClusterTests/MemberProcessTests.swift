import Foundation
import Glibc
import Platform
import Testing

@testable import LocalCluster

/// Processes that have no command line any more and still hold what they held.
@Suite struct MemberProcessTests {
  @Test func aProcessWithoutItsMainThreadIsStillThere() async throws {
    let python = "/usr/bin/python3"
    guard FileManager.default.isExecutableFile(atPath: python) else { return }
    // The main thread ends, as in the midst of an exit; another one sleeps on.
    let script = """
      import ctypes, threading, time
      threading.Thread(target=lambda: time.sleep(60)).start()
      ctypes.CDLL(None).pthread_exit(None)
      """
    let child = try ChildProcess.start(python, ["-c", script])
    var isEnding = false
    for _ in 0..<500 where !isEnding {
      try await Task.sleep(for: .milliseconds(20))
      isEnding = MemberProcess.isEnding(child.id)
    }
    #expect(isEnding)
    kill(child.id, SIGKILL)
    var status: Int32 = 0
    waitpid(child.id, &status, 0)
    #expect(!MemberProcess.isEnding(child.id))
  }

  @Test func aLivingProcessIsNotEnding() {
    #expect(!MemberProcess.isEnding(getpid()))
    #expect(!MemberProcess.isEnding(.max))
  }
}
