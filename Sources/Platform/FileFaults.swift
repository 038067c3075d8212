import Glibc
import Synchronization

/// Failures of the disk, injected by tests: the next calls of a kind under a folder fail with an
/// errno as if the kernel had said so.
///
/// Without an injected fault the price is one relaxed load for each call. Faults are looked up by
/// path prefix, so that tests that run side by side do not meet each other's.
public enum FileFaults {
  public enum Call: Sendable, Hashable {
    case open, read, write, sync, truncate, allocate, rename, remove
  }

  /// Handle of one injected fault; it stays until removed or used up.
  public struct Fault: Sendable { let id: Int }

  struct Rule {
    let id: Int
    let call: Call
    let prefix: String
    let code: Int32
    var skip: Int
    var times: Int
  }

  private struct State {
    var rules: [Rule] = []
    var nextID = 1
  }

  private static let state = Mutex(State())
  private static let armed = Atomic<Int>(0)

  /// Makes calls on paths that start with `prefix` fail with `code`, after letting `skip` of them
  /// pass, and for so many `times`.
  @discardableResult
  public static func inject(
    _ call: Call, under prefix: String, code: Int32, skip: Int = 0, times: Int = .max
  ) -> Fault {
    let id = state.withLock { state in
      let id = state.nextID
      state.nextID += 1
      state.rules.append(
        Rule(id: id, call: call, prefix: prefix, code: code, skip: skip, times: times))
      return id
    }
    armed.add(1, ordering: .relaxed)
    return Fault(id: id)
  }

  public static func remove(_ fault: Fault) {
    let removed = state.withLock { state in
      let before = state.rules.count
      state.rules.removeAll { $0.id == fault.id }
      return before - state.rules.count
    }
    armed.subtract(removed, ordering: .relaxed)
  }

  /// Throws when a fault is due for this call.
  @inline(__always)
  static func check(_ call: Call, _ path: @autoclosure () -> String) throws(SystemError) {
    if armed.load(ordering: .relaxed) != 0 { try checkRules(call, path()) }
  }

  @inline(never)
  private static func checkRules(_ call: Call, _ path: String) throws(SystemError) {
    let code: Int32? = state.withLock { state in
      for index in state.rules.indices
      where state.rules[index].call == call && path.hasPrefix(state.rules[index].prefix) {
        if state.rules[index].skip > 0 {
          state.rules[index].skip -= 1
          continue
        }
        if state.rules[index].times <= 0 { continue }
        state.rules[index].times -= 1
        return state.rules[index].code
      }
      return nil
    }
    if let code { throw SystemError("injected \(call)", code: code, on: path) }
  }
}
