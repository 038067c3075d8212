/// ListGroups, key 16, versions 0–5.
///
/// The groups that this broker coordinates; clients ask every broker. While some are being loaded
/// the answer has the others and COORDINATOR_LOAD_IN_PROGRESS.
/// - Version 4: only groups in some states (KIP-518); 5: only groups of some types (KIP-848): here
///   all are classic.
import Groups
import KafkaMessages
import KafkaProtocol

enum ListGroupsHandler: ApiHandler {
  private struct Part: Sendable {
    var groups: [GroupListing] = []
    var isLoading = false
  }

  static func handle(_ request: ListGroupsRequest, _ context: RequestContext) {
    guard let coordinator = GroupCoordinator.of(context) else {
      context.reply(
        ListGroupsResponse { $0.errorCode = ErrorCode.coordinatorNotAvailable.rawValue })
      return
    }
    let hosts = coordinator.all
    let pending = context.park()
    let gathering = Gathering<Part>(hosts.count) { pending.send(response($0)) }
    for (place, host) in hosts.enumerated() {
      host.onLoop {
        var part = Part()
        switch host.refusal {
        case nil:
          part.groups = host.shard.list(
            states: request.statesFilter, types: request.typesFilter)
        case .coordinatorLoadInProgress?: part.isLoading = true
        default: break
        }
        gathering.fill(place, part)
      }
    }
  }

  private static func response(_ parts: [Part]) -> ListGroupsResponse {
    ListGroupsResponse {
      if parts.contains(where: \.isLoading) {
        $0.errorCode = ErrorCode.coordinatorLoadInProgress.rawValue
      }
      $0.groups = parts.flatMap(\.groups).sorted { $0.id < $1.id }.map { group in
        ListGroupsResponse.ListedGroup {
          $0.groupID = group.id
          $0.protocolType = group.protocolType
          $0.groupState = group.state.rawValue
          $0.groupType = group.type
        }
      }
    }
  }
}
