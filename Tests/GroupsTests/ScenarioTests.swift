import Groups
import Testing

/// Scenarios as scripts; see `GroupScript` for the commands.
@Suite struct ScenarioTests {
  @Test func twoMembersShareAndOneLeaves() {
    check(
      """
      # a new member is given an id first (KIP-394)
      join a client=A protocols=range:ma
      > a join MEMBER_ID_REQUIRED A1
      join a id=A1 protocols=range:ma
      join b client=B protocols=range:mb v=3
      # the first rebalance waits three seconds, and once more for those who came meanwhile
      advance ms=3000
      advance ms=3000
      > a join NONE A1 gen=1 range leader=A1 A1:ma B1:mb
      > b join NONE B1 gen=1 range leader=A1
      sync b id=B1
      sync a id=A1 assign=A1:x,B1:y
      > a sync NONE 'x'
      > b sync NONE 'y'
      describe
      > Stable gen=1 range A1:x B1:y
      beat a id=A1
      > a beat NONE
      leave b ids=B1
      > b leave NONE NONE
      beat a id=A1
      > a beat REBALANCE_IN_PROGRESS
      join a id=A1 protocols=range:ma
      > a join NONE A1 gen=2 range leader=A1 A1:ma
      sync a id=A1 gen=2 assign=A1:xy
      > a sync NONE 'xy'
      beat b id=B1 gen=2
      > b beat UNKNOWN_MEMBER_ID
      beat a id=A1 gen=1
      > a beat ILLEGAL_GENERATION
      """)
  }

  @Test func assignmentsAreGivenOutOnlyWhenCommitted() {
    check(
      """
      join a client=A v=3
      advance ms=3000
      > a join NONE A1 gen=1 range leader=A1 A1:
      hold
      sync a id=A1 assign=A1:x
      describe
      > CompletingRebalance gen=1 A1
      release
      > a sync NONE 'x'
      describe
      > Stable gen=1 range A1:x
      """)
  }

  @Test func anAssignmentThatCannotBeStoredStartsOver() {
    check(
      """
      join a client=A v=3
      advance ms=3000
      > a join NONE A1 gen=1 range leader=A1 A1:
      hold
      sync a id=A1 assign=A1:x
      fail code=19
      > a sync COORDINATOR_NOT_AVAILABLE
      describe
      > PreparingRebalance gen=1 A1
      join a id=A1
      > a join NONE A1 gen=2 range leader=A1 A1:
      """)
  }

  @Test func aRebalanceOvertakesAnAssignmentThatIsBeingStored() {
    check(
      """
      join a client=A v=3
      advance ms=3000
      > a join NONE A1 gen=1 range leader=A1 A1:
      hold
      sync a id=A1 assign=A1:x
      join b client=B v=3
      > a sync REBALANCE_IN_PROGRESS
      release
      join a id=A1
      > a join NONE A1 gen=2 range leader=A1 A1: B1:
      > b join NONE B1 gen=2 range leader=A1
      """)
  }

  @Test func theSilentAreRemoved() {
    check(
      """
      join a client=A v=3 session=10000
      join b client=B v=3 session=6000
      advance ms=6000
      > a join NONE A1 gen=1 range leader=A1 A1: B1:
      > b join NONE B1 gen=1 range leader=A1
      sync b id=B1
      sync a id=A1 assign=A1:x,B1:y
      > a sync NONE 'x'
      > b sync NONE 'y'
      advance ms=5999
      beat a id=A1
      > a beat NONE
      advance ms=1
      beat a id=A1
      > a beat REBALANCE_IN_PROGRESS
      join a id=A1
      > a join NONE A1 gen=2 range leader=A1 A1:
      """)
  }

  @Test func whoDoesNotRejoinInTimeIsOut() {
    check(
      """
      join a client=A v=3 rebalance=5000 session=30000
      join b client=B v=3 rebalance=5000 session=30000
      advance ms=5000
      > a join NONE A1 gen=1 range leader=A1 A1: B1:
      > b join NONE B1 gen=1 range leader=A1
      sync b id=B1
      sync a id=A1 assign=A1:x,B1:y
      > a sync NONE 'x'
      > b sync NONE 'y'
      # the leader is the one who is late: another leads the next generation
      join b id=B1 protocols=range:changed rebalance=5000 session=30000
      advance ms=4999
      advance ms=1
      > b join NONE B1 gen=2 range leader=B1 B1:changed
      beat a id=A1
      > a beat UNKNOWN_MEMBER_ID
      # and nobody syncs in time
      advance ms=5000
      describe
      > Empty gen=3
      """)
  }

  @Test func aJoinThatIsRepeatedIsAnsweredOnce() {
    check(
      """
      join a client=A v=3
      advance ms=3000
      > a join NONE A1 gen=1 range leader=A1 A1:
      # the reply was lost
      join a2 id=A1
      > a2 join NONE A1 gen=1 range leader=A1 A1:
      join b client=B v=3
      join b2 id=nobody
      > b2 join UNKNOWN_MEMBER_ID nobody1
      join a3 id=A1
      > a3 join NONE A1 gen=2 range leader=A1 A1: B1:
      > b join NONE B1 gen=2 range leader=A1
      """)
  }

  @Test func protocolsAreVotedFor() {
    check(
      """
      join a client=A v=3 protocols=range:1,rr:1
      join b client=B v=3 protocols=rr:2,range:2
      join c client=C v=3 protocols=rr:3,sticky:3,range:3
      join d client=D v=3 protocols=sticky:4
      > d join INCONSISTENT_GROUP_PROTOCOL -
      join e client=E v=3 type=connect
      > e join INCONSISTENT_GROUP_PROTOCOL -
      join f client=F v=3 session=5999
      > f join INVALID_SESSION_TIMEOUT -
      advance ms=6000
      > a join NONE A1 gen=1 rr leader=A1 A1:1 B1:2 C1:3
      > b join NONE B1 gen=1 rr leader=A1
      > c join NONE C1 gen=1 rr leader=A1
      sync a id=A1 protocol=range
      > a sync INCONSISTENT_GROUP_PROTOCOL
      """)
  }

  @Test func groupsHaveAMaximumSize() {
    check(
      """
      join a client=A v=3
      join b client=B v=3
      join c client=C v=3
      > c join GROUP_MAX_SIZE_REACHED -
      advance ms=6000
      > a join NONE A1 gen=1 range leader=A1 A1: B1:
      > b join NONE B1 gen=1 range leader=A1
      join c client=C v=3
      > c join GROUP_MAX_SIZE_REACHED -
      """
    ) { $0.maxSize = 2 }
  }

  @Test func anIdThatIsNotUsedExpires() {
    check(
      """
      join a client=A
      > a join MEMBER_ID_REQUIRED A1
      advance ms=10000
      join a id=A1
      > a join UNKNOWN_MEMBER_ID A1
      expire
      list
      """)
  }
}
