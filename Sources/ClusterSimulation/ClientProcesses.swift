// The clients of a simulated cluster: the loads of drills, each kind in a process of its own.
import Drills
import Histories
import KafkaClient
import Platform
import SimulatedMachine
import Synchronization

/// A topic with its loads, and who watches it.
struct LoadedTopic: Sendable {
  let loads: LoadSet
  let monitor: Monitor

  init(_ loads: LoadSet) {
    self.loads = loads
    monitor = Monitor(bootstrap: loads.bootstrap, topic: loads.target.topic, everyMs: 100)
  }

  var sawFullISR: Bool { monitor.sawFullISR(of: loads.target) }
}

/// A thing that a client process does once; the driver waits for it.
final class Errand: Sendable {
  private let result = Mutex<Result<Bool, ClientFailure>?>(nil)

  struct ClientFailure: Error, CustomStringConvertible {
    let description: String
  }

  func finish(_ outcome: Result<Bool, ClientFailure>) { result.withLock { $0 = outcome } }

  /// Nil while it is under way.
  var outcome: Result<Bool, ClientFailure>? { result.withLock { $0 } }
}

/// What administration has left, other than it was acknowledged.
final class AdministrationFindings: Sendable {
  private let found = Mutex<[String]>([])
  var differences: [String] {
    get { found.withLock { $0 } }
    set { found.withLock { $0 = newValue } }
  }
}

/// Starts client processes. Used by the driver's thread only.
struct ClientProcesses {
  let machine: SimulatedMachine
  let topics: [LoadedTopic]
  private let stopSignal = StopSignal()
  private let settled = Count()

  private final class Count: Sendable {
    let left = Atomic<Int>(0)
  }

  /// Hosts whose links can be broken like those of members.
  static let hosts = ["producers", "consumers", "znodes", "administrators"]
  /// Its links are left alone: what it sees decides what is done.
  private static let watcher = "watcher"

  init(_ machine: SimulatedMachine, _ topics: [LoadedTopic]) {
    self.machine = machine
    self.topics = topics
  }

  /// Runs an errand on the watcher's host.
  func run(
    _ body: @escaping @Sendable () async throws -> Bool
  ) throws(SystemError) -> Errand {
    let errand = Errand()
    try start(Self.watcher) {
      do {
        errand.finish(.success(try await body()))
      } catch {
        errand.finish(.failure(Errand.ClientFailure(description: "\(error)")))
      }
    }
    return errand
  }

  func createTopics() throws(SystemError) -> Errand {
    let loads = topics.map(\.loads)
    return try run {
      let admin = try LoadRuntime.admin(loads[0].bootstrap, timeoutMs: 30_000)
      for load in loads { try await load.createTopic(admin) }
      await admin.close()
      return true
    }
  }

  /// Compares until nothing differs, or time is up: then false.
  func compareAdministration(
    _ found: AdministrationFindings, livenessMs: Int64, everyMs: Int64
  ) throws(SystemError) -> Errand {
    let loads = topics.map(\.loads)
    return try run {
      let admin = try LoadRuntime.admin(loads[0].bootstrap, timeoutMs: 30_000)
      let end = Clock.now().advanced(milliseconds: livenessMs)
      repeat {
        var differences: [String] = []
        for load in loads {
          do {
            differences += try await load.recorder.ledger.differences(
              admin, replicationFactor: load.replicationFactor)
          } catch {
            differences.append("cannot be compared: \(error)")
          }
        }
        found.differences = differences
        if differences.isEmpty { break }
        await LoadRuntime.pause(everyMs)
      } while Clock.now() < end
      await admin.close()
      return found.differences.isEmpty
    }
  }

  /// Reads everything; false when not everything could be read in time.
  func readEverything(limitMs: Int64) throws(SystemError) -> Errand {
    let loads = topics.map(\.loads)
    return try run {
      for load in loads where !(await load.finalRead(limitMs: limitMs)) { return false }
      return true
    }
  }

  /// Starts all loads, and whoever watches.
  func startLoads() throws(SystemError) {
    for (host, part) in zip(Self.hosts, LoadSet.Part.allCases) {
      settled.left.add(1, ordering: .relaxed)
      try start(host) { [topics, stopSignal, settled] in
        await withTaskGroup(of: Void.self) { group in
          for topic in topics {
            group.addTask { await topic.loads.run([part], until: stopSignal) }
          }
        }
        settled.left.subtract(1, ordering: .relaxed)
      }
    }
    for topic in topics {
      try start(Self.watcher) { await topic.monitor.run(until: StopSignal()) }
    }
  }

  /// Asks the loads to end; `haveSettled` says when nothing of theirs is open any more.
  func stopLoads() { stopSignal.stop() }
  var haveSettled: Bool { settled.left.load(ordering: .relaxed) == 0 }

  private func start(
    _ host: String, _ body: @escaping @Sendable () async -> Void
  ) throws(SystemError) {
    try machine.start(host) {
      // The loop lives as long as the process: its tasks hold it.
      guard let loop = try? EventLoop(name: host) else { return }
      LoadRuntime.start(on: EventLoopExecutor(loop), body)
    }
  }
}
