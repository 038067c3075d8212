import Histories
import Testing
import Values

/// Histories that each hold one anomaly, and the same histories without it.
@Suite struct RecordCheckerTests {
  private let p = TopicPartition("t", 0)
  private let q = TopicPartition("t", 1)

  private func send(
    _ process: Int, _ value: Int64, at offset: Offset?, _ time: Int64, _ outcome: Outcome = .ok
  ) -> Operation {
    Operation(
      process: process, [.sent(p, value: value, offset: offset)],
      invoked: Instant(milliseconds: time), completed: Instant(milliseconds: time + 5),
      outcome: outcome)
  }

  private func poll(
    _ process: Int, _ records: [(Offset, Int64)], _ time: Int64, generation: Int = 0
  ) -> Operation {
    Operation(
      process: process,
      records.map { .received(p, offset: $0.0, value: $0.1) },
      invoked: Instant(milliseconds: time), completed: Instant(milliseconds: time + 5),
      outcome: .ok, generation: generation)
  }

  private func kinds(_ operations: [Operation], final: Bool = false) -> [AnomalyKind] {
    RecordChecker.check(History(operations, hasFinalRead: final)).summary.map(\.kind)
  }

  @Test func cleanHistoryHasNone() {
    let history = [
      send(1, 10, at: 0, 0), send(1, 11, at: 1, 10), send(2, 12, at: nil, 20, .unknown),
      send(2, 13, at: nil, 30, .failed), poll(3, [(0, 10), (1, 11)], 40),
      poll(3, [(2, 12)], 50),
    ]
    #expect(kinds(history, final: true) == [])
  }

  @Test func lostWriteNeedsAReaderBeyondIt() {
    let sends = [send(1, 10, at: 0, 0), send(1, 11, at: 1, 10), send(1, 12, at: 2, 20)]
    #expect(kinds(sends + [poll(3, [(0, 10), (2, 12)], 40)]) == [.lostWrite])
    // What lies beyond everything that was read is not proved lost.
    #expect(kinds(sends + [poll(3, [(0, 10), (1, 11)], 40)]) == [])
    let findings = RecordChecker.check(History(sends + [poll(3, [(0, 10), (2, 12)], 40)]))
    #expect(findings.first?.operations == [1, 3])
    #expect(findings.first?.detail.contains("value 11") == true)
  }

  @Test func unseenNeedsAFinalRead() {
    let history = [send(1, 10, at: 0, 0), send(1, 11, at: 1, 10), poll(3, [(0, 10)], 40)]
    #expect(kinds(history) == [])
    #expect(kinds(history, final: true) == [.unseen])
  }

  @Test func duplicate() {
    #expect(kinds([send(1, 10, at: 0, 0), poll(3, [(0, 10), (1, 10)], 40)]) == [.duplicate])
  }

  @Test func twoValuesAtOneOffset() {
    let history = [
      send(1, 10, at: 0, 0), send(2, 11, at: 0, 2), poll(3, [(0, 11)], 40),
    ]
    #expect(kinds(history).contains(.inconsistentOffsets))
  }

  @Test func pollsMoveForward() {
    let sends = [send(1, 10, at: 0, 0), send(1, 11, at: 1, 10), send(1, 12, at: 2, 20)]
    let all = poll(4, [(0, 10), (1, 11), (2, 12)], 30)
    #expect(
      kinds(sends + [all, poll(3, [(0, 10), (1, 11)], 40), poll(3, [(1, 11)], 50)])
        == [.nonmonotonicPoll])
    #expect(
      kinds(sends + [all, poll(3, [(0, 10)], 40), poll(3, [(2, 12)], 50)]) == [.pollSkip])
    // A new assignment may begin anywhere.
    #expect(
      kinds(
        sends + [
          all, poll(3, [(0, 10), (1, 11)], 40), poll(3, [(0, 10)], 50, generation: 1),
        ]) == [])
    #expect(kinds(sends + [all, poll(3, [(0, 10), (2, 12)], 40)]) == [.internalPollSkip])
    #expect(
      kinds(sends + [all, poll(3, [(1, 11), (0, 10)], 40)]) == [.internalNonmonotonicPoll])
  }

  @Test func producersKeepTheirOrder() {
    #expect(
      kinds([send(1, 10, at: 1, 0), send(1, 11, at: 0, 10), poll(3, [(0, 11), (1, 10)], 40)])
        == [.nonmonotonicSend])
  }

  @Test func sendsOfOneOperationStandTogether() {
    let pair = Operation(
      process: 1, [.sent(p, value: 10, offset: 0), .sent(p, value: 12, offset: 2)],
      invoked: .zero, completed: Instant(milliseconds: 9), outcome: .ok)
    #expect(kinds([pair, send(2, 11, at: 1, 1)]) == [.internalSendSkip])
  }

  private func transaction(_ process: Int, _ accesses: [Access], _ outcome: Outcome) -> Operation {
    Operation(
      process: process, accesses, invoked: .zero, completed: Instant(milliseconds: 9),
      outcome: outcome, isTransaction: true)
  }

  @Test func abortedRead() {
    let aborted = transaction(1, [.sent(p, value: 10, offset: 0)], .failed)
    #expect(kinds([aborted, poll(3, [(0, 10)], 40)]) == [.abortedRead])
    let unknown = transaction(1, [.sent(p, value: 10, offset: 0)], .unknown)
    #expect(kinds([unknown, poll(3, [(0, 10)], 40)]) == [])
  }

  @Test func transactionsThatReadEachOther() {
    let first = transaction(
      1, [.sent(p, value: 10, offset: 0), .received(q, offset: 0, value: 20)], .ok)
    let second = transaction(
      2, [.sent(q, value: 20, offset: 0), .received(p, offset: 0, value: 10)], .ok)
    #expect(kinds([first, second]) == [.circularFlow])
    let oneWay = transaction(2, [.sent(q, value: 20, offset: 0)], .ok)
    #expect(kinds([first, oneWay]) == [])
  }

  @Test func countsGoOnPastTheExamples() {
    var history: [Operation] = []
    for value in 0..<100 { history.append(send(1, Int64(value), at: Offset(value), 10)) }
    let findings = RecordChecker.check(History(history, hasFinalRead: true))
    #expect(findings.counts[.unseen] == 100)
    #expect(findings.examples.count == 8)
  }

  @Test func offsetsOfGroupsNeverGoBack() {
    func seen(_ event: GroupObservation.Event, _ time: Int64, _ index: Int) -> GroupObservation {
      GroupObservation(
        group: "g", event, invoked: Instant(milliseconds: time),
        completed: Instant(milliseconds: time + 5), operation: index)
    }
    let commits = [seen(.committed(p, 5), 0, 0), seen(.committed(p, 9), 10, 1)]
    #expect(GroupChecker.check(commits + [seen(.fetched(p, 9), 20, 2)]).isEmpty)
    #expect(
      GroupChecker.check(commits + [seen(.fetched(p, nil), 20, 2)]).counts == [
        .offsetRegression: 1
      ])
    // Asked while the commit was under way: either answer is right.
    #expect(GroupChecker.check(commits + [seen(.fetched(p, 5), 12, 2)]).isEmpty)
    let owners = [
      seen(.assigned(member: "a", generation: 3, [p, q]), 0, 0),
      seen(.assigned(member: "b", generation: 3, [q]), 5, 1),
      seen(.assigned(member: "b", generation: 4, [q]), 9, 2),
    ]
    #expect(GroupChecker.check(owners).counts == [.doubleOwnership: 1])
  }

  @Test func outages() {
    let at = [100, 200, 900, 1000].map { Instant(milliseconds: $0) }
    let window = Instant.zero...Instant(milliseconds: 1100)
    #expect(Availability.longestOutage(of: at, within: window)?.milliseconds == 700)
    let late = Instant.zero...Instant(milliseconds: 5000)
    #expect(Availability.longestOutage(of: at, within: late)?.milliseconds == 4000)
    let operations = [(100, 250), (210, 300), (220, 260)].map {
      (invoked: Instant(milliseconds: $0.0), completed: Instant(milliseconds: $0.1))
    }
    #expect(
      Availability.firstSuccess(of: operations, after: Instant(milliseconds: 200))
        == Instant(milliseconds: 260))
  }
}
