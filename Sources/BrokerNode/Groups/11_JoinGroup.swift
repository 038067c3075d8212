/// JoinGroup, key 11, versions 0–9.
///
/// A member takes part in the next generation. The answer comes when all members have joined or the
/// rebalance timeout is over; the leader's has everybody's subscription.
/// - Version 1: a rebalance timeout of its own; before, the session timeout counts for both.
/// - Version 4: new members are given an id first, MEMBER_ID_REQUIRED, and join again with it
///   (KIP-394). 5: `group.instance.id` (KIP-345). 7: the protocol type; a null protocol name, which
///   was empty before. 8: the reason, for logs. 9: static leaders may be told to leave the
///   assignment as it is (KIP-814).
import Groups
import KafkaMessages
import KafkaProtocol
import Values

enum JoinGroupHandler: ApiHandler {
  static func handle(_ request: JoinGroupRequest, _ context: RequestContext) {
    let version = context.version
    guard request.groupInstanceID == nil || GroupCoordinator.knowsStaticMembers(context) else {
      context.reply(refusal(request, .unsupportedVersion, version))
      return
    }
    let command = command(
      request, version: version, clientID: context.clientID ?? "",
      clientHost: "/\(context.client.host)")
    let pending = context.park()
    GroupCoordinator.withShard(of: request.groupID, context) { host in
      host.submit({ .join(command, $0) }) { reply in
        guard case .join(let join) = reply else { return }
        pending.send(response(join, version))
      }
    } else: { error in
      pending.send(refusal(request, error, version))
    }
  }

  static func command(
    _ request: JoinGroupRequest, version: Int16, clientID: String, clientHost: String
  ) -> JoinCommand {
    var command = JoinCommand()
    command.groupID = request.groupID
    command.memberID = request.memberID
    command.instanceID = request.groupInstanceID
    command.requiresKnownMemberID = version >= 4
    command.canSkipAssignment = version >= 9
    command.clientID = clientID
    command.clientHost = clientHost
    command.rebalanceTimeoutMs =
      version == 0 ? request.sessionTimeoutMs : request.rebalanceTimeoutMs
    command.sessionTimeoutMs = request.sessionTimeoutMs
    command.protocolType = request.protocolType
    command.protocols = request.protocols.map {
      MemberProtocol(name: $0.name, metadata: $0.metadata)
    }
    return command
  }

  static func response(_ join: JoinReply, _ version: Int16) -> JoinGroupResponse {
    JoinGroupResponse {
      $0.errorCode = join.error.rawValue
      $0.generationID = join.generation
      $0.protocolType = join.protocolType
      $0.protocolName = join.protocolName ?? (version >= 7 ? nil : "")
      $0.leader = join.leaderID
      $0.skipAssignment = join.skipsAssignment
      $0.memberID = join.memberID
      $0.members = join.members.map { member in
        JoinGroupResponse.JoinGroupResponseMember {
          $0.memberID = member.id
          $0.groupInstanceID = member.instanceID
          $0.metadata = member.metadata
        }
      }
    }
  }

  private static func refusal(
    _ request: JoinGroupRequest, _ error: ErrorCode, _ version: Int16
  ) -> JoinGroupResponse {
    JoinGroupResponse {
      $0.errorCode = (request.groupID.isEmpty ? .invalidGroupID : error).rawValue
      $0.protocolName = version >= 7 ? nil : ""
      $0.memberID = request.memberID
    }
  }
}
