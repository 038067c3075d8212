import Control
import Metadata
import TestKit
import Testing
import Values

@Suite struct ControllerSimulationTests {
  @Test func oneBrokerIsElectedAndCreatesTopics() {
    let cluster = SimulatedCluster(brokers: 3, seed: 1)
    cluster.run()
    let request = cluster.request(
      .createTopics(
        [TopicToCreate(name: "t", partitions: 6, replicationFactor: 3)], validateOnly: false))
    cluster.run()
    guard let request, case .createTopics(let results)? = cluster.answers[request],
      case .success(let reply)? = results.first
    else {
      Issue.record("not created")
      return
    }
    #expect(reply.partitions == 6)
    #expect(cluster.store.children(ZnodePath.partitions("t")).count == 6)
    cluster.checkAtRest()
  }

  @Test func aTopicIsDeletedWhenAllReplicasAre() {
    let cluster = SimulatedCluster(brokers: 3, seed: 2)
    cluster.run()
    cluster.request(
      .createTopics(
        [TopicToCreate(name: "t", partitions: 3, replicationFactor: 3)], validateOnly: false))
    cluster.run()
    let victim = cluster.brokers.values.first { !$0.machine.isActive }?.id ?? BrokerID(1)
    cluster.crash(victim)
    cluster.run()
    let request = cluster.request(.deleteTopics([.name("t")], timeoutMs: 1_000_000))
    cluster.run()
    // One replica is on a broker that is down: the topic must wait for it.
    #expect(cluster.store.children(ZnodePath.topics) == ["t"])
    cluster.start(victim)
    cluster.run()
    #expect(cluster.store.children(ZnodePath.topics) == [])
    #expect(cluster.store.children(ZnodePath.topicDeletions) == [])
    #expect(cluster.store.children("/config/topics") == [])
    guard let request, case .deleteTopics(let results)? = cluster.answers[request],
      case .success? = results.first
    else {
      Issue.record("no answer")
      return
    }
    cluster.checkAtRest()
  }

  @Test func aZombieIsFenced() {
    let cluster = SimulatedCluster(brokers: 3, seed: 3)
    cluster.run()
    cluster.request(
      .createTopics(
        [TopicToCreate(name: "t", partitions: 3, replicationFactor: 3)], validateOnly: false))
    cluster.run()
    guard let old = cluster.active else { return }
    // The zombie has a request in hand when its session ends, and writes afterwards.
    cluster.request(
      .createTopics(
        [TopicToCreate(name: "late", partitions: 1, replicationFactor: 1)], validateOnly: false))
    cluster.runOne()
    cluster.loseSession(old.id)
    cluster.run()
    #expect(cluster.store.children(ZnodePath.topics) == ["t"])
    #expect(cluster.active?.id != old.id)
    cluster.noticeLostSession(old.id)
    cluster.run()
    cluster.proposeAll()
    cluster.checkAtRest()
  }

  @Test func aFailedDirectoryMovesTheLeader() throws {
    let cluster = SimulatedCluster(brokers: 3, seed: 4)
    cluster.run()
    cluster.request(
      .createTopics(
        [TopicToCreate(name: "t", assignments: [(0, [1, 2, 3].brokerIDs)])], validateOnly: false))
    cluster.run()
    let at = TopicPartition("t", 0)
    cluster.failDirectory(BrokerID(1), at)
    cluster.run()
    let state = try #require(
      cluster.store.nodes[ZnodePath.partitionState(at)].flatMap {
        PartitionStateZnode.decode($0.data)
      })
    #expect(state.leader == BrokerID(2))
    #expect(state.isr == [2, 3].brokerIDs)
    #expect(cluster.store.children(ZnodePath.logDirEvents) == [])
    cluster.checkAtRest()
  }

  @Test func anythingMayHappen() {
    for seed in Seeds.range(100) {
      #expect(chaos(seed, .latest) == chaos(seed, .latest), "seed \(seed) does not repeat")
    }
  }

  /// Leaders write their ISRs themselves, so the controller's view is behind at times.
  @Test func anythingMayHappenBeforeAlterPartition() {
    for seed in Seeds.range(20, from: 1_000_000) {
      let version = InterBrokerVersion(2, 6)
      #expect(chaos(seed, version) == chaos(seed, version), "seed \(seed) does not repeat")
    }
  }

  /// Probes that are wrong again and again do no harm but elections.
  @Test func anybodyMayBeSuspectedWrongly() {
    for seed in Seeds.range(30, from: 2_000_000) {
      #expect(
        chaos(seed, .latest, suspects: true) == chaos(seed, .latest, suspects: true),
        "seed \(seed) does not repeat")
    }
  }

  /// Returns what the store holds at the end, as a digest.
  private func chaos(
    _ seed: UInt64, _ version: InterBrokerVersion, suspects: Bool = false
  ) -> UInt64 {
    let cluster = SimulatedCluster(brokers: 4, seed: seed &* 7919 &+ 13, version: version)
    var chaos = SplitMix(seed: seed)
    cluster.run()
    var names = 0
    for _ in 0..<150 {
      if suspects, Int.random(in: 0..<6, using: &chaos) == 0 { cluster.suspectSomebody(&chaos) }
      let id = BrokerID(Int32.random(in: 1...4, using: &chaos))
      switch Int.random(in: 0..<16, using: &chaos) {
      case 0:
        names += 1
        let factor = Int16.random(in: 1...3, using: &chaos)
        cluster.request(
          .createTopics(
            [TopicToCreate(name: "t\(names)", partitions: 3, replicationFactor: factor)],
            validateOnly: false))
      case 1:
        cluster.request(
          .deleteTopics(
            [.name("t\(Int.random(in: 0...names, using: &chaos))")],
            timeoutMs: 100))
      case 2:
        let alive = cluster.brokers.values.filter { $0.session != nil && !$0.isPaused }.count
        if alive > 2 { cluster.crash(id) }
      case 3, 4: cluster.start(id)
      case 5:
        let alive = cluster.brokers.values.filter { $0.session != nil && !$0.isPaused }.count
        if alive > 2 { cluster.loseSession(id) }
      case 6, 7: cluster.noticeLostSession(id)
      case 8:
        var ids = (1...4).map { BrokerID($0) }
        ids.shuffle(using: &chaos)
        let at = TopicPartition("t\(Int.random(in: 0...names, using: &chaos))", 0)
        let target = Bool.random(using: &chaos) ? Array(ids.prefix(2)) : nil
        cluster.request(.reassign([ReassignPartition(at, target: target)]))
      case 9:
        let epoch = cluster.brokers[id]?.epoch ?? .none
        cluster.request(.controlledShutdown(BeginControlledShutdown(id, epoch: epoch)))
      case 10: cluster.tick()
      case 11:
        let at = TopicPartition("t\(Int.random(in: 0...names, using: &chaos))", 1)
        cluster.request(
          .createPartitions(
            [AddPartitions(topic: at.topic, count: 4)],
            validateOnly: false))
      case 12:
        cluster.failDirectory(id, TopicPartition("t\(Int.random(in: 0...names, using: &chaos))", 0))
      default:
        cluster.takeAnswers()
        cluster.proposeISR(id)
      }
      for _ in 0..<Int.random(in: 0..<40, using: &chaos) { cluster.runOne() }
    }
    cluster.believeAll()
    cluster.settle()
    cluster.checkAtRest()
    return cluster.store.digest
  }
}

extension SimulatedCluster {
  /// Followers catch up, until no leader wants another ISR.
  func proposeAll() {
    for _ in 0..<6 {
      for id in brokers.keys.sorted() { proposeISR(id) }
      run()
      takeAnswers()
    }
  }

  /// Faults end: every broker comes back, and everything is delivered.
  func settle() {
    for id in brokers.keys.sorted() {
      noticeLostSession(id)
      start(id)
    }
    run()
    for id in brokers.keys.sorted() where brokers[id]?.failed.isEmpty == false {
      crash(id)
      run()
      start(id)
      run()
    }
    // A broker that was shutting down when its session ended comes back as if it had stopped.
    for id in brokers.keys.sorted()
    where active?.machine.control.image.brokers[id]?.isInControlledShutdown == true {
      crash(id)
      run()
      start(id)
      run()
    }
    proposeAll()
    tick()
    run()
    proposeAll()
  }
}
