import Glibc
import Platform
import Synchronization
import Testing
import Values

@testable import SimulatedMachine

@Suite struct SimulatedThreadTests {
  @Test func timersFireWhenTheirTimeHasComeAndRealTimeDoesNotPass() async {
    await #expect(processExitsWith: .success) {
      let machine = try Scratch.machine(seed: 21)
      var before = timespec()
      clock_gettime(CLOCK_MONOTONIC, &before)
      let fired = Mutex<[Int64]>([])
      let start = machine.now
      try machine.start("node") {
        guard let loop = try? EventLoop(name: "timers") else { return }
        loop.execute {
          for delay in [86_400_000, 5, 1_000] as [Int64] {
            loop.schedule(afterMs: delay) {
              fired.withLock { $0.append(Clock.now().milliseconds(since: start)) }
            }
          }
        }
      }
      #expect(machine.run(untilMs: 90_000_000) { fired.withLock { $0.count } == 3 })
      let times = fired.withLock { $0 }
      #expect(zip(times, [5, 1_000, 86_400_000] as [Int64]).allSatisfy { $0 >= $1 && $0 < $1 + 5 })
      var after = timespec()
      clock_gettime(CLOCK_MONOTONIC, &after)
      #expect(after.tv_sec - before.tv_sec < 10_000)
    }
  }

  @Test func blockingCallsWorkAsTheyDoOnAKernel() async {
    await #expect(processExitsWith: .success) {
      let machine = try Scratch.machine(seed: 22)
      let seen = Mutex<[String]>([])
      let process = try machine.start("node") {
        guard let loop = try? EventLoop(name: "loop"), let pool = try? IOPool(threads: 2) else {
          return
        }
        #expect(loop.perform { loop.isCurrent })
        let done = Semaphore()
        pool.submit({ 41 + 1 }, then: loop) { answer in
          seen.withLock { $0.append("\(answer)") }
          done.signal()
        }
        done.wait()
        let before = Clock.now()
        #expect(!done.wait(ms: 250))
        Thread.sleep(ms: 250)
        #expect(Clock.now().milliseconds(since: before) >= 500)
        pool.stop()
        loop.stop()
        loop.join()
        seen.withLock { $0.append("stopped") }
      }
      #expect(machine.run(untilMs: 10_000) { !machine.isRunning(process) })
      #expect(seen.withLock { $0 } == ["42", "stopped"])
    }
  }

  @Test func theDriverMayWaitForANode() async {
    await #expect(processExitsWith: .success) {
      let machine = try Scratch.machine(seed: 23)
      let made = Mutex<EventLoop?>(nil)
      try machine.start("node") { made.withLock { $0 = try? EventLoop(name: "loop") } }
      #expect(machine.run(untilMs: 100) { made.withLock { $0 } != nil })
      let loop = try #require(made.withLock { $0 })
      #expect(loop.perform { machine.currentProcess } == "node")
      #expect(machine.currentProcess == nil)
      loop.stop()
      loop.join()
    }
  }

  @Test func aThreadOfNobodyIsCaught() async {
    await #expect(processExitsWith: .failure) {
      let machine = try Scratch.machine(seed: 24)
      let made = Mutex<EventLoop?>(nil)
      try machine.start("node") { made.withLock { $0 = try? EventLoop(name: "loop") } }
      _ = machine.run(untilMs: 100) { made.withLock { $0 } != nil }
      Scratch.removeFolder()
      var thread = pthread_t()
      let loop = Unmanaged.passRetained(try #require(made.withLock { $0 }))
      pthread_create(
        &thread, nil,
        { argument in
          guard let argument else { return nil }
          Unmanaged<EventLoop>.fromOpaque(argument).takeRetainedValue().execute {}
          return nil
        }, loop.toOpaque())
      pthread_join(thread, nil)
    }
  }
}
