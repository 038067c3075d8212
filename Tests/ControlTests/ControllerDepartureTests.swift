import Metadata
import Testing
import Values

@testable import Control

/// Brokers that are gone before their sessions are.
struct ControllerDepartureTests {
  private func makeCluster(seed: UInt64) -> SimulatedCluster {
    let cluster = SimulatedCluster(brokers: 3, seed: seed)
    cluster.run()
    cluster.request(
      .createTopics(
        [TopicToCreate(name: "t", partitions: 3, replicationFactor: 3)], validateOnly: false))
    cluster.run()
    return cluster
  }

  private func leaders(_ cluster: SimulatedCluster) -> [BrokerID] {
    let topic = cluster.active?.machine.control.image.topics["t"]
    guard let table = topic?.partitions else { return [] }
    return table.numbers.compactMap { table[$0]?.leader }
  }

  @Test func aDeadLeaderIsReplacedWhileItsSessionGoesOn() throws {
    let cluster = makeCluster(seed: 11)
    let active = try #require(cluster.active)
    let victim = try #require(leaders(cluster).first { $0 != active.id })
    let epoch = try #require(cluster.brokers[victim]).epoch
    let session = try #require(cluster.die(victim))
    cluster.run()
    #expect(leaders(cluster).contains(victim), "nobody knows yet")
    cluster.tell(active.id, .brokerGone(victim, epoch))
    cluster.run()
    #expect(!leaders(cluster).contains(victim))
    #expect(cluster.store.nodes[ZnodePath.broker(victim)] != nil, "the registration stands")
    // It comes again with a new registration, which is a life that nobody has declared over.
    cluster.store.expire(session)
    cluster.run()
    #expect(active.machine.departed.isEmpty)
    cluster.start(victim)
    cluster.run()
    #expect(active.machine.control.image.brokers[victim] != nil)
    cluster.proposeAll()
    cluster.checkAtRest()
  }

  @Test func aVerdictOnAnEarlierLifeIsVoid() throws {
    let cluster = makeCluster(seed: 12)
    let active = try #require(cluster.active)
    let victim = try #require(cluster.brokers.keys.sorted().first { $0 != active.id })
    let epoch = try #require(cluster.brokers[victim]).epoch
    cluster.crash(victim)
    cluster.start(victim)
    cluster.run()
    cluster.tell(active.id, .brokerGone(victim, epoch))
    cluster.run()
    #expect(active.machine.control.image.brokers[victim] != nil)
  }

  @Test func whoWasSuspectedWronglyComesBack() throws {
    let cluster = makeCluster(seed: 13)
    let active = try #require(cluster.active)
    let victim = try #require(leaders(cluster).first { $0 != active.id })
    let epoch = try #require(cluster.brokers[victim]).epoch
    cluster.tell(active.id, .brokerGone(victim, epoch))
    cluster.run()
    #expect(active.machine.control.image.brokers[victim] == nil)
    cluster.tell(active.id, .brokerAnswers(victim, epoch))
    cluster.run()
    #expect(active.machine.control.image.brokers[victim]?.epoch == epoch)
    cluster.proposeAll()
    cluster.checkAtRest()
  }

  /// Found by simulation (`jackdaw simulate --seed 5024 --mode zookeeper`): the controller's broker
  /// loses power and is back before anybody else has become the controller. Leading again it would
  /// cut its followers to what its disk had kept.
  @Test func aControllersBrokerThatIsBackAtOnceLeadsNothing() throws {
    let cluster = makeCluster(seed: 16)
    let old = try #require(cluster.active)
    let id = old.id
    #expect(leaders(cluster).contains(id))
    let session = try #require(cluster.die(id))
    cluster.store.expire(session)
    cluster.start(id)
    cluster.run()
    let next = try #require(cluster.active)
    let image = next.machine.control.image
    #expect(image.brokers[id] != nil)
    #expect(!leaders(cluster).contains(id))
    for number in try #require(image.topics["t"]).partitions.numbers {
      let partition = try #require(image.topics["t"]?.partitions[number])
      #expect(!partition.isr.contains(id), "it comes back into the ISR when it has everything")
    }
    cluster.proposeAll()
    cluster.checkAtRest()
  }

  @Test func aDeadControllerIsDeposedBeforeItsSessionEnds() throws {
    let cluster = makeCluster(seed: 14)
    let old = try #require(cluster.active)
    let (id, epoch) = (old.id, old.epoch)
    let session = try #require(cluster.die(id))
    for other in cluster.brokers.keys.sorted() where other != id {
      cluster.tell(other, .brokerGone(id, epoch))
    }
    cluster.run()
    let next = try #require(cluster.active)
    #expect(next.id != id)
    // The new one watches the old one's broker too, and finds what the others found.
    cluster.tell(next.id, .brokerGone(id, epoch))
    cluster.run()
    #expect(!leaders(cluster).contains(id))
    cluster.store.expire(session)
    cluster.start(id)
    cluster.run()
    cluster.proposeAll()
    cluster.checkAtRest()
  }

  @Test func aTermThatHasJustBegunIsNotEnded() throws {
    let cluster = makeCluster(seed: 15)
    let old = try #require(cluster.active)
    let epoch = old.epoch
    let others = cluster.brokers.keys.sorted().filter { $0 != old.id }
    // The session ends by itself and another broker is elected; then the verdict comes.
    cluster.crash(old.id)
    cluster.run()
    let next = try #require(cluster.active)
    let term = next.machine.term
    for other in others { cluster.tell(other, .brokerGone(old.id, epoch)) }
    cluster.run()
    #expect(cluster.active?.machine.term == term)
  }
}

extension SimulatedCluster {
  /// A probe anywhere comes to a wrong verdict on somebody who lives, or takes one back.
  func suspectSomebody(_ random: inout SplitMix) {
    let ids = brokers.keys.sorted()
    let observer = ids[Int.random(in: 0..<ids.count, using: &random)]
    let subject = ids[Int.random(in: 0..<ids.count, using: &random)]
    guard observer != subject, let epoch = brokers[subject]?.epoch else { return }
    let isGone = Int.random(in: 0..<3, using: &random) > 0
    tell(observer, isGone ? .brokerGone(subject, epoch) : .brokerAnswers(subject, epoch))
  }

  /// All probes find that everybody answers.
  func believeAll() {
    run()
    for id in brokers.keys.sorted() {
      let departed = brokers[id]?.machine.departed ?? [:]
      for subject in departed.keys.sorted() {
        tell(id, .brokerAnswers(subject, departed[subject] ?? .none))
      }
    }
    run()
  }
}
