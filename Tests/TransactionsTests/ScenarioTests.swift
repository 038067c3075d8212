import Testing
import Transactions

/// A transactional id from its first producer to its tombstone, as scripts.
@Suite struct ScenarioTests {
  @Test func aTransactionIsCommittedAndTheNextAborted() {
    check(
      """
      init a
      > a init NONE 7/0
      show
      > Empty 7/0 timeout=60000 start=-1
      commit a
      > a end INVALID_TXN_STATE
      add a of=t-0,t-1
      > a add NONE
      add a of=t-1,u-0
      > a add NONE
      show
      > Ongoing 7/0 timeout=60000 start=1000000 t-0,t-1,u-0
      commit a
      > a end NONE
      > markers COMMIT 7/0 t-0,t-1,u-0
      commit a
      > a end CONCURRENT_TRANSACTIONS
      add a of=t-0
      > a add CONCURRENT_TRANSACTIONS
      init b
      > b init CONCURRENT_TRANSACTIONS
      written of=t-0,u-0
      show
      > PrepareCommit 7/0 timeout=60000 start=1000000 t-1
      written of=t-1
      show
      > CompleteCommit 7/0 timeout=60000 start=1000000
      # a repeated request, and one that contradicts it
      commit a
      > a end NONE
      abort a
      > a end INVALID_TXN_STATE
      advance ms=5
      add a of=t-0
      > a add NONE
      show
      > Ongoing 7/0 timeout=60000 start=1000005 t-0
      abort a
      > a end NONE
      > markers ABORT 7/0 t-0
      written of=t-0
      abort a
      > a end NONE
      """)
  }

  @Test func whoMaySpeak() {
    check(
      """
      add a of=t-0
      > a add INVALID_PRODUCER_ID_MAPPING
      init a id= timeout=1
      > a init INVALID_REQUEST
      init a timeout=0
      > a init INVALID_TRANSACTION_TIMEOUT
      init a timeout=60001
      > a init INVALID_TRANSACTION_TIMEOUT
      init a
      > a init NONE 7/0
      add a as=8/0 of=t-0
      > a add INVALID_PRODUCER_ID_MAPPING
      add a as=7/1 of=t-0
      > a add PRODUCER_FENCED
      commit a as=7/1
      > a end PRODUCER_FENCED
      verify a of=t-0
      > a verify t-0=TRANSACTION_ABORTABLE
      add a of=t-0
      > a add NONE
      verify a of=t-0,t-1
      > a verify t-0=NONE t-1=TRANSACTION_ABORTABLE
      verify a as=7/1 of=t-0
      > a verify t-0=PRODUCER_FENCED
      abort a
      > a end NONE
      > markers ABORT 7/0 t-0
      verify a of=t-0
      > a verify t-0=CONCURRENT_TRANSACTIONS
      """
    ) { $0.maxTimeoutMs = 60_000 }
  }

  @Test func aNewProducerFencesTheOld() {
    check(
      """
      init a
      > a init NONE 7/0
      init b
      > b init NONE 7/1
      add a as=7/0 of=t-0
      > a add PRODUCER_FENCED
      add b as=7/1 of=t-0
      > b add NONE
      # the open transaction is aborted under an epoch that is nobody's
      init c
      > c init CONCURRENT_TRANSACTIONS
      > markers ABORT 7/2 t-0
      commit b as=7/1
      > b end PRODUCER_FENCED
      init c
      > c init CONCURRENT_TRANSACTIONS
      written as=7/2 of=t-0
      init c
      > c init NONE 7/3
      """)
  }

  @Test func aProducerGoesOnAfterAnError() {
    check(
      """
      init a
      > a init NONE 7/0
      init a as=7/0
      > a init NONE 7/1
      # the answer was lost: the same again
      init a as=7/0
      > a init NONE 7/1
      init a as=7/1
      > a init NONE 7/2
      init a as=7/0
      > a init PRODUCER_FENCED
      init a as=9/2
      > a init PRODUCER_FENCED
      # somebody new: now a repeated request is a zombie's
      init b
      > b init NONE 7/3
      init a as=7/2
      > a init PRODUCER_FENCED
      """)
  }

  @Test func epochsRunOut() {
    check(
      """
      stored as=7/32765
      init a
      > a init NONE 7/32766
      init a as=7/32765
      > a init PRODUCER_FENCED
      init a as=7/32766
      > a init NONE 8/0
      # the answer was lost: the same again
      init a as=7/32766
      > a init NONE 8/0
      init a as=8/0
      > a init NONE 8/1
      # the highest epoch is there for fencing alone
      stored as=8/32766
      add a as=8/32766 of=t-0
      > a add NONE
      init b
      > b init CONCURRENT_TRANSACTIONS
      > markers ABORT 8/32767 t-0
      written as=8/32767 of=t-0
      init b
      > b init NONE 9/0
      """)
  }

  @Test func timeIsUp() {
    check(
      """
      init a timeout=1000
      > a init NONE 7/0
      add a of=t-0
      > a add NONE
      advance ms=1000
      timeouts
      advance ms=1
      timeouts
      > markers ABORT 7/1 t-0
      commit a
      > a end PRODUCER_FENCED
      written as=7/1 of=t-0
      show
      > CompleteAbort 7/1 timeout=1000 start=1000000
      init a as=7/0
      > a init PRODUCER_FENCED
      timeouts
      """)
  }

  @Test func unusedIDsAreForgotten() {
    check(
      """
      init a
      > a init NONE 7/0
      init b id=y
      > b init NONE 8/0
      add b id=y as=8/0 of=t-0
      > b add NONE
      advance ms=999
      expire
      list
      > x 7 Empty
      > y 8 Ongoing
      advance ms=1
      hold
      expire
      init a
      > a init CONCURRENT_TRANSACTIONS
      fail code=19
      list
      > x 7 Empty
      > y 8 Ongoing
      expire
      list
      > y 8 Ongoing
      failover
      list
      > y 8 Ongoing
      init a
      > a init NONE 9/0
      """
    ) { $0.idExpirationMs = 1_000 }
  }

  @Test func lists() {
    check(
      """
      init a
      > a init NONE 7/0
      init b id=y
      > b init NONE 8/0
      add b id=y as=8/0 of=t-0
      > b add NONE
      list state=Ongoing
      > y 8 Ongoing
      list producer=7
      > x 7 Empty
      advance ms=500
      list state=Ongoing longer=500
      > nothing
      list state=Ongoing longer=499
      > y 8 Ongoing
      show id=z
      > TRANSACTIONAL_ID_NOT_FOUND
      """)
  }
}
