/// DescribeGroups, key 15, versions 0–5.
///
/// Groups with their members; subscriptions and assignments only of stable groups. A group that
/// does not exist is Dead, without an error.
/// - Version 3: operations that the client may do; 4: `group.instance.id` of members.
import Groups
import KafkaMessages
import KafkaProtocol

enum DescribeGroupsHandler: ApiHandler {
  typealias Group = DescribeGroupsResponse.DescribedGroup

  static func handle(_ request: DescribeGroupsRequest, _ context: RequestContext) {
    let pending = context.park()
    let gathering = Gathering<Group>(request.groups.count) { groups in
      pending.send(DescribeGroupsResponse { $0.groups = groups })
    }
    for (place, id) in request.groups.enumerated() {
      GroupCoordinator.withShard(of: id, context) { host in
        var group = describe(id, host.shard.describe(id))
        if request.includeAuthorizedOperations {
          group.authorizedOperations = AuthorizedOperations.group
        }
        gathering.fill(place, group)
      } else: { error in
        gathering.fill(
          place,
          Group {
            $0.groupID = id
            $0.errorCode = error.rawValue
          })
      }
    }
  }

  static func describe(_ id: String, _ summary: GroupSummary) -> Group {
    Group {
      $0.groupID = id
      $0.groupState = summary.state.rawValue
      $0.protocolType = summary.protocolType
      $0.protocolData = summary.protocolName
      $0.members = summary.members.map { member in
        DescribeGroupsResponse.DescribedGroupMember {
          $0.memberID = member.id
          $0.groupInstanceID = member.instanceID
          $0.clientID = member.clientID
          $0.clientHost = member.clientHost
          $0.memberMetadata = member.metadata
          $0.memberAssignment = member.assignment
        }
      }
    }
  }
}
