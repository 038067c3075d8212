import Histories
import Testing
import Values

@Suite struct LinearizabilityTests {
  private func call(
    _ call: ZnodeModel.Call, _ from: Int64, _ to: Int64?, _ operation: Int
  ) -> TimedCall<ZnodeModel.Call> {
    TimedCall(
      call, invoked: Instant(milliseconds: from),
      completed: Instant(milliseconds: to ?? from + 1), isAnswered: to != nil,
      operation: operation)
  }

  private func verdict(_ calls: [TimedCall<ZnodeModel.Call>]) -> LinearizabilityVerdict {
    LinearizabilityChecker.check(ZnodeModel.self, calls)
  }

  @Test func oneAfterTheOther() {
    #expect(
      verdict([
        call(.create(value: 1, applied: true), 0, 5, 0),
        call(.set(value: 2, expected: 0, applied: true), 10, 15, 1),
        call(.get(value: 2, version: 1), 20, 25, 2),
        call(.set(value: 3, expected: 0, applied: false), 30, 35, 3),
        call(.delete(expected: 1, applied: true), 40, 45, 4),
        call(.get(value: nil, version: 0), 50, 55, 5),
      ]) == .linearizable)
  }

  @Test func staleRead() {
    let result = verdict([
      call(.create(value: 1, applied: true), 0, 5, 0),
      call(.set(value: 2, expected: 0, applied: true), 10, 15, 1),
      call(.get(value: 1, version: 0), 20, 25, 2),
    ])
    guard case .violated(let blocked) = result else {
      Issue.record("\(result)")
      return
    }
    #expect(blocked.contains(2))
  }

  @Test func overlappingReadMaySeeEither() {
    for (value, version) in [(Int64(1), Int32(0)), (2, 1)] {
      #expect(
        verdict([
          call(.create(value: 1, applied: true), 0, 5, 0),
          call(.set(value: 2, expected: -1, applied: true), 10, 30, 1),
          call(.get(value: value, version: version), 15, 20, 2),
        ]) == .linearizable)
    }
  }

  @Test func bothCannotWin() {
    let result = verdict([
      call(.create(value: 1, applied: true), 0, 5, 0),
      call(.set(value: 2, expected: 0, applied: true), 10, 30, 1),
      call(.set(value: 3, expected: 0, applied: true), 10, 30, 2),
    ])
    #expect(result != .linearizable)
  }

  @Test func unknownWriteMayTakeEffectLateOrNever() {
    let create = call(.create(value: 1, applied: true), 0, 5, 0)
    let unknown = call(.set(value: 2, expected: 0, applied: true), 10, nil, 1)
    #expect(
      verdict([create, unknown, call(.get(value: 1, version: 0), 90, 95, 2)]) == .linearizable)
    #expect(
      verdict([
        create, unknown, call(.get(value: 1, version: 0), 50, 55, 2),
        call(.get(value: 2, version: 1), 90, 95, 3),
      ]) == .linearizable)
    // Once seen it cannot be gone again.
    #expect(
      verdict([
        create, unknown, call(.get(value: 2, version: 1), 50, 55, 2),
        call(.get(value: 1, version: 0), 90, 95, 3),
      ]) != .linearizable)
  }

  /// Histories made by running a true register, with random overlaps and lost answers: all
  /// linearizable; and each with one answer falsified: not.
  @Test(arguments: 0..<40)
  func randomHistories(_ seed: Int) {
    var random = SplitMix(seed: UInt64(seed))
    var calls = [call(.create(value: 0, applied: true), 0, 1, 0)]
    var state = ZnodeModel.State(value: 0, version: 0)
    for index in 1...400 {
      // It takes effect at one instant; invocation and completion lie around it.
      let instant = Int64(index * 10)
      let from = instant - Int64.random(in: 0...40, using: &random)
      let to = instant + Int64.random(in: 1...40, using: &random)
      let isAnswered = Int.random(in: 0..<40, using: &random) > 0
      if Bool.random(using: &random) {
        calls.append(
          call(.get(value: state.value, version: state.version), from, to, index))
        continue
      }
      let expected = state.version + Int32.random(in: 0...1, using: &random)
      let applies = expected == state.version
      calls.append(
        call(
          .set(value: Int64(index), expected: expected, applied: applies), from,
          isAnswered ? to : nil, index))
      if applies { state = .init(value: Int64(index), version: state.version + 1) }
    }
    #expect(verdict(calls) == .linearizable)
    guard let index = calls.lastIndex(where: { if case .get = $0.call { true } else { false } })
    else { return }
    calls[index].call = .get(value: -7, version: state.version)
    #expect(verdict(calls) != .linearizable)
  }

  @Test func sessionsOnlySeeTheFuture() {
    func saw(_ session: Int, _ mzxid: Int64, _ operation: Int) -> ZnodeSighting {
      ZnodeSighting(session: session, path: "/a", mzxid: mzxid, operation: operation)
    }
    #expect(SessionOrderChecker.check([saw(1, 5, 0), saw(1, 5, 1), saw(2, 3, 2)]).isEmpty)
    let findings = SessionOrderChecker.check([saw(1, 5, 0), saw(1, 7, 1), saw(1, 5, 2)])
    #expect(findings.first?.operations == [1, 2])
  }
}
