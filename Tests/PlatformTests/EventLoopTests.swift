import Glibc
import Platform
import Synchronization
import Testing
import Values

@Suite struct EventLoopTests {
  private func withLoop(_ body: (EventLoop) throws -> Void) throws {
    let loop = try EventLoop(name: "test")
    defer {
      loop.stop()
      loop.join()
    }
    try body(loop)
  }

  @Test func messagesOfOneSenderKeepTheirOrder() throws {
    try withLoop { loop in
      let seen = Mutex<[Int]>([])
      for index in 0..<1_000 { loop.execute { seen.withLock { $0.append(index) } } }
      #expect(loop.perform { loop.isCurrent })
      #expect(!loop.isCurrent)
      #expect(seen.withLock { $0 } == Array(0..<1_000))
    }
  }

  @Test func messagesFromManyThreadsAllArrive() throws {
    try withLoop { loop in
      let count = Atomic<Int>(0)
      let threads = try (0..<4).map { _ in
        try Thread(name: "sender") {
          for _ in 0..<5_000 { loop.execute { count.add(1, ordering: .relaxed) } }
        }
      }
      for thread in threads { thread.join() }
      loop.perform {}
      #expect(count.load(ordering: .relaxed) == 20_000)
      #expect(loop.mailboxDepth == 0)
    }
  }

  @Test func timersFireInOrderNotEarlyAndNotAfterCancelling() throws {
    try withLoop { loop in
      let fired = Mutex<[(Int, Instant)]>([])
      let start = Clock.now()
      let done = Mutex(false)
      loop.perform {
        for (name, delay) in [(3, 30), (1, 0), (2, 11)] as [(Int, Int64)] {
          loop.schedule(afterMs: delay) { fired.withLock { $0.append((name, Clock.now())) } }
        }
        let cancelled = loop.schedule(afterMs: 20) { fired.withLock { $0.append((9, .zero)) } }
        loop.cancel(cancelled)
        loop.schedule(afterMs: 60) { done.withLock { $0 = true } }
      }
      while !done.withLock({ $0 }) { usleep(1_000) }
      let seen = fired.withLock { $0 }
      #expect(seen.map(\.0) == [1, 2, 3])
      #expect(seen[1].1.milliseconds(since: start) >= 10)
      #expect(seen[2].1.milliseconds(since: start) >= 29)
      #expect(loop.perform { loop.timerCount } == 0)
    }
  }

  @Test func repeatingEndsWhenTold() throws {
    try withLoop { loop in
      let count = Atomic<Int>(0)
      loop.perform {
        loop.repeating(everyMs: 1) { count.add(1, ordering: .relaxed).newValue < 3 }
      }
      usleep(50_000)
      #expect(count.load(ordering: .relaxed) == 3)
    }
  }

  @Test func hooksRunOnceAtTheEndOfTheTurnWorkBeforeFlush() throws {
    final class Hook: TurnHook, @unchecked Sendable {  // on the loop only
      let name: String
      let note: @Sendable (String) -> Void
      init(_ name: String, _ note: @escaping @Sendable (String) -> Void) {
        self.name = name
        self.note = note
      }
      func endOfTurn() { note(name) }
    }
    try withLoop { loop in
      let notes = Mutex<[String]>([])
      let note: @Sendable (String) -> Void = { text in notes.withLock { $0.append(text) } }
      loop.perform {
        loop.flushAtEndOfTurn(Hook("flush", note))
        loop.atEndOfTurn(Hook("work", note))
        note("turn")
      }
      loop.perform {}
      #expect(notes.withLock { $0 } == ["turn", "work", "flush"])
    }
  }

  @Test func anIdleLoopSleeps() throws {
    try withLoop { loop in
      let before = loop.perform { loop.turns }
      usleep(50_000)
      #expect(loop.perform { loop.turns } - before <= 3)
      #expect(loop.idleNanoseconds > 30_000_000)
    }
  }

  @Test func aStoppedLoopStillAnswers() async throws {
    let loop = try EventLoop(name: "test")
    loop.stop()
    loop.join()
    #expect(loop.perform { 7 } == 7)
    #expect(await loop.run { 8 } == 8)
    loop.execute { Issue.record("ran on a stopped loop") }
  }

  @Test func theClockStandsStillDuringATurn() throws {
    try withLoop { loop in
      let (first, second, wall) = loop.perform {
        let first = loop.now
        usleep(5_000)
        return (first, loop.now, loop.wallNow)
      }
      #expect(first == second)
      #expect(abs(wall.milliseconds - Clock.wallNow().milliseconds) < 5_000)
    }
  }

  @Test func blockingWorkRunsElsewhereAndComesBack() async throws {
    let loop = try EventLoop(name: "test")
    let pool = try IOPool(threads: 2, limit: 3)
    let answers = Mutex<[Int]>([])
    for index in 0..<10 {
      pool.submit({ index * 2 }, then: loop) { value in
        if loop.isCurrent { answers.withLock { $0.append(value) } }
      }
    }
    #expect(await pool.run { 5 } == 5)
    // Held up: two run, three may wait, no more.
    let gate = Mutex(true)
    for _ in 0..<2 { pool.submit { while gate.withLock({ $0 }) { usleep(500) } } }
    while pool.load().running < 2 { usleep(500) }
    #expect((0..<5).map { _ in pool.trySubmit {} } == [true, true, true, false, false])
    #expect(pool.load().waiting == 3)
    gate.withLock { $0 = false }
    pool.stop()
    loop.stop()
    loop.join()
    #expect(answers.withLock { $0.sorted() } == (0..<10).map { $0 * 2 })
    #expect(!pool.trySubmit {})
  }
}
