// BrokerRegistration (62, versions 0–4): a broker announces itself, for the first time or again.
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension BrokerRegistrationRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> BrokerRegistrationResponse {
    .init { $0.errorCode = refusal.code.rawValue }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<BrokerRegistrationResponse> {
    do {
      return try register(&machine)
    } catch {
      machine.log("Broker \(brokerID) cannot register: \(error.message ?? error.code.name)")
      return .init(refused(error, version: context.version))
    }
  }

  /// A new life of the broker begins fenced, with the next offset of the log for its epoch; the
  /// same life, announced again, keeps its epoch and whether it is fenced.
  private func register(
    _ machine: inout QuorumController
  ) throws(Refusal) -> QuorumController.Outcome<BrokerRegistrationResponse> {
    let id = BrokerID(brokerID)
    let level = machine.pending.image.metadataVersion
    let known = machine.pending.image.brokers[id]
    try validate(machine, known: known, level)

    var draft = PartitionDraft(machine)
    var record = try self.record(machine, level)
    let isSameLife = known?.incarnationID == incarnationID
    if let known, isSameLife {
      record.fenced = known.isFenced
      record.inControlledShutdown = known.isInControlledShutdown
      record.brokerEpoch = known.epoch.rawValue
    } else {
      record.brokerEpoch = machine.nextOffset
      // Its session is over, but the round that fences it has not come yet. Its successor starts
      // fenced, and what is fenced must not lead.
      if let known, !known.isFenced { draft.fence(known) }
      // Only the epoch of the life before proves that the broker wrote everything out when that
      // life ended; one that was unregistered meanwhile proves nothing.
      if draft.usesEligibleReplicas, previousBrokerEpoch != known?.epoch.rawValue {
        draft.settleAll(.uncleanShutdown(id)) {
          $0.isr.contains(id) || $0.eligibleLeaderReplicas.contains(id)
        }
      }
      machine.sessions[id] = nil
    }
    draft.add(.registerBroker(record))
    machine.sessions.register(id, isFenced: record.fenced, at: machine.now)
    machine.log(
      isSameLife
        ? "Amending registration of broker \(brokerID), incarnation ID \(incarnationID). "
          + "Broker epoch remains \(record.brokerEpoch)."
        : "Registering a new incarnation of broker \(brokerID): \(incarnationID). "
          + "Broker epoch is \(record.brokerEpoch).")
    let response = BrokerRegistrationResponse { $0.brokerEpoch = record.brokerEpoch }
    return .init(draft.records, isBounded: false, response)
  }

  private func validate(
    _ machine: QuorumController, known: BrokerImage?, _ level: MetadataVersion
  ) throws(Refusal) {
    guard clusterID == machine.options.clusterID else {
      throw Refusal(
        .inconsistentClusterID,
        "Expected cluster ID \(machine.options.clusterID), but got cluster ID \(clusterID)")
    }
    if let known, known.incarnationID != incarnationID,
      machine.sessions.isValid(
        known.id, at: machine.now, timeoutMs: machine.options.brokerSessionTimeoutMs)
    {
      throw Refusal(
        .duplicateBrokerRegistration, "Another broker is registered with that broker id.")
    }
    if isMigratingZkBroker {
      throw Refusal(
        .brokerIDNotRegistered, "Controller does not support registering ZK brokers.")
    }
    guard brokerID >= 0 else {
      throw Refusal(.invalidRegistration, "Invalid negative broker ID.")
    }
    if level.hasDirectoryAssignment { try validateDirectories(machine) }
  }

  private func validateDirectories(_ machine: QuorumController) throws(Refusal) {
    if logDirs.isEmpty {
      throw Refusal(.invalidRegistration, "No directories specified in request")
    }
    // The first hundred ids are set aside for meanings such as "lost".
    if logDirs.contains(where: { $0.high == 0 && $0.low < 100 }) {
      throw Refusal(.invalidRegistration, "Reserved directory ID in request")
    }
    if Set(logDirs).count != logDirs.count {
      throw Refusal(.invalidRegistration, "Duplicate directory ID in request")
    }
    for broker in machine.pending.image.brokers.all where broker.id.rawValue != brokerID {
      if let shared = logDirs.first(where: broker.logDirs.contains) {
        throw Refusal(
          .invalidRegistration,
          "Broker \(broker.id.rawValue) is already registered with directory \(shared)")
      }
    }
  }

  private func record(
    _ machine: QuorumController, _ level: MetadataVersion
  ) throws(Refusal) -> RegisterBrokerRecord {
    var record = RegisterBrokerRecord()
    record.brokerID = brokerID
    record.incarnationID = incarnationID
    record.rack = rack
    var names: Set<String> = []
    for listener in listeners {
      guard SecurityProtocol(rawValue: listener.securityProtocol) != nil,
        names.insert(listener.name).inserted
      else {
        throw Refusal(
          .invalidRegistration,
          "Listener \(listener.name) is listed twice or has an unknown security protocol.")
      }
      record.endPoints.append(
        .init {
          $0.name = listener.name
          $0.host = listener.host
          $0.port = listener.port
          $0.securityProtocol = listener.securityProtocol
        })
    }
    record.features = try supportedFeatures(machine)
    if level.hasDirectoryAssignment { record.logDirs = logDirs }
    return record
  }

  /// The broker must support every feature at its finalized level. One that states no range for
  /// metadata.version is from before the feature: it knows the first level only.
  private func supportedFeatures(
    _ machine: QuorumController
  ) throws(Refusal) -> [RegisterBrokerRecord.BrokerFeature] {
    var stated = features
    if !stated.contains(where: { $0.name == MetadataVersion.featureName }) {
      stated.append(
        .init {
          $0.name = MetadataVersion.featureName
          $0.minSupportedVersion = MetadataVersion.minimum.rawValue
          $0.maxSupportedVersion = MetadataVersion.minimum.rawValue
        })
    }
    let finalized = machine.finalizedFeatures
    for feature in stated {
      let level = finalized[feature.name] ?? 0
      guard feature.minSupportedVersion <= level, level <= feature.maxSupportedVersion else {
        throw Self.unsupported(
          feature.name, level, feature.minSupportedVersion, feature.maxSupportedVersion)
      }
    }
    // kraft.version has the minimum 0 and is therefore not stated before version 4: whether the
    // broker can read the log at all does not depend on it.
    for (name, level) in finalized.sorted(by: { $0.key < $1.key })
    where level != 0 && name != FeatureNames.kraftVersion
      && !stated.contains(where: { $0.name == name })
    {
      throw Self.unsupported(name, level, 0, 0)
    }
    return stated.map { feature in
      .init {
        $0.name = feature.name
        $0.minSupportedVersion = feature.minSupportedVersion
        $0.maxSupportedVersion = feature.maxSupportedVersion
      }
    }
  }

  private static func unsupported(
    _ name: String, _ level: Int16, _ minimum: Int16, _ maximum: Int16
  ) -> Refusal {
    Refusal(
      .unsupportedVersion,
      "Unable to register because the broker does not support finalized version \(level) of "
        + "\(name). The broker wants a version between \(minimum) and \(maximum), inclusive.")
  }
}
