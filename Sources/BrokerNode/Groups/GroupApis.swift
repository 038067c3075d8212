/// The APIs of the group coordinator, for the broker's table.
enum GroupApis {
  static let all: [ApiEntry] = [
    ApiEntry(OffsetCommitHandler.self),
    ApiEntry(OffsetFetchHandler.self),
    ApiEntry(FindCoordinatorHandler.self),
    ApiEntry(JoinGroupHandler.self),
    ApiEntry(HeartbeatHandler.self),
    ApiEntry(LeaveGroupHandler.self),
    ApiEntry(SyncGroupHandler.self),
    ApiEntry(DescribeGroupsHandler.self),
    ApiEntry(ListGroupsHandler.self),
    ApiEntry(DeleteGroupsHandler.self),
    ApiEntry(OffsetDeleteHandler.self),
  ]
}
