/// SyncGroup, key 14, versions 0–5.
///
/// Members ask for their share of a generation; the leader brings everybody's. The answers come
/// when the assignment is stored.
/// - Version 3: `group.instance.id`; 5: the protocol type and name, which must be those of the
///   generation.
/// While groups are being loaded the answer is REBALANCE_IN_PROGRESS: the rebalance is lost with
/// the old coordinator, and old clients do not know an error that would say so.
import Groups
import KafkaMessages
import KafkaProtocol

enum SyncGroupHandler: ApiHandler {
  static func handle(_ request: SyncGroupRequest, _ context: RequestContext) {
    if request.groupInstanceID != nil, !GroupCoordinator.knowsStaticMembers(context) {
      return context.reply(response(.unsupportedVersion))
    }
    if context.version >= 5, request.protocolType == nil || request.protocolName == nil {
      return context.reply(response(.inconsistentGroupProtocol))
    }
    var command = SyncCommand()
    command.groupID = request.groupID
    command.generation = request.generationID
    command.memberID = request.memberID
    command.instanceID = request.groupInstanceID
    command.protocolType = request.protocolType
    command.protocolName = request.protocolName
    command.assignments = request.assignments.map { ($0.memberID, $0.assignment) }
    let pending = context.park()
    GroupCoordinator.withShard(of: request.groupID, context) { [command] host in
      host.submit({ .sync(command, $0) }) { reply in
        guard case .sync(let sync) = reply else { return }
        pending.send(response(sync))
      }
    } else: { error in
      if request.groupID.isEmpty {
        pending.send(response(.invalidGroupID))
      } else {
        pending.send(response(error == .coordinatorLoadInProgress ? .rebalanceInProgress : error))
      }
    }
  }

  static func response(_ sync: SyncReply) -> SyncGroupResponse {
    SyncGroupResponse {
      $0.errorCode = sync.error.rawValue
      $0.protocolType = sync.protocolType
      $0.protocolName = sync.protocolName
      $0.assignment = sync.assignment
    }
  }

  private static func response(_ error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { $0.errorCode = error.rawValue }
  }
}
