import Groups
import Testing

/// Committed offsets, failover, deletion and expiry as scripts.
@Suite struct OffsetScenarioTests {
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
}
