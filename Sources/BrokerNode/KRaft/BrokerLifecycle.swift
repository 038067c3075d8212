/// The life of a KRaft broker as the controller sees it: registered, caught up, unfenced, leaving.
///
/// A machine without clock or network (KIP-631): it is told what happened and says what to send.
/// One request is under way at a time. The broker is registered fenced, and stays so until it has
/// read the metadata up to its own registration and has taken them over; it is kept alive by
/// heartbeats, which also carry the wish to leave and the directories that failed.
import Values

struct BrokerLifecycle {
  enum State: Equatable, Sendable {
    /// Not caught up with the metadata log yet.
    case starting
    /// Caught up; still fenced.
    case recovery
    case running
    case pendingControlledShutdown
    case shuttingDown
  }

  enum Event: Equatable, Sendable {
    case started
    /// The controller's answer to a registration: the broker epoch or the error's name.
    case registered(BrokerEpoch)
    case registrationRefused(String)
    case heartbeatAnswered(Heartbeat)
    case heartbeatRefused(String, isRegistrationLost: Bool)
    /// The metadata log was applied up to this offset.
    case metadataApplied(Int64)
    /// The broker has taken over its replicas and may be unfenced.
    case readyToUnfence
    /// The cluster has reached a level at which a registration says more than this one did.
    case registrationOutdated
    case wantsToLeave
    case directoriesFailed([Uuid])
    case tick
  }

  /// What a heartbeat's answer says.
  struct Heartbeat: Equatable, Sendable {
    var isCaughtUp: Bool
    var isFenced: Bool
    var shouldShutDown: Bool
  }

  enum Effect: Equatable, Sendable {
    /// Ask to be registered, naming the epoch before (-1 for none).
    case register
    case heartbeat(
      epoch: BrokerEpoch, offset: Int64, wantFence: Bool, wantShutDown: Bool, offline: [Uuid])
    case tookEpoch(BrokerEpoch)
    case caughtUp
    case unfenced
    case mayShutDown
    /// `initial.broker.registration.timeout.ms` is over and no controller has registered us.
    case gaveUp
    case wakeAt(Instant)
    case log(String)
  }

  struct Timing: Sendable {
    var heartbeatIntervalMs: Int64 = 2_000
    var registrationTimeoutMs: Int64 = 60_000
    /// Between tries that fail.
    var retryMs: Int64 = 100
  }

  let id: BrokerID
  let timing: Timing
  private(set) var state = State.starting
  private(set) var epoch = BrokerEpoch.none
  private(set) var isFenced = true
  private var isRegistered = false
  private var wasEverRegistered = false
  private var isReadyToUnfence = false
  private var wantsToLeave = false
  private var isInFlight = false
  private var mustTalkNow = false
  private var offset: Int64 = -1
  private var offline: [Uuid] = []
  private var startedAt = Instant.distantFuture
  private var nextTalk = Instant.distantFuture

  init(_ id: BrokerID, timing: Timing) {
    self.id = id
    self.timing = timing
  }

  mutating func step(_ event: Event, at now: Instant, into effects: inout [Effect]) {
    switch event {
    case .started:
      startedAt = now
      mustTalkNow = true
    case .registered(let epoch): registered(epoch, &effects)
    case .registrationRefused(let why): refused("register", why, at: now, &effects)
    case .heartbeatAnswered(let answer): answered(answer, at: now, &effects)
    case .heartbeatRefused(let why, let isLost):
      refused("send a heartbeat", why, at: now, &effects)
      if isLost, isRegistered { registrationLost(&effects) }
    case .metadataApplied(let offset): applied(offset)
    case .readyToUnfence:
      isReadyToUnfence = true
      if isRegistered, state == .recovery { mustTalkNow = true }
    case .registrationOutdated:
      guard isRegistered, !wantsToLeave else { break }
      // The same life of the broker: nothing begins again but the talking.
      isRegistered = false
      mustTalkNow = true
      effects.append(.log("Registering again, as the cluster's metadata.version knows more"))
    case .wantsToLeave: leave(&effects)
    case .directoriesFailed(let all):
      if all != offline {
        offline = all
        if isRegistered { mustTalkNow = true }
      }
    case .tick: giveUpIfDue(at: now, &effects)
    }
    talk(at: now, &effects)
  }

  // MARK: Registration

  private mutating func registered(_ epoch: BrokerEpoch, _ effects: inout [Effect]) {
    isInFlight = false
    isRegistered = true
    wasEverRegistered = true
    self.epoch = epoch
    effects.append(.tookEpoch(epoch))
    effects.append(
      .log("Successfully registered broker \(id.rawValue) with broker epoch \(epoch.rawValue)"))
    mustTalkNow = true
  }

  private mutating func refused(
    _ what: String, _ why: String, at now: Instant, _ effects: inout [Effect]
  ) {
    isInFlight = false
    effects.append(.log("Unable to \(what): \(why)"))
    nextTalk = now.advanced(milliseconds: timing.retryMs)
    giveUpIfDue(at: now, &effects)
  }

  private var registrationDeadline: Instant {
    startedAt.advanced(milliseconds: timing.registrationTimeoutMs)
  }

  private mutating func giveUpIfDue(at now: Instant, _ effects: inout [Effect]) {
    guard !wasEverRegistered, state != .shuttingDown, now >= registrationDeadline else { return }
    state = .shuttingDown
    effects.append(.gaveUp)
  }

  /// The controller does not know this life of the broker any more: everything begins again, but
  /// what is open stays open.
  private mutating func registrationLost(_ effects: inout [Effect]) {
    isRegistered = false
    isFenced = true
    if state != .pendingControlledShutdown, state != .shuttingDown { state = .starting }
    effects.append(.log("The registration is gone; registering again"))
  }

  // MARK: Heartbeats

  private mutating func answered(
    _ answer: Heartbeat, at now: Instant, _ effects: inout [Effect]
  ) {
    isInFlight = false
    nextTalk = now.advanced(milliseconds: timing.heartbeatIntervalMs)
    switch state {
    case .starting:
      guard answer.isCaughtUp else {
        effects.append(.log("The broker is STARTING; metadata not caught up yet"))
        return
      }
      state = .recovery
      effects.append(.log("The broker has caught up. Transitioning from STARTING to RECOVERY."))
      effects.append(.caughtUp)
      mustTalkNow = isReadyToUnfence
    case .recovery:
      guard !answer.isFenced else { return }
      state = .running
      isFenced = false
      effects.append(
        .log("The broker has been unfenced. Transitioning from RECOVERY to RUNNING."))
      effects.append(.unfenced)
    case .running:
      if answer.isFenced != isFenced {
        effects.append(
          .log(answer.isFenced ? "The broker is fenced" : "The broker is unfenced again"))
        isFenced = answer.isFenced
      }
    case .pendingControlledShutdown:
      guard answer.shouldShutDown else {
        // The controller moves leaders in its own time, usually soon.
        let pause = min(timing.heartbeatIntervalMs, timing.retryMs)
        nextTalk = now.advanced(milliseconds: pause)
        return
      }
      state = .shuttingDown
      effects.append(
        .log(
          "The controller has asked us to exit controlled shutdown. "
            + "Transitioning to SHUTTING_DOWN."))
      effects.append(.mayShutDown)
    case .shuttingDown: break
    }
  }

  /// A broker that waits to be caught up need not wait for the next heartbeat's time.
  private mutating func applied(_ offset: Int64) {
    let wasBehind = self.offset < epoch.rawValue
    self.offset = max(self.offset, offset)
    if state == .starting, isRegistered, wasBehind, self.offset >= epoch.rawValue {
      mustTalkNow = true
    }
  }

  private mutating func leave(_ effects: inout [Effect]) {
    wantsToLeave = true
    switch state {
    case .running, .recovery:
      state = .pendingControlledShutdown
      mustTalkNow = true
      effects.append(.log("Beginning controlled shutdown."))
    case .pendingControlledShutdown: break
    case .starting, .shuttingDown:
      // Nothing is led here that the controller could move.
      state = .shuttingDown
      effects.append(.mayShutDown)
    }
  }

  // MARK: Talking

  private mutating func talk(at now: Instant, _ effects: inout [Effect]) {
    guard !isInFlight, state != .shuttingDown else { return }
    guard mustTalkNow || now >= nextTalk else {
      if nextTalk < .distantFuture { effects.append(.wakeAt(nextTalk)) }
      return
    }
    mustTalkNow = false
    isInFlight = true
    guard isRegistered else {
      effects.append(.register)
      // There may be no answer at all before the time is up.
      if !wasEverRegistered { effects.append(.wakeAt(registrationDeadline)) }
      return
    }
    effects.append(
      .heartbeat(
        epoch: epoch, offset: offset, wantFence: !isReadyToUnfence, wantShutDown: wantsToLeave,
        offline: offline))
  }
}
