// BrokerHeartbeat (63, versions 0–1): a broker says that it lives, how far it has read the log, and
// what it wants.
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// What a broker may do, from the controller's side:
///
/// | from | wants | becomes |
/// |---|---|---|
/// | fenced | to shut down | shutDownNow |
/// | fenced | to be unfenced, and has read its own registration | unfenced |
/// | unfenced | to be fenced | fenced, or shutDownNow if it wants to shut down |
/// | unfenced | to shut down | shuttingDown while it leads partitions, else shutDownNow |
/// | shuttingDown | | shutDownNow when it leads nothing, and every active broker has read that |
private enum BrokerState {
  case fenced, unfenced, shuttingDown, shutDownNow

  var isFenced: Bool { self == .fenced || self == .shutDownNow }
}

extension BrokerHeartbeatRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> BrokerHeartbeatResponse {
    .init { $0.errorCode = refusal.code.rawValue }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<BrokerHeartbeatResponse> {
    do {
      return try hear(&machine)
    } catch {
      return .init(refused(error, version: context.version))
    }
  }

  private func hear(
    _ machine: inout QuorumController
  ) throws(Refusal) -> QuorumController.Outcome<BrokerHeartbeatResponse> {
    let broker = try machine.checkSender(brokerID, brokerEpoch)
    guard let registeredAt = machine.registrationOffsets[broker.id] else {
      throw Refusal(
        .staleBrokerEpoch, "Receive a heartbeat from broker \(brokerID) before registration")
    }
    var session =
      machine.sessions[broker.id]
      ?? .init(id: broker.id, isFenced: broker.isFenced, lastContact: machine.now)
    let isCaughtUp = currentMetadataOffset >= registeredAt
    let (state, next) = transition(
      from: session, isCaughtUp: isCaughtUp, machine.sessions.lowestActiveOffset,
      leads: machine.pending.image.topics.leaderCount(of: broker.id) > 0)

    var draft = PartitionDraft(machine)
    if state != next {
      machine.log(Self.explanation(brokerID, state, next))
      switch next {
      case .fenced, .shutDownNow: draft.fence(broker)
      case .unfenced: draft.unfence(broker)
      case .shuttingDown: draft.beginControlledShutdown(broker)
      }
    }
    if draft.level.hasDirectoryAssignment {
      draft.failDirectories(broker, offlineLogDirs)
    }
    session.lastContact = machine.now
    session.metadataOffset = currentMetadataOffset
    session.isFenced = next.isFenced
    if next.isFenced {
      session.shutdownOffset = nil
    } else if next == .shuttingDown, session.shutdownOffset == nil {
      // When all others have read this far, nobody takes this broker for a leader any more.
      session.shutdownOffset = machine.nextOffset + Offset(draft.records.count) - 1
    }
    machine.sessions[broker.id] = session
    return .init(
      draft.records, isAtomic: false, isBounded: false,
      BrokerHeartbeatResponse {
        $0.isCaughtUp = isCaughtUp
        $0.isFenced = next.isFenced
        $0.shouldShutDown = next == .shutDownNow
      })
  }

  private func transition(
    from session: BrokerSessions.Session, isCaughtUp: Bool, _ lowestActiveOffset: Offset,
    leads: Bool
  ) -> (from: BrokerState, to: BrokerState) {
    if let offset = session.shutdownOffset {
      let isDone = !leads && offset <= lowestActiveOffset
      return (.shuttingDown, isDone ? .shutDownNow : .shuttingDown)
    }
    if session.isFenced {
      if wantShutDown { return (.fenced, .shutDownNow) }
      return (.fenced, !wantFence && isCaughtUp ? .unfenced : .fenced)
    }
    if wantFence { return (.unfenced, wantShutDown ? .shutDownNow : .fenced) }
    if wantShutDown { return (.unfenced, leads ? .shuttingDown : .shutDownNow) }
    return (.unfenced, .unfenced)
  }

  private static func explanation(_ id: Int32, _ from: BrokerState, _ to: BrokerState) -> String {
    let state = from == .fenced ? "Fenced" : "Unfenced"
    return switch (from, to) {
    case (.shuttingDown, .shutDownNow):
      "The request from broker \(id) to shut down has been granted: all active brokers have read "
        + "that it leads nothing."
    case (_, .shutDownNow):
      "\(state) broker \(id) has requested and been granted an immediate shutdown."
    case (_, .unfenced):
      "The request from broker \(id) to unfence has been granted because it has caught up with "
        + "the offset of its register broker record."
    case (_, .fenced): "\(state) broker \(id) has requested and been granted fencing."
    case (_, .shuttingDown):
      "\(state) broker \(id) has requested and been granted a controlled shutdown."
    }
  }
}
