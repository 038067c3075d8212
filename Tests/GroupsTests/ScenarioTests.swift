import Groups
import Testing

/// Scenarios as scripts; see `GroupScript` for the commands.
@Suite struct ScenarioTests {
  func check(
    _ script: String, _ change: (inout GroupConfig) -> Void = { _ in },
    at location: SourceLocation = #_sourceLocation
  ) {
    var runner = GroupScript(change)
    let actual = runner.run(script)
    guard actual != script else { return }
    let expected = script.split(separator: "\n", omittingEmptySubsequences: false)
    let lines = actual.split(separator: "\n", omittingEmptySubsequences: false)
    let first = zip(expected, lines).first { $0 != $1 }
    Issue.record(
      "expected '\(first?.0 ?? "")', not '\(first?.1 ?? "")'; the whole is\n\(actual)",
      sourceLocation: location)
  }

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

  @Test func offsetsOfMembersAndOfOthers() {
    check(
      """
      commit c at=t-0:5:note,t-1:7
      > c commit t-0=NONE t-1=NONE
      fetch of=t-0,t-2
      > t-0 5 'note'
      > t-2 -1
      commit c gen=3 group=h at=t-0:5
      > c commit t-0=ILLEGAL_GENERATION
      join a client=A v=3
      commit c at=t-0:6
      > c commit t-0=UNKNOWN_MEMBER_ID
      advance ms=3000
      > a join NONE A1 gen=1 range leader=A1 A1:
      commit a id=A1 gen=1 at=t-0:6
      > a commit t-0=REBALANCE_IN_PROGRESS
      sync a id=A1 assign=A1:x
      > a sync NONE 'x'
      commit a id=A1 gen=1 at=t-0:6
      > a commit t-0=NONE
      commit a id=A1 gen=2 at=t-0:9
      > a commit t-0=ILLEGAL_GENERATION
      commit a id=A1 gen=1 at=t-0:8:too-long,t-1:9
      > a commit t-0=OFFSET_METADATA_TOO_LARGE t-1=NONE
      fetch
      > t-0 6
      > t-1 9
      fetch group=nobody
      > nothing
      """
    ) { $0.offsetMetadataMaxSize = 4 }
  }

  @Test func unstableOffsets() {
    check(
      """
      commit c at=t-0:5
      > c commit t-0=NONE
      hold
      commit c at=t-0:6
      fetch of=t-0
      > t-0 5
      fetch of=t-0 stable=yes
      > t-0 -1 UNSTABLE_OFFSET_COMMIT
      fail code=6
      > c commit t-0=NOT_COORDINATOR
      fetch of=t-0 stable=yes
      > t-0 5
      # in a transaction they are unstable until its end
      commit x txn=yes at=t-0:9
      > x commit t-0=NONE
      fetch of=t-0 stable=yes
      > t-0 -1 UNSTABLE_OFFSET_COMMIT
      fetch of=t-0
      > t-0 5
      marker commit=yes
      fetch of=t-0 stable=yes
      > t-0 9
      commit x txn=yes at=t-0:10
      > x commit t-0=NONE
      marker commit=no
      fetch of=t-0 stable=yes
      > t-0 9
      """)
  }

  @Test func aFailoverKeepsGenerationsAndOffsets() {
    check(
      """
      join a client=A v=3
      advance ms=3000
      > a join NONE A1 gen=1 range leader=A1 A1:
      sync a id=A1 assign=A1:x
      > a sync NONE 'x'
      commit a id=A1 gen=1 at=t-0:6:m
      > a commit t-0=NONE
      hold
      commit a id=A1 gen=1 at=t-0:7
      join b client=B v=3
      failover
      > b join NOT_COORDINATOR B1
      > a commit t-0=NOT_COORDINATOR
      describe
      > Stable gen=1 range A1:x
      fetch
      > t-0 6 'm'
      beat a id=A1
      > a beat NONE
      # a whole session from the failover on
      advance ms=9999
      beat a id=A1
      > a beat NONE
      advance ms=10000
      release
      describe
      > Empty gen=2
      """)
  }

  @Test func deletingGroupsAndOffsets() {
    check(
      """
      join a client=A v=3
      advance ms=3000
      > a join NONE A1 gen=1 range leader=A1 A1:
      delete d
      > d delete NON_EMPTY_GROUP
      delete-offsets d of=t-0
      > d delete-offsets NON_EMPTY_GROUP
      sync a id=A1 assign=A1:x
      > a sync NONE 'x'
      commit a id=A1 gen=1 at=t-0:6,t-1:7
      > a commit t-0=NONE t-1=NONE
      leave a ids=A1
      > a leave NONE NONE
      describe
      > Empty gen=2
      delete-offsets d of=t-0,t-5
      > d delete-offsets NONE t-0=NONE t-5=NONE
      fetch
      > t-1 7
      failover
      fetch
      > t-1 7
      hold
      delete d
      release
      > d delete NONE
      delete d
      > d delete GROUP_ID_NOT_FOUND
      failover
      list
      describe
      > Dead gen=-1
      """)
  }

  @Test func offsetsExpire() {
    check(
      """
      commit c group=simple at=t-0:1
      > c commit t-0=NONE
      commit c group=own at=t-0:1 keep=500
      > c commit t-0=NONE
      join a client=A v=3
      advance ms=3000
      > a join NONE A1 gen=1 range leader=A1 A1:
      expire
      list
      > g stream completingRebalance
      > simple  empty
      advance ms=2500
      expire
      list
      > g stream completingRebalance
      leave a ids=A1
      > a leave NONE NONE
      list
      > g stream empty
      commit c at=t-0:1
      > c commit t-0=NONE
      advance ms=4999
      expire
      fetch
      > t-0 1
      advance ms=1
      expire
      list
      failover
      list
      """
    ) { $0.offsetsRetentionMs = 5_000 }
  }

  @Test func offsetsOfConsumedTopicsDoNotExpire() {
    // A subscription as consumers send it: version 0, one topic, no user data.
    let subscription = "\0\0\0\0\0\u{1}\0\u{1}t\0\0\0\0"
    check(
      """
      join a client=A v=3 type=consumer protocols=range:\(subscription)
      advance ms=3000
      > a join NONE A1 gen=1 range leader=A1 A1:\(subscription)
      sync a id=A1 assign=A1:x
      > a sync NONE 'x'
      commit a id=A1 gen=1 at=t-0:1,u-0:2
      > a commit t-0=NONE u-0=NONE
      advance ms=5000
      delete-offsets d of=t-0
      > d delete-offsets NONE t-0=GROUP_SUBSCRIBED_TO_TOPIC
      expire
      fetch
      > t-0 1
      """
    ) { $0.offsetsRetentionMs = 5_000 }
  }

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
