// A whole cluster on a simulated machine: from nothing through faults to a verdict.
//
// The phases, as in every good simulation: the cluster comes up; under load, faults come and go,
// and nothing that must never be may be (safety); then everything is healed, and all must be well
// again within a time (liveness); then everything is read, and the whole history is judged.
import Drills
import Histories
import LocalCluster
import Platform
import SimulatedMachine
import Values

/// One run. There can be one in the life of a process, on the thread that makes it.
public final class ClusterSimulation {
  let options: SimulationOptions
  let machine: SimulatedMachine
  let cluster: SimulatedCluster
  let observer: Observer
  let clients: ClientProcesses
  let topics: [LoadedTopic]
  let tape: LogTape
  var report: SimulationReport
  /// What page caches held was lost everywhere at once: losses of topics that are not flushed are
  /// counted, and condemn nobody.
  var haveAllLostPower = false
  /// The driver looks around so often, in simulated milliseconds.
  private static let lookMs: Int64 = 20

  public init(_ options: SimulationOptions) throws(SystemError) {
    self.options = options
    var machineOptions = SimulatedMachine.Options()
    machineOptions.traceFile = options.traceFile
    machine = try SimulatedMachine(
      seed: options.seed, folder: options.folder, options: machineOptions)
    tape = LogTape(machine, folder: machine.folder)
    let plan = SimulatedPlan.cluster(options)
    cluster = SimulatedCluster(
      machine, plan, settings: SimulatedPlan.settings(options), isSabotaged: options.isSabotaged)
    observer = Observer(cluster)
    topics = SimulatedPlan.topics(options, plan)
    clients = ClientProcesses(machine, topics)
    report = SimulationReport(options)
  }

  /// Runs everything.
  public func run() -> SimulationReport {
    do {
      try perform()
    } catch {
      report.violations.append("\(error)")
    }
    report.violations += observer.violations
    report.digest = String(machine.digest, radix: 16)
    report.simulatedMs = machine.now.milliseconds(since: SimulatedPlan.startOfTime)
    report.summary = ([options.shape] + topics.map(\.loads.recorder.summary))
      .joined(separator: "; ")
    if !report.isValid {
      report.trace = tape.last + ["--- the machine's last events"] + machine.lastEvents()
    }
    return report
  }

  private struct Failed: Error, CustomStringConvertible {
    let description: String
  }

  private func perform() throws {
    try bringUp()
    switch options.scenario {
    case .random: try strike { FaultSchedule.draw(seed: options.seed, $0, overMs: options.faultMs) }
    case .isolatedLeader: try strike { _ in isolatedLeader }
    case .lostPageCache: try losePageCaches()
    }
    try recover()
    try settle()
    let isRead = try readEverything()
    judge(hasFinalRead: isRead)
  }

  // MARK: Time

  /// Lets the cluster run; looks after it meanwhile. True when the condition came to hold.
  @discardableResult
  func advance(_ ms: Int64, until condition: () -> Bool = { false }) throws(SystemError) -> Bool {
    let end = machine.now.advanced(milliseconds: ms)
    while machine.now < end {
      machine.sleep(milliseconds: Self.lookMs)
      observer.look()
      try cluster.supervise()
      if topics.allSatisfy(\.sawFullISR) { cluster.sawFullISR() }
      if condition() { return true }
    }
    return false
  }

  private func finish(
    _ errand: Errand, _ what: String, limitMs: Int64
  ) throws -> Bool {
    guard try advance(limitMs, until: { errand.outcome != nil }), let outcome = errand.outcome
    else { throw Failed(description: "\(what): not done after \(limitMs) ms") }
    switch outcome {
    case .success(let isDone): return isDone
    case .failure(let error): throw Failed(description: "\(what): \(error)")
    }
  }

  // MARK: Phases

  private func bringUp() throws {
    try cluster.startAll()
    guard try advance(120_000, until: { cluster.notServing.isEmpty }) else {
      throw Failed(description: "the cluster does not come up: \(state)")
    }
    _ = try finish(try clients.createTopics(), "topics are made", limitMs: 60_000)
    try clients.startLoads()
    guard
      try advance(
        60_000,
        until: {
          topics.allSatisfy { $0.sawFullISR && $0.loads.recorder.progress.acknowledged > 0 }
        })
    else { throw Failed(description: "no load before any fault: \(state)") }
    machine.note("the cluster is up")
  }

  /// What the leader of partition 0 takes in alone is nowhere else when it is killed, long before
  /// anybody leaves the ISR (`replica.lag.time.max.ms` is 6 s); it comes back when others lead.
  private var isolatedLeader: [ScheduledFault] {
    let leader = "broker-\(topics[0].monitor.leaders.first ?? 1)"
    return [
      ScheduledFault(atMs: 500, durationMs: 4_000, fault: .separate(leader)),
      ScheduledFault(atMs: 3_000, durationMs: 12_000, fault: .kill(leader)),
    ]
  }

  /// The phase of faults.
  private func strike(_ schedule: (FaultTargets) -> [ScheduledFault]) throws {
    let targets = FaultTargets(
      brokers: cluster.names(.broker),
      quorum: cluster.names(options.mode == .kraft ? .controller : .coordinator),
      clients: ClientProcesses.hosts, movesPartitions: options.movesPartitions)
    let nemesis = Nemesis(
      cluster, targets, schedule(targets)
    ) { [topics] in topics.allSatisfy(\.sawFullISR) }
    try advance(
      options.faultMs,
      until: {
        nemesis.act()
        return false
      })
    nemesis.healEverything()
    report.faults += nemesis.told
  }

  /// Everything must become well, and make progress, within a bound of time.
  private func recover() throws {
    machine.note("liveness")
    let before = topics.map(\.loads.recorder.progress)
    let isWell = try advance(options.livenessMs) {
      cluster.notServing.isEmpty
        && zip(topics, before).allSatisfy { topic, before in
          let now = topic.loads.recorder.progress
          return topic.sawFullISR && now.acknowledged > before.acknowledged
            && now.consumed > before.consumed
        }
        && observer.disagreement == nil && cluster.recovering.isEmpty
    }
    if !isWell {
      report.violations.append(
        "liveness: not well \(options.livenessMs) ms after everything was healed: \(state)")
    }
  }

  /// Ends the loads, and waits until the replicas are equal.
  private func settle() throws {
    clients.stopLoads()
    if !(try advance(120_000, until: { clients.haveSettled })) {
      report.violations.append("liveness: clients do not come to an end")
    }
    try settleAdministration()
    var differences: [String] = []
    let areEqual = try advance(30_000) {
      // Files are read now and then only.
      guard machine.now.milliseconds % 500 < Self.lookMs else { return false }
      differences = topics.flatMap { logs(of: $0).differences }
      return differences.isEmpty
    }
    if !areEqual { report.violations += differences.map { "diverged: \($0)" } }
    if let disagreement = observer.disagreement {
      report.violations.append("diverged: \(disagreement)")
    }
  }

  /// Waits until what was acknowledged of administration is there: topics made and deleted,
  /// settings, moves that have ended.
  private func settleAdministration() throws {
    let found = AdministrationFindings()
    let errand = try clients.compareAdministration(
      found, livenessMs: options.livenessMs, everyMs: 500)
    guard try finish(errand, "administration is compared", limitMs: options.livenessMs * 2) else {
      report.violations += found.differences.map { "administration: \($0)" }
      return
    }
  }

  private func readEverything() throws -> Bool {
    let isRead = try finish(
      try clients.readEverything(limitMs: 60_000), "everything is read", limitMs: 200_000)
    if !isRead { report.violations.append("liveness: not everything could be read at the end") }
    return isRead
  }

  // MARK: Judging

  private func judge(hasFinalRead: Bool) {
    for topic in topics {
      let recorder = topic.loads.recorder
      let history = recorder.history(hasFinalRead: hasFinalRead)
      let (findings, undecided) = recorder.judge(history)
      let tolerated = haveAllLostPower ? topic.lossesWithoutPower : []
      let mayLose = tolerated.contains(.lostWrite)
      for anomaly in findings.examples where !tolerated.contains(anomaly.kind) {
        report.violations.append(told(anomaly, history))
      }
      let lost = findings.summary.filter { tolerated.contains($0.kind) }
      if mayLose {
        let counts = lost.map { "\($0.count) × \($0.kind.rawValue)" }.joined(separator: ", ")
        report.remarks.append(
          "\(topic.loads.target.topic), not flushed: "
            + (counts.isEmpty ? "nothing was lost" : counts))
      }
      report.remarks += undecided.map { "\($0.path): given up after \($0.steps) steps" }
      report.violations += logs(of: topic).violations(
        of: history, mayLose: mayLose)
      report.violations += topic.monitor.splitTerms.map { "two leaders: \($0)" }
    }
  }

  private func told(_ anomaly: Anomaly, _ history: History) -> String {
    var text = "\(anomaly.kind.rawValue): \(anomaly.subject): \(anomaly.detail)"
    let isOfRecords: Set<AnomalyKind> = [
      .notLinearizable, .sessionOrder, .offsetRegression, .doubleOwnership,
    ]
    guard !isOfRecords.contains(anomaly.kind) else { return text }
    for index in anomaly.operations.prefix(3) where history.operations.indices.contains(index) {
      text += "\n    " + history.operations[index].told(since: SimulatedPlan.startOfTime)
    }
    return text
  }

  private func logs(of topic: LoadedTopic) -> ReplicaLogs {
    ReplicaLogs(
      target: topic.loads.target,
      brokers: cluster.plan.members.filter { $0.role == .broker }, folder: cluster.folder,
      replicas: topic.monitor.replicas)
  }

  /// What is not as it should be, one line.
  private var state: String {
    var parts = cluster.notServing
    for topic in topics {
      let progress = topic.loads.recorder.progress
      parts.append("\(topic.loads.target.topic): \(topic.monitor.lastSeen)")
      parts.append("\(progress.acknowledged) acknowledged, \(progress.consumed) read")
    }
    if let disagreement = observer.disagreement { parts.append(disagreement) }
    if !cluster.recovering.isEmpty {
      parts.append("recovering: \(cluster.recovering.keys.sorted())")
    }
    return (parts + cluster.failures.suffix(5)).joined(separator: "; ")
  }
}
