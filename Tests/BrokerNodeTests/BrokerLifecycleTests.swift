import Testing
import Values

@testable import BrokerNode

/// The life of a broker as a script: what happens, and what it sends.
@Suite struct BrokerLifecycleTests {
  typealias Effect = BrokerLifecycle.Effect

  /// Steps a machine and keeps the clock.
  struct Script {
    var machine = BrokerLifecycle(BrokerID(1), timing: .init())
    var now = Instant(nanoseconds: 0)

    /// When it wants to be woken, if the last event said so.
    private(set) var wake: Instant?

    /// Everything but log lines and times.
    mutating func step(_ event: BrokerLifecycle.Event, afterMs: Int64 = 0) -> [Effect] {
      now = now.advanced(milliseconds: afterMs)
      var effects: [Effect] = []
      machine.step(event, at: now, into: &effects)
      wake = nil
      for case .wakeAt(let instant) in effects { wake = instant }
      return effects.filter {
        switch $0 {
        case .log, .wakeAt: false
        default: true
        }
      }
    }

    mutating func lines(_ event: BrokerLifecycle.Event) -> [String] {
      var effects: [Effect] = []
      machine.step(event, at: now, into: &effects)
      return effects.compactMap { if case .log(let text) = $0 { text } else { nil } }
    }
  }

  static func heartbeat(
    _ epoch: Int64, _ offset: Int64, fence: Bool, leave: Bool = false, offline: [Uuid] = []
  ) -> Effect {
    .heartbeat(
      epoch: BrokerEpoch(epoch), offset: offset, wantFence: fence, wantShutDown: leave,
      offline: offline)
  }

  static func answer(
    caughtUp: Bool = true, fenced: Bool = false, leave: Bool = false
  ) -> BrokerLifecycle.Event {
    .heartbeatAnswered(.init(isCaughtUp: caughtUp, isFenced: fenced, shouldShutDown: leave))
  }

  func running() -> Script {
    var script = Script()
    _ = script.step(.started)
    _ = script.step(.registered(BrokerEpoch(17)))
    _ = script.step(Self.answer(fenced: true))
    _ = script.step(.readyToUnfence)
    _ = script.step(Self.answer())
    return script
  }

  @Test func anOutdatedRegistrationIsRenewedWhileTheBrokerRuns() {
    var script = running()
    // A heartbeat that is under way is answered first, then the registration is sent.
    let before = script.step(.registrationOutdated)
    let then = before.isEmpty ? script.step(Self.answer()) : before
    #expect(then == [.register])
    #expect(script.machine.state == .running)
    #expect(script.step(.registrationOutdated).isEmpty)
    let after = script.step(.registered(BrokerEpoch(17)))
    #expect(after.first == .tookEpoch(BrokerEpoch(17)))
    #expect(script.machine.state == .running)
    #expect(!script.machine.isFenced)
  }

  @Test func fromStartToRunning() {
    var script = Script()
    #expect(script.step(.started) == [.register])
    // Nothing is asked twice at a time.
    #expect(script.step(.tick, afterMs: 50) == [])
    #expect(
      script.step(.registered(BrokerEpoch(17))) == [
        .tookEpoch(BrokerEpoch(17)), Self.heartbeat(17, -1, fence: true),
      ])
    #expect(script.step(Self.answer(caughtUp: false, fenced: true)) == [])
    #expect(script.wake == script.now.advanced(milliseconds: 2_000))
    // The metadata have come up to the registration: said at once, not in two seconds.
    #expect(script.step(.metadataApplied(16), afterMs: 5).contains { $0 == .register } == false)
    #expect(script.step(.metadataApplied(17)) == [Self.heartbeat(17, 17, fence: true)])
    #expect(script.step(Self.answer(fenced: true)).first == .caughtUp)
    #expect(script.machine.state == .recovery)
    #expect(script.step(.readyToUnfence) == [Self.heartbeat(17, 17, fence: false)])
    #expect(script.step(Self.answer()).first == .unfenced)
    #expect(script.machine.state == .running)
    #expect(script.step(.tick, afterMs: 1_999) == [])
    #expect(script.step(.tick, afterMs: 1) == [Self.heartbeat(17, 17, fence: false)])
  }

  @Test func theReadyLine() {
    var script = Script()
    _ = script.step(.started)
    _ = script.step(.registered(BrokerEpoch(3)))
    _ = script.step(Self.answer(fenced: true))
    _ = script.step(.readyToUnfence)
    #expect(
      script.lines(Self.answer()) == [
        "The broker has been unfenced. Transitioning from RECOVERY to RUNNING."
      ])
  }

  @Test func refusedRegistrationIsRepeated() {
    var script = Script()
    _ = script.step(.started)
    #expect(script.step(.registrationRefused("DUPLICATE_BROKER_REGISTRATION")) == [])
    #expect(script.wake == Instant(nanoseconds: 100_000_000))
    #expect(script.step(.tick, afterMs: 100) == [.register])
    #expect(script.step(.registrationRefused("x"), afterMs: 60_000).first == .gaveUp)
    #expect(script.step(.tick, afterMs: 1_000) == [])
  }

  @Test func aRegistrationThatNobodyAnswersIsGivenUp() {
    var script = Script()
    #expect(script.step(.started) == [.register])
    #expect(script.wake == Instant(nanoseconds: 60_000_000_000))
    #expect(script.step(.tick, afterMs: 59_999) == [])
    #expect(script.step(.tick, afterMs: 1) == [.gaveUp])
  }

  @Test func failedHeartbeatsAreRepeatedSoon() {
    var script = running()
    _ = script.step(.tick, afterMs: 2_000)
    _ = script.step(.heartbeatRefused("timed out", isRegistrationLost: false))
    #expect(script.machine.state == .running)
    #expect(script.step(.tick, afterMs: 100) == [Self.heartbeat(17, -1, fence: false)])
  }

  @Test func aLostRegistrationIsMadeAgain() {
    var script = running()
    _ = script.step(.tick, afterMs: 2_000)
    _ = script.step(.heartbeatRefused("STALE_BROKER_EPOCH", isRegistrationLost: true))
    #expect(script.step(.tick, afterMs: 100) == [.register])
    // It is ready already: the first heartbeat of the new life says so.
    #expect(
      script.step(.registered(BrokerEpoch(40))) == [
        .tookEpoch(BrokerEpoch(40)), Self.heartbeat(40, -1, fence: false),
      ])
    #expect(script.step(Self.answer(fenced: true)).contains(.caughtUp))
    #expect(script.step(Self.answer()).first == .unfenced)
  }

  @Test func leavingWaitsForTheController() {
    var script = running()
    #expect(
      script.step(.wantsToLeave) == [Self.heartbeat(17, -1, fence: false, leave: true)])
    #expect(script.step(Self.answer()).contains(.mayShutDown) == false)
    #expect(
      script.step(.tick, afterMs: 100) == [Self.heartbeat(17, -1, fence: false, leave: true)])
    #expect(script.step(Self.answer(leave: true)) == [.mayShutDown])
    #expect(script.step(.tick, afterMs: 5_000) == [])
  }

  @Test func leavingBeforeBeingRegisteredNeedsNobody() {
    var script = Script()
    _ = script.step(.started)
    #expect(script.step(.wantsToLeave) == [.mayShutDown])
  }

  @Test func failedDirectoriesAreToldAtOnceAndEverAfter() {
    let lost = Uuid(high: 1, low: 1)
    var script = running()
    #expect(
      script.step(.directoriesFailed([lost]), afterMs: 10) == [
        Self.heartbeat(17, -1, fence: false, offline: [lost])
      ])
    _ = script.step(Self.answer())
    #expect(script.step(.directoriesFailed([lost]), afterMs: 10).contains {
      if case .heartbeat = $0 { true } else { false }
    } == false)
    #expect(
      script.step(.tick, afterMs: 2_000) == [
        Self.heartbeat(17, -1, fence: false, offline: [lost])
      ])
  }
}
