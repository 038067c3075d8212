// Is there an order of these operations that explains every answer?
import Values

/// A sequential specification: what one operation does to a state and may answer.
public protocol SequentialModel: Sendable {
  associatedtype State: Hashable & Sendable
  associatedtype Call: Sendable
  static var initial: State { get }
  /// The state after the operation; nil if its answer cannot have come from `state`.
  /// - Parameter isAnswered: false when the answer is unknown: then every answer is possible.
  static func step(_ state: State, _ call: Call, isAnswered: Bool) -> State?
}

/// One operation on one object.
public struct TimedCall<Call: Sendable>: Sendable {
  public var call: Call
  public var invoked: Instant
  /// `.distantFuture` when it may take effect at any time, because nobody knows its outcome.
  public var completed: Instant
  public var isAnswered: Bool
  /// The operation's position in the history, for reports.
  public var operation: Int

  public init(
    _ call: Call, invoked: Instant, completed: Instant, isAnswered: Bool, operation: Int
  ) {
    self.call = call
    self.invoked = invoked
    self.completed = isAnswered ? completed : .distantFuture
    self.isAnswered = isAnswered
    self.operation = operation
  }
}

/// The verdict of a search.
public enum LinearizabilityVerdict: Equatable, Sendable {
  case linearizable
  /// The operations that stood in the way: at the deepest point of the search none of them could
  /// come next. Positions in the history.
  case violated([Int])
  /// The search was given up after so many steps.
  case undecided(steps: Int)
}

/// Wing and Gong's search with Lowe's memory: at every point choose, among the operations that no
/// other must precede, one whose answer fits the state; remember the pairs of (operations done,
/// state) from which the rest has proved impossible.
///
/// Time is exponential in the number of operations that overlap, memory in the number of points
/// visited; both are bounded by `limit`.
public enum LinearizabilityChecker {
  /// - Parameters:
  ///   - calls: on one object, in any order.
  ///   - limit: search steps after which the answer is "undecided".
  public static func check<Model: SequentialModel>(
    _ model: Model.Type, _ calls: [TimedCall<Model.Call>], limit: Int = 5_000_000
  ) -> LinearizabilityVerdict {
    var search = Search<Model>(calls, limit: limit)
    return search.run()
  }
}

/// A place in the search that was looked at: which operations are done, and the state they led to.
private struct Point<State: Hashable>: Hashable {
  var done: [UInt64]
  var state: State
}

private struct Search<Model: SequentialModel> {
  /// In the order of invocation.
  private let calls: [TimedCall<Model.Call>]
  private let limit: Int
  // Invocations and completions in one list, doubly linked, so that an operation is taken out and
  // put back in constant time. Entry 2i is the invocation of call i, 2i+1 its completion.
  private var following: [Int]
  private var preceding: [Int]
  private let head: Int
  private var done: [UInt64]
  private var visited: Set<Point<Model.State>> = []
  private var taken: [(call: Int, before: Model.State)] = []
  private var state = Model.initial
  /// Calls with an answer that are not taken yet.
  private var unexplained: Int
  private var deepest = 0
  private var blocked: [Int] = []

  init(_ calls: [TimedCall<Model.Call>], limit: Int) {
    self.calls = calls.sorted { ($0.invoked, $0.operation) < ($1.invoked, $1.operation) }
    self.limit = limit
    unexplained = calls.count { $0.isAnswered }
    let count = calls.count
    head = 2 * count
    following = Array(repeating: 2 * count, count: 2 * count + 1)
    preceding = following
    done = Array(repeating: 0, count: (count + 63) / 64)
    let sorted = self.calls
    let entries = (0..<2 * count).sorted { a, b in
      let left = a & 1 == 0 ? sorted[a >> 1].invoked : sorted[a >> 1].completed
      let right = b & 1 == 0 ? sorted[b >> 1].invoked : sorted[b >> 1].completed
      // At one instant invocations come first: such operations overlap.
      return (left, a & 1, a) < (right, b & 1, b)
    }
    var last = head
    for entry in entries {
      following[last] = entry
      preceding[entry] = last
      last = entry
    }
    following[last] = head
    preceding[head] = last
  }

  mutating func run() -> LinearizabilityVerdict {
    var steps = 0
    var entry = following[head]
    while true {
      // Only operations nobody answered are left: they need not have happened.
      if unexplained == 0 { return .linearizable }
      steps += 1
      if steps > limit { return .undecided(steps: steps) }
      if entry & 1 == 0 {
        if let next = take(entry >> 1) {
          state = next
          entry = following[head]
        } else {
          entry = following[entry]
        }
        continue
      }
      // A completion: whoever it belongs to should have come by now.
      noteBlocked()
      guard let (call, before) = taken.popLast() else { return .violated(blocked) }
      state = before
      done[call / 64] &= ~(1 << UInt64(call % 64))
      putBack(call)
      if calls[call].isAnswered { unexplained += 1 }
      entry = following[2 * call]
    }
  }

  /// Makes `call` the next in the order, if its answer fits and the place is new.
  private mutating func take(_ call: Int) -> Model.State? {
    guard
      let next = Model.step(state, calls[call].call, isAnswered: calls[call].isAnswered)
    else { return nil }
    done[call / 64] |= 1 << UInt64(call % 64)
    guard visited.insert(Point(done: done, state: next)).inserted else {
      done[call / 64] &= ~(1 << UInt64(call % 64))
      return nil
    }
    taken.append((call, state))
    if calls[call].isAnswered { unexplained -= 1 }
    unlink(2 * call)
    unlink(2 * call + 1)
    return next
  }

  private mutating func unlink(_ entry: Int) {
    following[preceding[entry]] = following[entry]
    preceding[following[entry]] = preceding[entry]
  }

  /// In the reverse order of `take`, so that the neighbours are in place.
  private mutating func putBack(_ call: Int) {
    for entry in [2 * call + 1, 2 * call] {
      following[preceding[entry]] = entry
      preceding[following[entry]] = entry
    }
  }

  /// Remembers who could not be next where the search came furthest.
  private mutating func noteBlocked() {
    guard taken.count >= deepest else { return }
    deepest = taken.count
    blocked = []
    var entry = following[head]
    while entry != head, entry & 1 == 0, blocked.count < 16 {
      blocked.append(calls[entry >> 1].operation)
      entry = following[entry]
    }
  }
}
