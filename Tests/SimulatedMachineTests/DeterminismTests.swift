import Glibc
import Platform
import Synchronization
import Testing
import Transport

@testable import SimulatedMachine

/// Several servers and clients, a pool of threads, and chance.
private func liveThroughSomething(seed: UInt64) throws {
  let machine = try Scratch.machine(seed: seed)
  let collectors = (0..<4).map { _ in Collector() }
  for index in 0..<3 { _ = try machine.startEcho("server-\(index)", port: 9092 + UInt16(index)) }
  _ = machine.run(untilMs: 10) { false }
  for (index, collector) in collectors.enumerated() {
    _ = try machine.startClient(
      "client-\(index)", port: 9092 + UInt16(index % 3), sizes: [1, 40_000, 7, 300_000], collector)
  }
  let done = Atomic<Int>(0)
  _ = try machine.start("worker") {
    guard let pool = try? IOPool(threads: 3) else { return }
    var random = SystemRandom()
    for index in 0..<50 {
      let content = [UInt8](repeating: 1, count: 1 + Int(random.next() % 1_000))
      pool.submit {
        let file = try? File("\(machine.folder)/worker/\(index % 5)", [.read, .write, .create])
        try? file?.write(content, at: 10)
        try? file?.sync()
        done.add(1, ordering: .relaxed)
      }
    }
  }
  #expect(machine.run(untilMs: 60_000) {
    done.load(ordering: .relaxed) == 50
      && collectors.allSatisfy { $0.seen.withLock { $0.frames.count } == 4 }
  })
  machine.note("done")
  #expect(machine.lastEvents().last?.hasSuffix("done") == true)
  Scratch.report("\(machine.digest)")
}

@Suite struct DeterminismTests {
  @Test func aSeedIsAHistory() async {
    var reports: [String] = []
    for _ in 0..<2 {
      let result = await #expect(
        processExitsWith: .success, observing: [\.standardOutputContent]
      ) { try liveThroughSomething(seed: 11) }
      reports += Scratch.reports(of: result)
    }
    #expect(reports.count == 2 && Set(reports).count == 1, "\(reports)")
    let other = await #expect(
      processExitsWith: .success, observing: [\.standardOutputContent]
    ) { try liveThroughSomething(seed: 12) }
    #expect(Scratch.reports(of: other).count == 1)
    #expect(Scratch.reports(of: other).last != reports.last)
  }
}
