import Platform
import Synchronization
import Testing
import Values

@Suite struct SemaphoreTests {
  @Test func signalsAreCounted() {
    let semaphore = Semaphore(value: 1)
    semaphore.wait()
    semaphore.signal()
    semaphore.signal()
    semaphore.wait()
    #expect(semaphore.wait(ms: 0))
    #expect(!semaphore.wait(ms: 0))
  }

  @Test func aWaitWithoutASignalEndsWithItsTime() {
    let began = Clock.now()
    #expect(!Semaphore().wait(ms: 30))
    #expect(Clock.now().milliseconds(since: began) >= 30)
  }

  @Test func everyWaitingThreadGetsASignalOfItsOwn() throws {
    let (semaphore, done) = (Semaphore(), Semaphore())
    let woken = Atomic<Int>(0)
    let threads = try (0..<4).map { _ in
      try Thread(name: "waiting") {
        semaphore.wait()
        woken.add(1, ordering: .relaxed)
        done.signal()
      }
    }
    for _ in 0..<3 { semaphore.signal() }
    for _ in 0..<3 { #expect(done.wait(ms: 10_000)) }
    #expect(!done.wait(ms: 20))
    #expect(woken.load(ordering: .relaxed) == 3)
    semaphore.signal()
    for thread in threads { thread.join() }
    #expect(woken.load(ordering: .relaxed) == 4)
  }

  @Test func sleepingLastsAsLongAsWasAsked() {
    let began = Clock.now()
    Thread.sleep(ms: 12)
    #expect(Clock.now().milliseconds(since: began) >= 12)
  }
}
