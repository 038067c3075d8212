import Replication
import Testing
import Values

@Suite struct WaitTableTests {
  @Test func `waiters wake by key, oldest first, and expire by deadline`() {
    var table = WaitTable<String>()
    table.park("late", keys: [1, 2], until: Instant(milliseconds: 50))
    table.park("early", keys: [1], until: Instant(milliseconds: 20))
    table.park("other", keys: [3], until: Instant(milliseconds: 30))
    var offered: [String] = []
    for ticket in table.tickets(for: 1) {
      guard let waiter = table.waiter(ticket) else { continue }
      offered.append(waiter)
      if waiter == "early" { table.remove(ticket) }
    }
    #expect(offered == ["late", "early"])
    #expect(table.count == 2)
    #expect(table.nextDeadline() == Instant(milliseconds: 30))
    var expired: [String] = []
    while let waiter = table.popExpired(at: Instant(milliseconds: 60)) { expired.append(waiter) }
    #expect(expired == ["other", "late"])
    #expect(!table.hasWaiters(for: 2))
    #expect(table.nextDeadline() == nil)
  }
}

@Suite struct FetchSessionTests {
  private func partition(_ number: Int32) -> FetchedPartition {
    FetchedPartition(
      key: FetchPartitionKey(topic: "t", partition: number), fetchOffset: 0, maxBytes: 100)
  }
  private func request(
    _ id: Int32, _ epoch: Int32, _ partitions: [Int32], forgotten: [Int32] = [],
    follower: Bool = false
  ) -> FetchSessionCache.Request {
    .init(
      sessionID: id, epoch: epoch, isFollower: follower, usesTopicIDs: false,
      partitions: partitions.map(partition),
      forgotten: forgotten.map { FetchPartitionKey(topic: "t", partition: $0) })
  }

  @Test func `a session remembers what is fetched and counts its epochs`() {
    var cache = FetchSessionCache(slots: 2)
    var random = SplitMix(seed: 1)
    #expect(cache.begin(request(0, -1, [0]), at: .zero, random: &random) == .full(sessionID: 0))
    guard case .full(let id) = cache.begin(request(0, 0, [0, 1]), at: .zero, random: &random)
    else { return }
    #expect(id != 0)
    #expect(
      cache.begin(request(id, 1, [2], forgotten: [0]), at: .zero, random: &random)
        == .incremental(sessionID: id))
    let keys = cache.withSession(id) { $0.partitions.map(\.key.partition) }
    #expect(keys == [1, 2])
    #expect(cache.begin(request(id, 1, []), at: .zero, random: &random) == .wrongEpoch)
    #expect(cache.begin(request(id + 1, 1, []), at: .zero, random: &random) == .unknownSession)
    #expect(cache.begin(request(id, -1, [0]), at: .zero, random: &random) == .full(sessionID: 0))
    #expect(cache.count == 0)
  }

  @Test func `room is made for followers and by age, not by newcomers`() {
    var cache = FetchSessionCache(slots: 1, idleMs: 100)
    var random = SplitMix(seed: 2)
    _ = cache.begin(request(0, 0, [0]), at: .zero, random: &random)
    #expect(cache.begin(request(0, 0, [0, 1]), at: .zero, random: &random) == .full(sessionID: 0))
    _ = cache.begin(request(0, 0, [0], follower: true), at: .zero, random: &random)
    #expect(cache.evictions == 1)
    #expect(cache.begin(request(0, 0, [0, 1]), at: .zero, random: &random) == .full(sessionID: 0))
    let later = Instant(milliseconds: 200)
    guard case .full(let id) = cache.begin(request(0, 0, [0]), at: later, random: &random) else {
      return
    }
    #expect(id != 0)
  }

  @Test func `an incremental answer mentions only what changed`() {
    var partition = partition(0)
    func note(_ watermark: Offset, error: Bool = false) -> Bool {
      partition.noteAnswer(
        hasRecords: false, hasError: error, isDiverging: false, hasPreferredReplica: false,
        highWatermark: watermark, logStartOffset: 0)
    }
    #expect(note(5))
    #expect(!note(5))
    #expect(note(6))
    #expect(note(6, error: true))
    #expect(note(6))
    #expect(!note(6))
  }
}
