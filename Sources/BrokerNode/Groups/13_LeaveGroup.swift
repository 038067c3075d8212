/// LeaveGroup, key 13, versions 0–5.
///
/// Members leave, and the others share what they had.
/// - Version 3: several members at once, and static ones by their `group.instance.id` alone, as
///   administrators remove them (KIP-345); each has an error of its own. Before, the one member's
///   error is the response's.
/// - Version 5: the reason, for logs.
import Groups
import KafkaMessages
import KafkaProtocol

enum LeaveGroupHandler: ApiHandler {
  static func handle(_ request: LeaveGroupRequest, _ context: RequestContext) {
    var command = LeaveCommand()
    command.groupID = request.groupID
    command.members =
      context.version >= 3
      ? request.members.map { .init(memberID: $0.memberID, instanceID: $0.groupInstanceID) }
      : [.init(memberID: request.memberID)]
    let version = context.version
    let pending = context.park()
    GroupCoordinator.withShard(of: request.groupID, context) { [command] host in
      host.submit({ .leave(command, $0) }) { reply in
        guard case .leave(let leave) = reply else { return }
        pending.send(response(leave, version))
      }
    } else: { error in
      let error = request.groupID.isEmpty ? ErrorCode.invalidGroupID : error
      pending.send(LeaveGroupResponse { $0.errorCode = error.rawValue })
    }
  }

  static func response(_ leave: LeaveReply, _ version: Int16) -> LeaveGroupResponse {
    LeaveGroupResponse {
      $0.errorCode = leave.error.rawValue
      guard version >= 3 else {
        if leave.error == .none, let first = leave.members.first {
          $0.errorCode = first.error.rawValue
        }
        return
      }
      $0.members = leave.members.map { entry in
        LeaveGroupResponse.MemberResponse {
          $0.memberID = entry.member.memberID
          $0.groupInstanceID = entry.member.instanceID
          $0.errorCode = entry.error.rawValue
        }
      }
    }
  }
}
