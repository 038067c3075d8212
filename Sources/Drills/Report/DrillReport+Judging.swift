// From a run to its report.
import Histories
import LocalCluster
import Values

extension DrillReport {
  /// - Parameters:
  ///   - window: when load was on.
  ///   - hasFinalRead: whether everything was read at the end.
  init(
    drill: Drill, run: DrillRun, window: ClosedRange<Instant>, hasFinalRead: Bool,
    convergence: [DrillCheck]
  ) {
    let history = run.recorder.history(hasFinalRead: hasFinalRead)
    let found = Self.findings(run, history)
    let start = run.timeline.start
    let losses =
      drill.tolerance.countsLosses
      ? Self.losses.map { found.counts[$0] ?? 0 }.reduce(0, +) : 0
    let condemned = found.summary.contains { kind, _ in
      !(drill.tolerance.countsLosses && Self.losses.contains(kind))
    }
    let checks = (run.checks + Self.agreement(run) + convergence).map {
      Check(name: $0.name, holds: $0.holds, detail: $0.detail)
    }
    number = drill.number
    name = drill.name
    title = drill.title
    breaks = drill.breaks
    mustHold = drill.mustHold
    mode = run.cluster.mode
    cluster = run.cluster.label
    build = run.cluster.build
    settings = run.cluster.settings
    settings["acks"] = drill.load.acks
    settings["clients"] =
      Librdkafka.executable == nil ? "our own" : "our own, and librdkafka (kcat)"
    valid = !condemned && checks.allSatisfy(\.holds)
    durationMs = window.upperBound.milliseconds(since: start)
    events = run.timeline.events.map {
      Event(kind: $0.kind.rawValue, atMs: $0.at.milliseconds(since: start), text: $0.text)
    }
    recovery = Self.recovery(run, history, window)
    records = Counts(run.recorder.records)
    znodes = Counts(run.recorder.calls)
    administration = Counts(run.recorder.administration)
    anomalies = Dictionary(
      uniqueKeysWithValues: found.summary.map { ($0.kind.rawValue, $0.count) })
    findings = found.examples.map { Finding($0, in: run, history) }
    countedLosses = losses
    self.checks = checks
    latency = Self.latency(history, since: start)
    noteRecovery(run)
  }

  private static func findings(_ run: DrillRun, _ history: History) -> Findings {
    let (found, undecided) = run.recorder.judge(history)
    for (path, steps) in undecided {
      run.check("the history of \(path) could be judged", false, "given up after \(steps) steps")
    }
    return found
  }

  /// One leader for each epoch, whoever was asked.
  private static func agreement(_ run: DrillRun) -> [DrillCheck] {
    let split = run.monitor.splitTerms
    return [
      DrillCheck(
        name: "one leader for each epoch", holds: split.isEmpty, detail: split.first ?? "")
    ]
  }

  // MARK: Times

  private static func recovery(
    _ run: DrillRun, _ history: History, _ window: ClosedRange<Instant>
  ) -> Recovery {
    let writes = history.operations.filter { operation in
      if case .sent? = operation.accesses.first { return operation.outcome == .ok }
      return false
    }
    let reads = history.operations.filter { operation in
      if case .received? = operation.accesses.first { return true }
      return false
    }
    var recovery = Recovery()
    if !writes.isEmpty {
      recovery.longestWithoutWriteMs =
        Availability.longestOutage(of: writes.map(\.completed), within: window)?.milliseconds
    }
    if !reads.isEmpty {
      recovery.longestWithoutReadMs =
        Availability.longestOutage(of: reads.map(\.completed), within: window)?.milliseconds
    }
    guard let fault = run.timeline.first(.fault) else { return recovery }
    let aimed = run.aimedAt
    if !aimed.isEmpty {
      recovery.toDetectMs = run.monitor.first(from: fault) { sample in
        sample.partitions.allSatisfy { !aimed.contains($0.leader) }
      }?.milliseconds(since: fault)
      recovery.toElectMs = run.monitor.first(from: fault) { sample in
        sample.partitions.allSatisfy { $0.leader >= 0 && !aimed.contains($0.leader) }
      }?.milliseconds(since: fault)
    }
    recovery.toFirstWriteMs = Availability.firstSuccess(
      of: writes.map { (invoked: $0.invoked, completed: $0.completed) }, after: fault)?
      .milliseconds(since: fault)
    recovery.toFullISRMs = run.timeline.first(.fullISR)?.milliseconds(since: fault)
    return recovery
  }

  /// Puts what was measured onto the time line too.
  private mutating func noteRecovery(_ run: DrillRun) {
    guard let fault = run.timeline.first(.fault)?.milliseconds(since: run.timeline.start) else {
      return
    }
    let marks: [(TimelineEvent.Kind, Int64?, String)] = [
      (.detected, recovery.toDetectMs, "leadership has left the broken member"),
      (.elected, recovery.toElectMs, "every partition has a new leader"),
      (.firstWrite, recovery.toFirstWriteMs, "first write since the fault acknowledged"),
    ]
    for (kind, after, text) in marks {
      if let after {
        events.append(Event(kind: kind.rawValue, atMs: fault + after, text: text))
      }
    }
    events.sort { $0.atMs < $1.atMs }
  }

  private static func latency(_ history: History, since start: Instant) -> [LatencyPoint] {
    let sliceMs: Int64 = 100
    var slices: [Int64: [Double]] = [:]
    for operation in history.operations where operation.outcome == .ok {
      // One record each: whole batches by another process say nothing about a write.
      guard operation.accesses.count == 1, case .sent? = operation.accesses.first else { continue }
      let slice = operation.invoked.milliseconds(since: start) / sliceMs
      let took = operation.completed.nanoseconds - operation.invoked.nanoseconds
      slices[slice, default: []].append(Double(took) / 1_000_000)
    }
    return slices.keys.sorted().map { slice in
      let sorted = (slices[slice] ?? []).sorted()
      return LatencyPoint(
        atMs: slice * sliceMs, medianMs: sorted[sorted.count / 2], worstMs: sorted.last ?? 0,
        writes: sorted.count)
    }
  }
}

extension DrillReport.Counts {
  init(_ counts: Recorder.Counts) {
    attempted = counts.attempted
    acknowledged = counts.acknowledged
    failed = counts.failed
    unknown = counts.unknown
    consumed = counts.consumed
  }
}

extension DrillReport.Finding {
  /// An anomaly with its operations in words.
  init(_ anomaly: Anomaly, in run: DrillRun, _ history: History) {
    kind = anomaly.kind.rawValue
    subject = anomaly.subject
    detail = anomaly.detail
    let start = run.timeline.start
    operations = anomaly.operations.map { index in
      switch anomaly.kind {
      case .notLinearizable:
        let calls = run.recorder.znodes.first { $0.path == anomaly.subject }?.calls ?? []
        guard calls.indices.contains(index) else { return "operation \(index)" }
        return "\(calls[index].call) from \(calls[index].invoked.milliseconds(since: start)) ms"
      case .sessionOrder, .offsetRegression, .doubleOwnership: return "observation \(index)"
      default:
        guard history.operations.indices.contains(index) else { return "operation \(index)" }
        return history.operations[index].told(since: start)
      }
    }
  }
}

extension Operation {
  /// One line: who, when, what, with what outcome.
  public func told(since start: Instant) -> String {
    let shown = accesses.prefix(4).map { access in
      switch access {
      case .sent(let at, let value, let offset):
        "sent \(value) to \(at)" + (offset.map { " at offset \($0)" } ?? "")
      case .received(let at, let offset, let value): "read \(value) at \(at) offset \(offset)"
      }
    }
    let more = accesses.count > 4 ? " and \(accesses.count - 4) more" : ""
    return "process \(process), \(invoked.milliseconds(since: start))–"
      + "\(completed.milliseconds(since: start)) ms, \(outcome.rawValue): "
      + shown.joined(separator: ", ") + more
  }
}
