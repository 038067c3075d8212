// The history as it is written, from many threads.
import Histories
import KafkaClient
import Platform
import Synchronization
import Values

/// Collects the operations of all workloads of a run.
public final class Recorder: Sendable {
  struct Counts: Sendable {
    var attempted = 0
    var acknowledged = 0
    var failed = 0
    var unknown = 0
    var consumed = 0

    mutating func add(_ outcome: Outcome) {
      switch outcome {
      case .ok: acknowledged += 1
      case .failed: failed += 1
      case .unknown: unknown += 1
      }
    }
  }

  private struct State {
    var operations: [Operation] = []
    var groups: [GroupObservation] = []
    var znodes: [String: [TimedCall<ZnodeModel.Call>]] = [:]
    var sightings: [ZnodeSighting] = []
    var nextValue: Int64 = 0
    var nextProcess = 0
    var records = Counts()
    var calls = Counts()
    var administration = Counts()
  }

  /// What administration was told.
  public let ledger = AdministrationLedger()
  private let state = Mutex(State())
  /// So many of the newest operations are kept at least.
  private let limit: Int

  /// - Parameter limit: for measurements that only look at what has just happened; the history of
  ///   ten minutes at full speed would fill the memory.
  public init(keepingAtLeast limit: Int = .max / 2) { self.limit = limit }

  // MARK: Names

  /// A number for a logical process.
  public func newProcess() -> Int {
    state.withLock { state in
      state.nextProcess += 1
      return state.nextProcess
    }
  }

  /// A value that no other record or znode of this run carries.
  public func newValue() -> Int64 {
    state.withLock { state in
      state.nextValue += 1
      return state.nextValue
    }
  }

  // MARK: Records and groups

  public func add(_ operation: Operation) {
    state.withLock { state in
      if state.operations.count >= 2 * limit {
        state.operations.removeFirst(state.operations.count - limit)
      }
      state.operations.append(operation)
      for access in operation.accesses {
        if case .received = access {
          state.records.consumed += 1
        } else {
          state.records.attempted += 1
          state.records.add(operation.outcome)
        }
      }
    }
  }

  public func add(group: String, _ event: GroupObservation.Event, invoked: Instant) {
    let now = Clock.now()
    state.withLock { state in
      state.groups.append(
        GroupObservation(
          group: group, event, invoked: invoked, completed: now, operation: state.groups.count))
    }
  }

  // MARK: Znodes and administration

  /// A call that took effect, or may have; calls that certainly did not are only counted.
  public func add(
    znode path: String, _ call: ZnodeModel.Call, invoked: Instant, _ outcome: Outcome
  ) {
    let now = Clock.now()
    state.withLock { state in
      state.calls.attempted += 1
      state.calls.add(outcome)
      if outcome == .failed { return }
      let position = state.znodes[path, default: []].count
      state.znodes[path, default: []].append(
        TimedCall(
          call, invoked: invoked, completed: now, isAnswered: outcome == .ok,
          operation: position))
    }
  }

  public func saw(_ path: String, mzxid: Int64, session: Int) {
    state.withLock { state in
      state.sightings.append(
        ZnodeSighting(
          session: session, path: path, mzxid: mzxid, operation: state.sightings.count))
    }
  }

  public func addAdministration(_ outcome: Outcome) {
    state.withLock { state in
      state.administration.attempted += 1
      state.administration.add(outcome)
    }
  }

  /// What came of a request; nil: nobody answered.
  func addAdministration(_ result: Result<Void, ClientError>?) {
    switch result {
    case .success: addAdministration(.ok)
    case .failure(let error): addAdministration(error.code == nil ? .unknown : .failed)
    case nil: addAdministration(.unknown)
    }
  }

  // MARK: Reading

  /// When each partition first acknowledged a write that was begun after an instant.
  func firstAcknowledged(after start: Instant) -> [Int32: Instant] {
    state.withLock { state in
      var first: [Int32: Instant] = [:]
      // They are written down as they complete: the newest are enough.
      for operation in state.operations.reversed() {
        if operation.completed < start { break }
        guard operation.outcome == .ok, operation.invoked >= start else { continue }
        for case .sent(let at, _, _) in operation.accesses {
          first[at.partition] = min(first[at.partition] ?? .distantFuture, operation.completed)
        }
      }
      return first
    }
  }

  /// Records that were acknowledged, and records that were read, so far.
  public var progress: (acknowledged: Int, consumed: Int) {
    state.withLock { ($0.records.acknowledged, $0.records.consumed) }
  }

  var records: Counts { state.withLock { $0.records } }
  var calls: Counts { state.withLock { $0.calls } }
  var administration: Counts { state.withLock { $0.administration } }

  /// Operations in the order of invocation: the form that checkers take.
  public func history(hasFinalRead: Bool) -> History {
    let operations = state.withLock { $0.operations }.enumerated().sorted {
      ($0.element.invoked, $0.offset) < ($1.element.invoked, $1.offset)
    }
    return History(operations.map(\.element), hasFinalRead: hasFinalRead)
  }

  var groups: [GroupObservation] {
    state.withLock { $0.groups }.sorted { ($0.invoked, $0.operation) < ($1.invoked, $1.operation) }
  }
  var znodes: [(path: String, calls: [TimedCall<ZnodeModel.Call>])] {
    state.withLock { $0.znodes }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }
  var sightings: [ZnodeSighting] { state.withLock { $0.sightings } }
}
