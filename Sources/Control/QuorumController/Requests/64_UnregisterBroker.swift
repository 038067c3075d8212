// UnregisterBroker (64) and ControllerRegistration (70, KIP-919).
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension UnregisterBrokerRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> UnregisterBrokerResponse {
    .init {
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }

  /// Takes a broker out of every ISR and forgets it. A broker that still runs finds its epoch
  /// stale and registers anew.
  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<UnregisterBrokerResponse> {
    let id = BrokerID(brokerID)
    guard let broker = machine.pending.image.brokers[id] else {
      let refusal = Refusal(
        .brokerIDNotRegistered, "Broker ID \(brokerID) is not currently registered")
      return .init(refused(refusal, version: context.version))
    }
    var draft = PartitionDraft(machine)
    draft.unregister(broker)
    machine.sessions[id] = nil
    return .init(draft.records, isAtomic: false, .init { $0.errorMessage = nil })
  }
}

extension ControllerRegistrationRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> ControllerRegistrationResponse {
    .init {
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<ControllerRegistrationResponse> {
    guard machine.pending.image.metadataVersion.hasControllerRegistration else {
      let refusal = Refusal(
        .unsupportedVersion,
        "The current MetadataVersion is too old to support controller registrations.")
      return .init(refused(refusal, version: context.version))
    }
    var record = RegisterControllerRecord()
    record.controllerID = controllerID
    record.incarnationID = incarnationID
    record.zkMigrationReady = zkMigrationReady
    record.endPoints = listeners.map { listener in
      .init {
        $0.name = listener.name
        $0.host = listener.host
        $0.port = listener.port
        $0.securityProtocol = listener.securityProtocol
      }
    }
    record.features = features.map { feature in
      .init {
        $0.name = feature.name
        $0.minSupportedVersion = feature.minSupportedVersion
        $0.maxSupportedVersion = feature.maxSupportedVersion
      }
    }
    return .init([.registerController(record)], .init { $0.errorMessage = nil })
  }
}
