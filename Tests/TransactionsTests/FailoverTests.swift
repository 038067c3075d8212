import Testing
import Transactions

/// What a coordinator that takes over finds after a crash at each step, and what those are told
/// whose request was under way.
@Suite struct FailoverTests {
  @Test func beforeAndAfterTheFirstRecord() {
    check(
      """
      hold
      init a
      init b
      > b init CONCURRENT_TRANSACTIONS
      failover
      > a init NOT_COORDINATOR
      show
      > TRANSACTIONAL_ID_NOT_FOUND
      init a
      > a init NONE 8/0
      failover
      show
      > Empty 8/0 timeout=60000 start=-1
      """)
  }

  @Test func anOpenTransactionStaysOpen() {
    check(
      """
      init a
      > a init NONE 7/0
      add a of=t-0
      > a add NONE
      hold
      add a of=t-1
      add a of=t-2
      > a add CONCURRENT_TRANSACTIONS
      failover
      > a add NOT_COORDINATOR
      show
      > Ongoing 7/0 timeout=60000 start=1000000 t-0
      commit a
      > a end NONE
      > markers COMMIT 7/0 t-0
      """)
  }

  @Test func theOutcomeCountsOnceItIsStored() {
    check(
      """
      init a
      > a init NONE 7/0
      add a of=t-0,t-1
      > a add NONE
      hold
      commit a
      failover
      > a end NOT_COORDINATOR
      show
      > Ongoing 7/0 timeout=60000 start=1000000 t-0,t-1
      commit a
      > a end NONE
      > markers COMMIT 7/0 t-0,t-1
      written of=t-0
      # which of them have theirs is not stored: all get it again
      failover
      > markers COMMIT 7/0 t-0,t-1
      hold
      written of=t-0,t-1
      failover
      > markers COMMIT 7/0 t-0,t-1
      written of=t-0,t-1
      show
      > CompleteCommit 7/0 timeout=60000 start=1000000
      failover
      commit a
      > a end NONE
      """)
  }

  @Test func aFenceThatIsNotStoredKeepsItsEpoch() {
    check(
      """
      init a
      > a init NONE 7/0
      add a of=t-0
      > a add NONE
      hold
      init b
      fail code=19
      > b init COORDINATOR_NOT_AVAILABLE
      # the epoch is raised once, however often storing it fails
      hold
      init b
      fail code=7
      > b init COORDINATOR_NOT_AVAILABLE
      init b
      > b init CONCURRENT_TRANSACTIONS
      > markers ABORT 7/1 t-0
      written as=7/1 of=t-0
      init b
      > b init NONE 7/2
      """)
  }

  @Test func aStepThatIsNotStoredDidNotHappen() {
    check(
      """
      hold
      init a
      fail code=19
      > a init COORDINATOR_NOT_AVAILABLE
      show
      > TRANSACTIONAL_ID_NOT_FOUND
      init a
      > a init NONE 8/0
      hold
      add a as=8/0 of=t-0
      fail code=6
      > a add NOT_COORDINATOR
      show
      > Empty 8/0 timeout=60000 start=-1
      add a as=8/0 of=t-0
      > a add NONE
      hold
      commit a as=8/0
      fail code=10
      > a end UNKNOWN_SERVER_ERROR
      show
      > Ongoing 8/0 timeout=60000 start=1000000 t-0
      """)
  }

  @Test func theLastRecordIsTriedUntilItIsStored() {
    check(
      """
      init a
      > a init NONE 7/0
      add a of=t-0
      > a add NONE
      abort a
      > a end NONE
      > markers ABORT 7/0 t-0
      hold
      written of=t-0
      fail code=19
      > retry later
      init b
      > b init CONCURRENT_TRANSACTIONS
      written of=t-0
      retry
      show
      > CompleteAbort 7/0 timeout=60000 start=1000000
      refused
      """)
  }

  @Test func answersOfAnotherEpochAreNotCounted() {
    check(
      """
      init a
      > a init NONE 7/0
      add a of=t-0
      > a add NONE
      abort a
      > a end NONE
      > markers ABORT 7/0 t-0
      written as=7/1 of=t-0
      written as=6/0 of=t-0
      show
      > PrepareAbort 7/0 timeout=60000 start=1000000 t-0
      """)
  }
}
