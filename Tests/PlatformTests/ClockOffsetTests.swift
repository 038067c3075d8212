import Foundation
import Testing
import Values

@testable import Platform

struct ClockOffsetTests {
  /// The jump itself needs a process of its own: drill 36 has one. Here: what it is told.
  @Test func anOffsetIsEightBytesOfMilliseconds() throws {
    let path = "\(NSTemporaryDirectory())clock-\(UInt64.random(in: 0 ... .max))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try ClockOffset.set(-3_600_000, in: path)
    try ClockOffset.set(42, in: path)
    let bytes = try Data(contentsOf: URL(filePath: path))
    #expect(bytes.withUnsafeBytes { $0.loadUnaligned(as: Int64.self) } == 42)
    #expect(bytes.count == 8)
  }

  @Test func filesOfALimitedProcessStayShort() throws {
    let path = "\(NSTemporaryDirectory())limit-\(UInt64.random(in: 0 ... .max))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let child = try ChildProcess.start(
      "/bin/sh", ["-c", "trap '' XFSZ; sleep 0.5; head -c 5000 /dev/zero > \(path); exit 3"])
    #expect(ProcessInformation.limitFileSize(of: child.id, bytes: 1000))
    #expect(child.wait(upToMs: 10_000) == 3)
    #expect(try Data(contentsOf: URL(filePath: path)).count == 1000)
    #expect(!ProcessInformation.limitFileSize(of: child.id, bytes: nil))
  }
}
