import Groups
import Testing

/// Static members (KIP-345) as scripts.
@Suite struct StaticMemberTests {
  @Test func staticMembersKeepTheirPlace() {
    check(
      """
      join a client=A instance=i v=5 rebalance=5000
      join b client=B instance=j v=5 rebalance=5000
      advance ms=5000
      > a join NONE i1 gen=1 range leader=i1 i1: j1:
      > b join NONE j1 gen=1 range leader=i1
      sync b id=j1 instance=j
      sync a id=i1 instance=i assign=i1:x,j1:y
      > a sync NONE 'x'
      > b sync NONE 'y'
      # j starts again: a new id, the same assignment, no rebalance
      hold
      join b client=B instance=j v=5 rebalance=5000
      release
      > b join NONE j2 gen=1 range leader=i1
      sync b id=j2 instance=j
      > b sync NONE 'y'
      beat a id=i1 instance=i
      > a beat NONE
      # whoever still uses the old id is fenced
      beat x id=j1 instance=j
      > x beat FENCED_INSTANCE_ID
      sync x id=j1 instance=j
      > x sync FENCED_INSTANCE_ID
      commit x id=j1 instance=j gen=1 at=t-0:1
      > x commit t-0=FENCED_INSTANCE_ID
      join x id=j1 instance=j
      > x join FENCED_INSTANCE_ID j1
      beat x id=j1 instance=k
      > x beat UNKNOWN_MEMBER_ID
      # a leader that comes back is not told that it leads, or to skip the assignment
      join a client=A instance=i v=5 rebalance=5000
      > a join NONE i2 gen=1 range leader=i1
      join a client=A instance=i v=9 rebalance=5000
      > a join NONE i3 gen=1 range leader=i3 skip i3: j2:
      failover
      describe
      > Stable gen=1 range i3:x j2:y
      # an administrator removes one by its instance
      leave admin instances=j,k
      > admin leave NONE NONE UNKNOWN_MEMBER_ID
      beat a id=i3 instance=i
      > a beat REBALANCE_IN_PROGRESS
      """)
  }

  @Test func aStaticMemberThatCannotBeStoredKeepsItsOldID() {
    check(
      """
      join a client=A instance=i v=5
      advance ms=3000
      > a join NONE i1 gen=1 range leader=i1 i1:
      sync a id=i1 instance=i assign=i1:x
      > a sync NONE 'x'
      hold
      join a client=A instance=i v=5
      fail code=19
      > a join COORDINATOR_NOT_AVAILABLE -
      beat a id=i1 instance=i
      > a beat NONE
      """)
  }

  @Test func absentStaticMembersAreWaitedForUntilTheirSessionEnds() {
    check(
      """
      join a client=A instance=i v=5 rebalance=5000 session=8000
      join b client=B v=3 rebalance=5000 session=8000
      advance ms=5000
      > a join NONE i1 gen=1 range leader=i1 i1: B1:
      > b join NONE B1 gen=1 range leader=i1
      sync b id=B1
      sync a id=i1 instance=i assign=i1:x,B1:y
      > a sync NONE 'x'
      > b sync NONE 'y'
      leave b ids=B1
      > b leave NONE NONE
      advance ms=5000
      describe
      > PreparingRebalance gen=1 i1
      advance ms=3000
      describe
      > Empty gen=2
      """)
  }
}
