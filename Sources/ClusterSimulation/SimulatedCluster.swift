// The members of a simulated cluster: who runs, who is down, who is started again.
import LocalCluster
import Platform
import SimulatedMachine
import Values

/// Starts, stops, breaks and mends members. Used by the driver's thread only.
final class SimulatedCluster {
  /// One member, through all its lives.
  struct Member {
    let member: ClusterMember
    var process: SimulatedProcess?
    var life: NodeLife?
    var isPaused = false
    /// Not started again before a fault ends.
    var isHeldDown = false
    /// Asked to stop at this time.
    var stoppingSince: Instant?
    /// Started again at this time.
    var startAt: Instant?
  }

  let machine: SimulatedMachine
  let plan: ClusterPlan
  let folder: ClusterFolder
  private let settings: [ClusterMember.Role: [String: String]]
  private let isSabotaged: Bool
  private(set) var members: [String: Member] = [:]
  /// In the order of the plan.
  let names: [String]
  /// Brokers whose unflushed records may be gone, and the time at which they were started again.
  private(set) var recovering: [String: Instant] = [:]
  /// Reasons of ends that nobody has asked for.
  private(set) var failures: [String] = []

  /// How long after an end a supervisor starts a member again.
  private static let restartMs: Int64 = 500
  /// A process that takes longer to stop is killed.
  private static let stopLimitMs: Int64 = 30_000

  init(
    _ machine: SimulatedMachine, _ plan: ClusterPlan,
    settings: [ClusterMember.Role: [String: String]], isSabotaged: Bool
  ) {
    self.machine = machine
    self.plan = plan
    self.settings = settings
    self.isSabotaged = isSabotaged
    folder = ClusterFolder(machine.folder)
    names = plan.members.map(\.name)
    for member in plan.members { members[member.name] = Member(member: member) }
  }

  func names(_ role: ClusterMember.Role) -> [String] {
    plan.members.filter { $0.role == role }.map(\.name)
  }

  // MARK: Lives

  func start(_ name: String) throws(SystemError) {
    guard let entry = members[name], entry.process == nil else { return }
    let life = NodeLife()
    let start = NodeStart(
      member: entry.member, plan: plan, folder: folder, settings: settings,
      isSabotaged: isSabotaged)
    members[name]?.life = life
    members[name]?.startAt = nil
    members[name]?.isHeldDown = false
    members[name]?.process = try machine.start(name) { start.run(life) }
    if recovering[name] != nil { recovering[name] = machine.now }
  }

  func startAll() throws(SystemError) { for name in names { try start(name) } }

  /// Ends a member's process at once; it stays down until `release`.
  func crash(_ name: String, losing loss: SimulatedMachine.Loss) {
    guard let process = members[name]?.process else { return }
    machine.crash(process, losing: loss)
    if loss == .unsynced, members[name]?.member.role == .broker { recovering[name] = machine.now }
    forget(name)
    members[name]?.isHeldDown = true
  }

  private func forget(_ name: String) {
    members[name]?.process = nil
    members[name]?.isPaused = false
    members[name]?.stoppingSince = nil
  }

  /// Asks a member to stop; it stays down until `release`.
  func stop(_ name: String) {
    guard let entry = members[name], entry.process != nil, !entry.isPaused,
      entry.stoppingSince == nil
    else { return }
    entry.life?.askToStop()
    members[name]?.stoppingSince = machine.now
    members[name]?.isHeldDown = true
  }

  /// Lets a member be started again.
  func release(_ name: String) {
    guard members[name]?.isHeldDown == true else { return }
    members[name]?.isHeldDown = false
    if members[name]?.process == nil { members[name]?.startAt = machine.now }
  }

  func pause(_ name: String) {
    guard let process = members[name]?.process, members[name]?.isPaused == false else { return }
    machine.pause(process)
    members[name]?.isPaused = true
  }

  func resume(_ name: String) {
    guard let process = members[name]?.process, members[name]?.isPaused == true else { return }
    machine.resume(process)
    members[name]?.isPaused = false
  }

  /// Ends every fault of members; links are the machine's.
  func mendAll() {
    for name in names {
      resume(name)
      release(name)
    }
  }

  // MARK: Supervision

  /// Looks after members whose processes have ended by themselves. Called again and again.
  func supervise() throws(SystemError) {
    for name in names {
      guard let entry = members[name] else { continue }
      if let process = entry.process, case .ended(let why)? = entry.life?.state {
        if entry.stoppingSince == nil {
          failures.append("\(name): \(why)")
          machine.note("\(name) has ended: \(why)")
        }
        // What is left of its threads ends with the process.
        machine.crash(process, losing: .nothing)
        forget(name)
        members[name]?.startAt = machine.now.advanced(milliseconds: Self.restartMs)
      } else if let since = entry.stoppingSince, !entry.isPaused,
        machine.now.milliseconds(since: since) > Self.stopLimitMs
      {
        failures.append("\(name): not stopped after \(Self.stopLimitMs) ms")
        crash(name, losing: .nothing)
        release(name)
      }
      if let entry = members[name], entry.process == nil, !entry.isHeldDown,
        let at = entry.startAt, at <= machine.now
      {
        try start(name)
      }
    }
  }

  /// Told when every replica was seen in sync: brokers that have been back for long enough to have
  /// been missed have everything again.
  func sawFullISR() {
    for (name, since) in recovering.sorted(by: { $0.key < $1.key })
    where members[name]?.process != nil
      && machine.now.milliseconds(since: since) > Self.missedAfterMs
    {
      recovering[name] = nil
    }
  }

  /// A session, and some time for what follows from its end.
  private static let missedAfterMs: Int64 = 10_000

  /// Members that do not serve, each with what it does instead.
  var notServing: [String] {
    names.compactMap { name in
      guard let entry = members[name] else { return nil }
      guard entry.process != nil else { return "\(name) is down" }
      switch entry.life?.state {
      case .serving?: return entry.isPaused ? "\(name) is paused" : nil
      case .ended(let why)?: return "\(name) has ended: \(why)"
      case .starting?, nil: return "\(name) is starting"
      }
    }
  }

  func node(_ name: String) -> NodeLife.Node? {
    guard members[name]?.process != nil else { return nil }
    return members[name]?.life?.node
  }
}
