// Carries a schedule of faults out, and ends each in its time.
import Glibc
import Platform
import SimulatedMachine
import Values

/// Breaks the cluster as the schedule says. Used by the driver's thread only.
final class Nemesis {
  private struct Ending {
    var at: Instant
    var fault: Fault
  }

  private let cluster: SimulatedCluster
  private let targets: FaultTargets
  private var schedule: ArraySlice<ScheduledFault>
  private var begin: Instant
  private var endings: [Ending] = []
  private var flaps: [(a: String, b: String, isCut: Bool)] = []
  private var nextFlap = Instant.zero
  /// Members whose disks are full.
  private var full: [String: [FileFaults.Fault]] = [:]
  /// What was done, with times from the beginning of the phase.
  private(set) var told: [String] = []

  private let isFull: () -> Bool
  private var machine: SimulatedMachine { cluster.machine }
  private static let flapMs: Int64 = 300

  /// - Parameter isFull: whether every replica was last seen in sync.
  init(
    _ cluster: SimulatedCluster, _ targets: FaultTargets, _ schedule: [ScheduledFault],
    isFull: @escaping () -> Bool
  ) {
    self.isFull = isFull
    self.cluster = cluster
    self.targets = targets
    self.schedule = schedule[...]
    begin = cluster.machine.now
  }

  /// Does what is due. Called again and again.
  func act() {
    let now = machine.now
    for ending in endings where ending.at <= now { end(ending.fault) }
    endings.removeAll { $0.at <= now }
    while let next = schedule.first,
      begin.advanced(milliseconds: next.atMs) <= now
    {
      schedule.removeFirst()
      guard start(next.fault) else {
        tell("passed over: \(next.fault)")
        continue
      }
      tell("\(next.fault) for \(next.durationMs) ms")
      endings.append(
        Ending(at: now.advanced(milliseconds: next.durationMs), fault: next.fault))
    }
    flap(now)
  }

  /// Ends everything that is still broken.
  func healEverything() {
    for ending in endings {
      if case .fillDisk(let name) = ending.fault { makeRoom(name) }
    }
    endings = []
    flaps = []
    machine.healAll()
    cluster.mendAll()
    tell("everything is healed")
  }

  private func tell(_ text: String) {
    told.append("\(machine.now.milliseconds(since: begin)) ms: \(text)")
    machine.note("nemesis: \(text)")
  }

  /// False for a fault that cannot be, or that would break what the protocol promises nothing for.
  private func start(_ fault: Fault) -> Bool {
    guard cluster.recovering.isEmpty || !reachesBrokers(fault) else { return false }
    switch fault {
    case .kill(let name):
      guard cluster.members[name]?.process != nil else { return false }
      cluster.crash(name, losing: .nothing)
    case .killAll(let names):
      for name in names { cluster.crash(name, losing: .nothing) }
    case .stop(let name):
      guard cluster.members[name]?.process != nil else { return false }
      cluster.stop(name)
    case .losePower(let name):
      guard cluster.members[name]?.process != nil, mayLosePower(name) else { return false }
      cluster.crash(name, losing: .unsynced)
    case .pause(let name): cluster.pause(name)
    case .isolate(let name): others(name).forEach { cutBoth(name, $0) }
    case .separate(let name): peers(name).forEach { cutBoth(name, $0) }
    case .cut(let from, let to): machine.cut(from: from, to: to)
    case .flap(let a, let b): flaps.append((a, b, false))
    case .slow(let name, let ms):
      for other in others(name) {
        machine.slow(from: name, to: other, ms: ms)
        machine.slow(from: other, to: name, ms: ms)
      }
    case .jumpClock(let name, let ms): machine.jumpClock(of: name, ms: ms)
    case .fillDisk(let name):
      guard cluster.members[name]?.process != nil, full[name] == nil else { return false }
      full[name] = [.write, .allocate].map { call in
        FileFaults.inject(call, under: "\(machine.folder)/\(name)/", code: ENOSPC)
      }
    }
    return true
  }

  /// Kafka answers acks=all out of page caches, so that records may be lost by design when a broker
  /// that has lost its cache is elected: because it is the last one in the ISR, or because all the
  /// others are away before it was missed. So a broker's power fails only when nothing else is
  /// broken and every replica is in sync, and no other broker is touched until it has everything
  /// again. For the same reason leadership must not be moved on request meanwhile, to a broker of
  /// which nobody knows yet that it is gone. Coordinators and controllers flush before they answer,
  /// and may lose power as they like.
  private func mayLosePower(_ name: String) -> Bool {
    guard targets.brokers.contains(name) else { return true }
    return !targets.movesPartitions && cluster.recovering.isEmpty && endings.isEmpty
      && cluster.notServing.isEmpty && isFull()
  }

  /// Whether a fault may take brokers away, or part them from anybody.
  private func reachesBrokers(_ fault: Fault) -> Bool {
    let names: [String] =
      switch fault {
      case .kill(let name), .stop(let name), .losePower(let name), .pause(let name),
        .isolate(let name), .separate(let name), .fillDisk(let name):
        [name]
      case .cut(let a, let b), .flap(let a, let b): [a, b]
      case .killAll(let names): names
      case .slow, .jumpClock: []
      }
    return names.contains { targets.brokers.contains($0) }
  }

  private func end(_ fault: Fault) {
    switch fault {
    case .kill(let name), .stop(let name), .losePower(let name): cluster.release(name)
    case .killAll(let names): names.forEach { cluster.release($0) }
    case .pause(let name): cluster.resume(name)
    case .isolate(let name), .slow(let name, _): others(name).forEach { healBoth(name, $0) }
    case .separate(let name): peers(name).forEach { healBoth(name, $0) }
    case .cut(let from, let to): machine.heal(from: from, to: to)
    case .flap(let a, let b):
      flaps.removeAll { $0.a == a && $0.b == b }
      healBoth(a, b)
    case .jumpClock: break
    case .fillDisk(let name): makeRoom(name)
    }
    tell("end of \(fault)")
  }

  /// Directories that went offline stay so until their broker is started again.
  private func makeRoom(_ name: String) {
    for fault in full.removeValue(forKey: name) ?? [] { FileFaults.remove(fault) }
    guard targets.brokers.contains(name) else { return }
    cluster.crash(name, losing: .nothing)
    cluster.release(name)
  }

  private func flap(_ now: Instant) {
    guard !flaps.isEmpty, nextFlap <= now else { return }
    nextFlap = now.advanced(milliseconds: Self.flapMs)
    for index in flaps.indices {
      let link = flaps[index]
      if link.isCut { healBoth(link.a, link.b) } else { cutBoth(link.a, link.b) }
      flaps[index].isCut.toggle()
    }
  }

  // MARK: Links

  private func others(_ name: String) -> [String] {
    (targets.members + targets.clients).filter { $0 != name }
  }

  private func peers(_ name: String) -> [String] { targets.members.filter { $0 != name } }

  private func cutBoth(_ a: String, _ b: String) {
    machine.cut(from: a, to: b)
    machine.cut(from: b, to: a)
  }

  private func healBoth(_ a: String, _ b: String) {
    machine.heal(from: a, to: b)
    machine.heal(from: b, to: a)
  }
}
