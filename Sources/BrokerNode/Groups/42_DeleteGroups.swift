/// DeleteGroups, key 42, versions 0–2.
///
/// Empty groups go, with their offsets; each group has an error of its own. The answer comes when
/// the tombstones are stored.
import Groups
import KafkaMessages
import KafkaProtocol

enum DeleteGroupsHandler: ApiHandler {
  typealias Result = DeleteGroupsResponse.DeletableGroupResult

  static func handle(_ request: DeleteGroupsRequest, _ context: RequestContext) {
    let ids = request.groupsNames
    let pending = context.park()
    let gathering = Gathering<Result>(ids.count) { results in
      pending.send(DeleteGroupsResponse { $0.results = results })
    }
    for (place, id) in ids.enumerated() {
      @Sendable func answer(_ error: ErrorCode) {
        gathering.fill(
          place,
          Result {
            $0.groupID = id
            $0.errorCode = error.rawValue
          })
      }
      GroupCoordinator.withShard(of: id, context) { host in
        host.submit({ .deleteGroup(id: id, $0) }) { reply in
          if case .deleteGroup(let error) = reply { answer(error) }
        }
      } else: { answer($0) }
    }
  }
}
