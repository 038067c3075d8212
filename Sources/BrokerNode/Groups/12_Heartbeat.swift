/// Heartbeat, key 12, versions 0–4.
///
/// A member lives. The answer tells it when a rebalance has begun, and it has to join again.
/// - Version 3: `group.instance.id`, which fences a member whose instance has come back elsewhere.
/// While groups are being loaded the answer is that all is well: the member's session begins anew
/// with the loading.
import Groups
import KafkaMessages
import KafkaProtocol

enum HeartbeatHandler: ApiHandler {
  static func handle(_ request: HeartbeatRequest, _ context: RequestContext) {
    guard request.groupInstanceID == nil || GroupCoordinator.knowsStaticMembers(context) else {
      context.reply(response(.unsupportedVersion))
      return
    }
    var command = HeartbeatCommand()
    command.groupID = request.groupID
    command.generation = request.generationID
    command.memberID = request.memberID
    command.instanceID = request.groupInstanceID
    let pending = context.park()
    GroupCoordinator.withShard(of: request.groupID, context) { [command] host in
      host.submit({ .heartbeat(command, $0) }) { reply in
        guard case .heartbeat(let error) = reply else { return }
        pending.send(response(error))
      }
    } else: { error in
      if request.groupID.isEmpty {
        pending.send(response(.invalidGroupID))
      } else {
        pending.send(response(error == .coordinatorLoadInProgress ? .none : error))
      }
    }
  }

  private static func response(_ error: ErrorCode) -> HeartbeatResponse {
    HeartbeatResponse { $0.errorCode = error.rawValue }
  }
}
