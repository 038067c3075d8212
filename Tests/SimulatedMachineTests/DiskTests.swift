import Glibc
import Platform
import Synchronization
import Testing

@testable import SimulatedMachine

/// Runs `body` as a process and waits for its end.
private func live(
  _ machine: SimulatedMachine, _ name: String, _ body: @escaping @Sendable () throws -> Void
) throws -> SimulatedProcess {
  let process = try machine.start(name) {
    do { try body() } catch { machine.note("failed: \(error)") }
  }
  #expect(machine.run(untilMs: 10_000) { !machine.isRunning(process) })
  #expect(machine.lastEvents().allSatisfy { !$0.contains("failed:") })
  return process
}

private func bytes(_ path: String) throws -> [UInt8]? { try FileSystem.readFile(path) }

@Suite struct SimulatedDiskTests {
  @Test func whatWasSyncedSurvivesAndTheRestInPart() async {
    await #expect(processExitsWith: .success) {
      let machine = try Scratch.machine(seed: 6)
      var fates: Set<String> = []
      for round in 0..<60 {
        let path = machine.folder + "/node/log-\(round)"
        let process = try live(machine, "node") {
          let file = try File(path, [.read, .write, .create])
          try file.write([UInt8](repeating: 1, count: 5_000), at: 0)
          try file.sync()
          try FileSystem.syncDirectory(machine.folder + "/node")
          try file.write([UInt8](repeating: 2, count: 20_000), at: 4_000)
        }
        machine.crash(process, losing: .unsynced)
        let left = try #require(try bytes(path))
        #expect(left.count >= 5_000 && left.count <= 24_000)
        #expect(left.prefix(4_000).allSatisfy { $0 == 1 })
        let new = left.dropFirst(4_000).count { $0 == 2 }
        if left.count == 5_000, new == 0 { fates.insert("lost") } else if new == 20_000 {
          fates.insert("kept")
        } else if left.dropFirst(5_000).contains(0) {
          fates.insert("scattered")
        } else {
          fates.insert("torn")
          #expect(left.dropFirst(4_000).prefix(new).allSatisfy { $0 == 2 })
        }
      }
      #expect(fates == ["lost", "kept", "scattered", "torn"])
    }
  }

  @Test func aKilledProcessLosesNothingButItsLocks() async {
    await #expect(processExitsWith: .success) {
      let machine = try Scratch.machine(seed: 7)
      let path = machine.folder + "/node/.lock"
      let keeper = Mutex<[File]>([])
      let process = try live(machine, "node") {
        let file = try File(path, [.read, .write, .create])
        try file.write([7, 7, 7], at: 0)
        #expect(try file.tryLock())
        keeper.withLock { $0.append(file) }
      }
      _ = try live(machine, "node") {
        let second = try File(path, [.read, .write, .create])
        #expect(try second.tryLock() == false)
      }
      machine.crash(process, losing: .nothing)
      #expect(try bytes(path) == [7, 7, 7])
      _ = try live(machine, "node") {
        let second = try File(path, [.read, .write, .create])
        #expect(try second.tryLock())
      }
    }
  }

  @Test func namesAreDurableWithTheirDirectory() async {
    await #expect(processExitsWith: .success) {
      let machine = try Scratch.machine(seed: 8)
      let folder = machine.folder + "/node"
      var histories: Set<[Bool]> = []
      for round in 0..<40 {
        let top = "\(folder)/\(round)"
        let process = try live(machine, "node") {
          try FileSystem.createDirectory(top)
          try FileSystem.syncDirectory(folder)
          try FileSystem.replaceFile(top + "/kept", with: [1])
          for name in ["a", "b", "kept.new"] { _ = try File("\(top)/\(name)", [.write, .create]) }
          try FileSystem.rename(top + "/kept.new", to: top + "/kept")
          try FileSystem.removeFile(top + "/kept")
        }
        machine.crash(process, losing: .unsynced)
        let kept = try bytes(top + "/kept")
        #expect(kept == nil || kept == [1] || kept == [])
        let names = ["a", "b", "kept.new"].map { FileSystem.exists("\(top)/\($0)") }
        histories.insert(names + [kept == [1], kept == []])
        // Never a later change without an earlier one.
        #expect(names[0] || !names[1] && !names[2] && kept == [1])
      }
      // None, each of three made, renamed, removed.
      #expect(histories.count == 6)
    }
  }

  @Test func filesHaveTheTimesOfTheSimulation() async {
    await #expect(processExitsWith: .success) {
      let machine = try Scratch.machine(seed: 9)
      let path = machine.folder + "/node/file"
      machine.jumpClock(of: "node", ms: 86_400_000)
      _ = try live(machine, "node") {
        let before = Clock.wallNow().milliseconds
        #expect(before > 1_767_225_600_000 + 86_000_000)
        try FileSystem.replaceFile(path, with: [1, 2, 3])
        let modified = try FileSystem.status(path)?.modifiedMs ?? 0
        #expect(modified >= before && modified <= Clock.wallNow().milliseconds)
      }
      // The driver is on no host, whose clock is right.
      #expect(Clock.wallNow().milliseconds < 1_767_225_600_000 + 86_000_000)
    }
  }
}
