import Glibc
import Platform
import Synchronization
import Testing
import Transport

@testable import SimulatedMachine

@Suite struct SimulatedNetworkTests {
  @Test func framesComeBackWholeAndInOrder() async {
    await #expect(processExitsWith: .success) {
      let machine = try Scratch.machine(seed: 1)
      let sizes = (0..<200).map { $0 * $0 * 7 % 90_000 }
      let collector = Collector()
      _ = try machine.startEcho("server", port: 9092)
      #expect(machine.run(untilMs: 10) { false } == false)
      _ = try machine.startClient("client", port: 9092, sizes: sizes, collector)
      #expect(machine.run(untilMs: 60_000) { collector.seen.withLock { $0.frames.count } == 200 })
      let frames = collector.seen.withLock { $0.frames }
      #expect(frames.map(\.count) == sizes)
      #expect(frames.enumerated().allSatisfy { index, frame in
        frame.allSatisfy { $0 == UInt8(truncatingIfNeeded: index) }
      })
    }
  }

  @Test func aCutHoldsBackAndHealingDelivers() async {
    await #expect(processExitsWith: .success) {
      let machine = try Scratch.machine(seed: 2)
      let collector = Collector()
      _ = try machine.startEcho("server", port: 9092)
      _ = machine.run(untilMs: 10) { false }
      machine.cut(from: "server", to: "client")
      _ = try machine.startClient("client", port: 9092, sizes: [3], collector)
      // Without the answer of the server's host there is no connection.
      #expect(!machine.run(untilMs: 1_000) { collector.seen.withLock { $0.opened } > 0 })
      machine.healAll()
      #expect(machine.run(untilMs: 1_000) { collector.seen.withLock { $0.frames.count } == 1 })
      machine.slow(from: "client", to: "server", ms: 700)
      let before = machine.now
      _ = try machine.startClient("client", port: 9092, sizes: [3], collector)
      #expect(machine.run(untilMs: 9_000) { collector.seen.withLock { $0.frames.count } == 2 })
      #expect(machine.now.milliseconds(since: before) >= 1_400)
    }
  }

  @Test func theEndOfAProcessIsTheEndOfItsConnections() async {
    await #expect(processExitsWith: .success) {
      let machine = try Scratch.machine(seed: 3)
      let collector = Collector()
      let server = try machine.startEcho("server", port: 9092)
      _ = machine.run(untilMs: 10) { false }
      _ = try machine.startClient("client", port: 9092, sizes: [1], collector)
      #expect(machine.run(untilMs: 1_000) { collector.seen.withLock { $0.frames.count } == 1 })
      machine.crash(server, losing: .nothing)
      #expect(machine.run(untilMs: 1_000) { !collector.seen.withLock { $0.reasons }.isEmpty })
      #expect(collector.seen.withLock { $0.reasons } == [.peerClosed])
      // Nobody listens now.
      let second = Collector()
      _ = try machine.startClient("client", port: 9092, sizes: [1], second)
      #expect(machine.run(untilMs: 1_000) { !second.seen.withLock { $0.reasons }.isEmpty })
      guard case .failed(let error)? = second.seen.withLock({ $0.reasons.first }) else {
        Issue.record("not refused")
        return
      }
      #expect(error.isRefused)
      #expect(!machine.isRunning(server))
    }
  }

  @Test func aHostWithoutPowerIsSilentUntilItIsBack() async {
    await #expect(processExitsWith: .success) {
      let machine = try Scratch.machine(seed: 4)
      let collector = Collector()
      let server = try machine.startEcho("server", port: 9092)
      _ = machine.run(untilMs: 10) { false }
      let client = try machine.startClient("client", port: 9092, sizes: [1], collector)
      #expect(machine.run(untilMs: 1_000) { collector.seen.withLock { $0.frames.count } == 1 })
      machine.crash(server, losing: .unsynced)
      let second = Collector()
      _ = try machine.startClient("client", port: 9092, sizes: [1], second)
      #expect(!machine.run(untilMs: 2_000) {
        [collector, second].contains { !$0.seen.withLock { $0.reasons }.isEmpty }
      })
      _ = try machine.startEcho("server", port: 9092)
      #expect(machine.run(untilMs: 1_000) { !second.seen.withLock { $0.reasons }.isEmpty })
      #expect(machine.isRunning(client))
    }
  }

  @Test func aPausedProcessDoesNothingAndGoesOn() async {
    await #expect(processExitsWith: .success) {
      let machine = try Scratch.machine(seed: 5)
      let collector = Collector()
      let server = try machine.startEcho("server", port: 9092)
      _ = machine.run(untilMs: 10) { false }
      machine.pause(server)
      _ = try machine.startClient("client", port: 9092, sizes: [1], collector)
      // The host's side of the connection is made all the same.
      #expect(machine.run(untilMs: 1_000) { collector.seen.withLock { $0.opened } == 1 })
      #expect(!machine.run(untilMs: 5_000) { !collector.seen.withLock { $0.frames }.isEmpty })
      machine.resume(server)
      #expect(machine.run(untilMs: 1_000) { collector.seen.withLock { $0.frames.count } == 1 })
    }
  }
}
