/// Runs the broker's lifecycle: sends what it asks for, and lets the starting and the stopping
/// thread wait for what they need.
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Metadata
import Platform
import Settings
import Synchronization
import Telemetry
import Values

final class LifecycleDriver: Sendable {
  private let services: BrokerServices
  private let channel: QuorumControllerChannel
  private let loop: EventLoop
  private let endpoints: [Endpoint]
  private let config: BrokerConfig
  private let incarnationID: Uuid
  private let metadataOffset: @Sendable () -> Int64
  private let state: Mutex<State>
  private let caughtUp = Signal()
  private let unfenced = Signal()
  private let mayShutDown = Signal()
  /// Why the start cannot go on.
  private let failure = Mutex<String?>(nil)
  private static let log = Log("BrokerLifecycleManager")

  /// Stepped on `loop` only; the lock is for whoever looks.
  private struct State {
    var machine: BrokerLifecycle
    var previousEpoch: BrokerEpoch
    var timer = LoopTimer.none
    var isStopped = false
    /// When a controller last answered a heartbeat.
    var lastAnswer = Instant(nanoseconds: .min)
  }

  init(
    _ services: BrokerServices, channel: QuorumControllerChannel, loop: EventLoop,
    endpoints: [Endpoint], previousEpoch: BrokerEpoch, config: BrokerConfig,
    metadataOffset: @escaping @Sendable () -> Int64
  ) {
    self.services = services
    self.channel = channel
    self.loop = loop
    self.endpoints = endpoints
    self.config = config
    self.metadataOffset = metadataOffset
    var random = SystemRandom()
    incarnationID = Uuid.random(using: &random)
    let machine = BrokerLifecycle(
      services.brokerID,
      timing: BrokerLifecycle.Timing(
        heartbeatIntervalMs: config.quorum.heartbeatIntervalMs,
        registrationTimeoutMs: config.quorum.initialRegistrationTimeoutMs))
    state = Mutex(State(machine: machine, previousEpoch: previousEpoch))
  }

  // MARK: Told from any thread

  func start() { tell(.started) }
  func readyToUnfence() { tell(.readyToUnfence) }
  func metadataApplied(_ offset: Int64) { tell(.metadataApplied(offset)) }

  /// Registers again when an image shows that what this broker has said of itself lacks something
  /// that the level of the metadata has room for: its directories (KIP-858).
  func imageChanged(_ image: MetadataImage) {
    guard image.metadataVersion.hasDirectoryAssignment,
      let own = image.brokers[services.brokerID], own.logDirs.isEmpty
    else { return }
    tell(.registrationOutdated)
  }

  func directoryFailed() {
    tell(.directoriesFailed(services.directories.offline(services.replicas.logs)))
  }

  /// Asks the controller to let this broker go, and waits until it may.
  ///
  /// - Parameters:
  ///   - limitMs: how long a controller that answers may take.
  ///   - silenceMs: how long no controller may answer: where most of them are stopped too, nobody
  ///     is left to ask.
  func leave(limitMs: Int64, silenceMs: Int64) {
    tell(.wantsToLeave)
    let began = Clock.now()
    while !mayShutDown.wait(ms: 100) {
      let now = Clock.now()
      let heard = max(began, state.withLock { $0.lastAnswer })
      if now.milliseconds(since: began) >= limitMs {
        return Self.log.warn("controlled shutdown not complete in time", ["ms": limitMs])
      }
      if now.milliseconds(since: heard) >= silenceMs {
        return Self.log.warn("controlled shutdown given up: no controller answers")
      }
    }
  }

  func stop() {
    loop.perform { [self] in
      let timer = state.withLock { state in
        state.isStopped = true
        return state.timer
      }
      loop.cancel(timer)
    }
  }

  // MARK: Waited for

  func waitForCatchUp() throws(StartupError) { try wait(caughtUp) }
  func waitForUnfencing() throws(StartupError) { try wait(unfenced) }

  private func wait(_ signal: Signal) throws(StartupError) {
    signal.wait()
    if let why = failure.withLock({ $0 }) { throw StartupError(why) }
  }

  /// Ends the waiting of a broker that is told to stop while it starts.
  func abandon() { giveUp("stopped while starting") }

  private func giveUp(_ why: String) {
    failure.withLock { if $0 == nil { $0 = why } }
    for signal in [caughtUp, unfenced, mayShutDown] { signal.give() }
  }

  // MARK: The machine

  private func tell(_ event: BrokerLifecycle.Event) {
    loop.execute { [self] in step(event) }
  }

  private func step(_ event: BrokerLifecycle.Event) {
    let now = loop.now
    let effects = state.withLock { state in
      var effects: [BrokerLifecycle.Effect] = []
      if !state.isStopped { state.machine.step(event, at: now, into: &effects) }
      return effects
    }
    for effect in effects { perform(effect) }
  }

  private func perform(_ effect: BrokerLifecycle.Effect) {
    switch effect {
    case .register: register()
    case .heartbeat(let epoch, let offset, let wantFence, let wantShutDown, let offline):
      heartbeat(epoch, offset, wantFence, wantShutDown, offline)
    case .tookEpoch(let epoch):
      services.brokerEpoch = epoch
      state.withLock { $0.previousEpoch = epoch }
      // What was applied before the registration counts too.
      tell(.metadataApplied(metadataOffset()))
    case .caughtUp: caughtUp.give()
    case .unfenced: unfenced.give()
    case .mayShutDown: mayShutDown.give()
    case .gaveUp:
      giveUp(
        "no controller has registered this broker within initial.broker.registration.timeout.ms="
          + "\(config.quorum.initialRegistrationTimeoutMs)")
    case .wakeAt(let instant):
      loop.cancel(state.withLock { $0.timer })
      let timer = loop.schedule(at: instant) { [weak self] in self?.step(.tick) }
      state.withLock { $0.timer = timer }
    case .log(let text):
      Self.log.info("[BrokerLifecycleManager id=\(services.brokerID.rawValue)] \(text)")
    }
  }

  // MARK: Requests

  private func register() {
    let previousEpoch = state.withLock { $0.previousEpoch }
    let request = BrokerRegistrationRequest {
      $0.brokerID = services.brokerID.rawValue
      $0.clusterID = services.clusterID
      $0.incarnationID = incarnationID
      $0.listeners = endpoints.map { endpoint in
        .init {
          $0.name = endpoint.listener
          $0.host = endpoint.host
          $0.port = endpoint.port
          $0.securityProtocol = endpoint.securityProtocol.rawValue
        }
      }
      $0.features = SupportedFeatures.all(
        config.quorum, withMinimumOfZero: knowsMinimumOfZero
      ).map { feature in
        .init {
          $0.name = feature.name
          $0.minSupportedVersion = feature.minimum
          $0.maxSupportedVersion = feature.maximum
        }
      }
      $0.rack = config.identity.rack
      $0.logDirs = services.directories.online(services.replicas.logs)
      $0.previousBrokerEpoch = previousEpoch.rawValue
    }
    channel.call(request, versions: 0...4) { [self] result in
      switch result {
      case .success(let response) where response.errorCode == 0:
        step(.registered(BrokerEpoch(response.brokerEpoch)))
      case .success(let response):
        step(.registrationRefused("\(ErrorCode(response.errorCode))"))
      case .failure(let error): step(.registrationRefused("\(error)"))
      }
    }
  }

  /// From version 4 on a registration can say a lowest level of 0.
  private var knowsMinimumOfZero: Bool {
    (channel.controllerVersions?[.brokerRegistration]?.upperBound ?? 4) >= 4
  }

  private func heartbeat(
    _ epoch: BrokerEpoch, _ offset: Int64, _ wantFence: Bool, _ wantShutDown: Bool,
    _ offline: [Uuid]
  ) {
    let request = BrokerHeartbeatRequest {
      $0.brokerID = services.brokerID.rawValue
      $0.brokerEpoch = epoch.rawValue
      $0.currentMetadataOffset = offset
      $0.wantFence = wantFence
      $0.wantShutDown = wantShutDown
      $0.offlineLogDirs = offline
    }
    channel.call(request, versions: 0...1) { [self] result in
      switch result {
      case .success(let response) where response.errorCode == 0:
        let now = loop.now
        state.withLock { $0.lastAnswer = now }
        step(
          .heartbeatAnswered(
            BrokerLifecycle.Heartbeat(
              isCaughtUp: response.isCaughtUp, isFenced: response.isFenced,
              shouldShutDown: response.shouldShutDown)))
      case .success(let response):
        let code = ErrorCode(response.errorCode)
        step(
          .heartbeatRefused(
            "\(code)",
            isRegistrationLost: code == .staleBrokerEpoch || code == .brokerIDNotRegistered))
      case .failure(let error):
        step(.heartbeatRefused("\(error)", isRegistrationLost: false))
      }
    }
  }
}
