import Platform
import Synchronization
import Values

/// Turns: how one thread waits and another goes on.
extension SimulatedMachine {
  /// Gives the turn away, after `prepare` has said what the calling thread waits for, and returns
  /// when it has come back.
  func switchAway(_ prepare: (inout MachineState, _ thread: Int) -> Void) {
    guard let thread = CurrentThread.number else {
      preconditionFailure("a thread that the simulated machine does not know waits on it")
    }
    let (next, own) = state.withLock { state in
      prepare(&state, thread)
      let next = state.chooseNext()
      return (state.scheduler.threads[next].gate, state.scheduler.threads[thread].gate)
    }
    if next === own { return }
    next.open()
    own.pass()
  }

  package func createThread(named name: String) -> Int {
    state.withLock { state in
      let process = state.starting ?? CurrentThread.number.flatMap {
        state.scheduler.threads[$0].process
      }
      // On the driver's thread, too, everything that has threads belongs to some process.
      precondition(process != nil, "a thread is started outside of every simulated process")
      let thread = state.scheduler.threads.count
      state.scheduler.threads.append(Scheduler.Entry(name: name, process: process))
      state.scheduler.runnable.append(thread)
      state.trace.add(.threadMade, thread, at: state.now)
      return thread
    }
  }

  package func beginThread(_ thread: Int) {
    CurrentThread.set(thread)
    let gate = state.withLock { $0.scheduler.threads[thread].gate }
    gate.pass()
  }

  package func endThread(_ thread: Int) {
    let next = state.withLock { state in
      state.scheduler.threads[thread].status = .ended
      for joiner in state.scheduler.threads[thread].joiners { state.wake(joiner) }
      state.scheduler.threads[thread].joiners = []
      let next = state.chooseNext()
      return state.scheduler.threads[next].gate
    }
    next.open()
  }

  package func join(_ thread: Int) {
    let hasEnded = state.withLock { $0.scheduler.threads[thread].status == .ended }
    if hasEnded { return }
    switchAway { state, joiner in
      state.scheduler.threads[thread].joiners.append(joiner)
      state.block(joiner, until: nil)
    }
  }

  package func wait(for object: ObjectIdentifier, until deadline: Instant?) -> Bool {
    switchAway { state, thread in
      state.scheduler.waiting[object, default: []].append(thread)
      state.block(thread, until: deadline)
    }
    guard let thread = CurrentThread.number, deadline != nil else { return true }
    // Whoever wakes a thread takes it off the list.
    return state.withLock { state in
      guard let place = state.scheduler.waiting[object]?.firstIndex(of: thread) else { return true }
      state.scheduler.waiting[object]?.remove(at: place)
      return false
    }
  }

  package func sleep(nanoseconds: Int64) {
    switchAway { state, thread in
      state.block(thread, until: state.now.advanced(nanoseconds: nanoseconds))
    }
  }

  package func wake(_ object: ObjectIdentifier, all: Bool) {
    CurrentThread.mustBeKnown()
    state.withLock { state in
      guard var waiting = state.scheduler.waiting.removeValue(forKey: object), !waiting.isEmpty
      else { return }
      if all {
        for thread in waiting { state.wake(thread) }
        return
      }
      // Which of them a signal wakes is not for the program to know.
      let place = Int(state.random.next() % UInt64(waiting.count))
      state.wake(waiting.remove(at: place))
      if !waiting.isEmpty { state.scheduler.waiting[object] = waiting }
    }
  }

  package func waitForDisk() {
    switchAway { state, thread in
      var delay = state.draw(options.diskDelaysMicroseconds)
      if state.random.next() % 50 == 0 { delay *= 10 }
      state.block(thread, until: Instant(nanoseconds: state.now.nanoseconds + delay * 1_000))
    }
  }
}
