import Platform
import Values

/// A process on a simulated machine: some threads, sockets and open files that live and die
/// together. Names its host, too: what survives a process (files, clock) is found by its name.
public struct SimulatedProcess: Sendable, Hashable {
  let id: Int
  public let name: String
  /// Where its files have to lie for a power failure to reach them.
  public let folder: String
}

/// What the machine keeps of a process.
struct ProcessRecord {
  let name: String
  let host: Int
  var isPaused = false
  var isDead = false
  /// Threads that were to run while it was paused.
  var parked: [Int] = []
  var descriptors: Set<Int32> = []
}

/// A computer of the simulated network; processes of one name run on it, one after the other.
struct Host {
  let name: String
  /// Milliseconds that its wall clock is wrong by.
  var clockOffsetMs: Int64 = 0
  /// Without power: nothing reaches it, and nobody says so.
  var isDown = false
  /// What has come for it meanwhile.
  var held: [Segment] = []
}

extension MachineState {
  func host(known name: String) -> Int? { hosts.firstIndex { $0.name == name } }

  /// A host's number; hosts are made when they are first named.
  mutating func host(named name: String) -> Int {
    if let known = host(known: name) { return known }
    hosts.append(Host(name: name))
    return hosts.count - 1
  }

  /// Makes a process, and lets the next thread be its first.
  mutating func addProcess(_ name: String) -> Int {
    let host = host(named: name)
    processes.append(ProcessRecord(name: name, host: host))
    starting = processes.count - 1
    trace.add(.started, processes.count - 1, at: now)
    powerUp(host)
    return processes.count - 1
  }

  private mutating func powerUp(_ host: Int) {
    guard hosts[host].isDown else { return }
    hosts[host].isDown = false
    let held = hosts[host].held
    hosts[host].held = []
    // Connections of its former life are unknown to it now; it says so.
    for segment in held { deliver(segment) }
  }

  /// Takes a process away, and all of its host's when that loses power; returns the files that were
  /// open.
  mutating func end(_ process: Int, losing loss: SimulatedMachine.Loss) -> [Int32] {
    guard loss == .unsynced else { return end(process, isSilent: false) }
    let host = processes[process].host
    trace.add(.powerLost, host, at: now)
    hosts[host].isDown = true
    return processes.indices.filter { processes[$0].host == host }.flatMap {
      end($0, isSilent: true)
    }
  }

  private mutating func end(_ process: Int, isSilent: Bool) -> [Int32] {
    guard !processes[process].isDead else { return [] }
    trace.add(.killed, process, at: now)
    processes[process].isDead = true
    processes[process].parked = []
    for socket in network.sockets.keys.sorted() {
      guard network.sockets[socket]?.process == process else { continue }
      if isSilent { network.forget(socket) } else { close(socket) }
    }
    let descriptors = processes[process].descriptors.sorted()
    processes[process].descriptors = []
    for descriptor in descriptors { disk.forget(descriptor) }
    return descriptors
  }

  mutating func resume(_ process: Int) {
    processes[process].isPaused = false
    let parked = processes[process].parked
    processes[process].parked = []
    for thread in parked { scheduler.runnable.append(thread) }
  }
}
