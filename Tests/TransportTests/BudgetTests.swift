import Bytes
import Glibc
import Platform
import Testing
import Values

@testable import Transport

/// `queued.max.request.bytes`: what half-received frames hold together.
@Suite struct BudgetTests {
  private static let frameBytes = 2 << 20  // more than one read brings

  private func frame() -> [UInt8] {
    var writer = ByteWriter()
    writer.writeInt32(Int32(Self.frameBytes))
    writer.writeZeros(Self.frameBytes)
    return writer.array()
  }

  /// Whether an answer of a frame's length begins within the time.
  private func isAnswered(_ client: RawClient, ms: Int) async throws -> Bool {
    for _ in 0..<max(ms / 10, 1) {
      var byte: UInt8 = 0
      if recv(client.descriptor, &byte, 1, Int32(MSG_DONTWAIT) | Int32(MSG_PEEK)) > 0 {
        return true
      }
      try await Task.sleep(for: .milliseconds(10))
    }
    return false
  }

  /// Sends on a thread of its own, as the kernel takes it only when it is read.
  private func sending(_ bytes: [UInt8], by client: RawClient) throws -> Platform.Thread {
    let descriptor = client.descriptor
    return try Platform.Thread(name: "sender") {
      _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
  }

  @Test func aFrameWaitsWhileOthersHaveTheBudget() async throws {
    let budget = InputBudget(bytes: 1000)
    var options = ServerOptions()
    options.limits.inputBudget = budget
    options.limits.maxFrameBytes = 4 << 20
    let bench = try Bench(Scripted { _, connection in
      connection.output.writeInt32(0)
    }, options: options)
    defer { bench.stop() }
    let (first, second) = (
      try RawClient(to: bench.server.address), try RawClient(to: bench.server.address)
    )
    let bytes = frame()
    // Half of a frame: it has taken the whole of its length.
    first.send(Array(bytes[..<(1 << 20)]))
    try await eventually { budget.left < 0 ? true : nil }
    let sender = try sending(bytes, by: second)
    #expect(try await !isAnswered(second, ms: 300))
    // Small frames that come in one piece need nothing of it.
    let small = try RawClient(to: bench.server.address)
    small.send([0, 0, 0, 1, 7])
    #expect(try await isAnswered(small, ms: 5000))
    first.send(Array(bytes[(1 << 20)...]))
    #expect(try await isAnswered(first, ms: 5000))
    #expect(try await isAnswered(second, ms: 5000))
    sender.join()
    try await eventually { budget.left == 1000 ? true : nil }
  }

  @Test func whoGoesAwayGivesBack() async throws {
    let budget = InputBudget(bytes: 1)
    var options = ServerOptions()
    options.limits.inputBudget = budget
    options.limits.maxFrameBytes = 4 << 20
    let bench = try Bench(Scripted { _, connection in
      connection.output.writeInt32(0)
    }, options: options)
    defer { bench.stop() }
    var holder: RawClient? = try RawClient(to: bench.server.address)
    holder?.send(Array(frame()[..<300_000]))
    try await eventually { budget.left < 0 ? true : nil }
    let second = try RawClient(to: bench.server.address)
    let bytes = frame()
    let sender = try sending(bytes, by: second)
    #expect(try await !isAnswered(second, ms: 200))
    holder = nil
    #expect(try await isAnswered(second, ms: 5000))
    sender.join()
    try await eventually { budget.left == 1 ? true : nil }
  }
}
