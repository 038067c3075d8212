// What the checkers make of what was written down.
import Histories
import Values

extension Recorder {
  /// Every anomaly of records, groups and znodes, and the paths whose search was given up.
  ///
  /// - Parameter history: that of this recorder.
  public func judge(
    _ history: History
  ) -> (findings: Findings, undecided: [(path: String, steps: Int)]) {
    var found = RecordChecker.check(history)
    found.merge(GroupChecker.check(groups))
    found.merge(SessionOrderChecker.check(sightings))
    var undecided: [(path: String, steps: Int)] = []
    for (path, calls) in znodes {
      switch LinearizabilityChecker.check(ZnodeModel.self, calls) {
      case .linearizable: break
      case .violated(let blocked):
        found.add(
          Anomaly(
            .notLinearizable, path, "\(calls.count) operations have no order that explains them",
            operations: blocked))
      case .undecided(let steps): undecided.append((path, steps))
      }
    }
    return (found, undecided)
  }

  /// How much a run has done; one line.
  public var summary: String {
    let (records, calls, administration) = (records, calls, administration)
    return "records: \(records.attempted) sent, \(records.acknowledged) acknowledged, "
      + "\(records.unknown) unknown, \(records.consumed) read; znode calls: \(calls.attempted); "
      + "administration: \(administration.acknowledged) of \(administration.attempted)"
  }
}
