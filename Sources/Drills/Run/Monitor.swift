// Watches the cluster's metadata beside the faults: who leads, who is in sync, who controls.
import Histories
import KafkaClient
import Platform
import Synchronization
import Values

/// What the cluster said of itself at one moment.
struct MetadataSample: Sendable, Equatable {
  struct Partition: Sendable, Equatable {
    var leader: Int32
    var epoch: Int32
    var replicas: [Int32]
    var isr: [Int32]
  }
  var controller: Int32
  var brokers: [Int32]
  /// By partition of the watched topic.
  var partitions: [Partition]
}

extension MetadataSample {
  /// Whether every partition has a leader, and all of its replicas in sync.
  func isFull(_ target: LoadTarget) -> Bool {
    partitions.count == Int(target.partitions)
      && partitions.allSatisfy { $0.leader >= 0 && $0.isr.count == $0.replicas.count }
  }
}

/// Asks for metadata again and again and keeps what changed.
public final class Monitor: Sendable {
  private let samples = Mutex<[(at: Instant, sample: MetadataSample)]>([])
  private let bootstrap: String
  private let topic: String
  private let everyMs: Int64

  public init(bootstrap: String, topic: String, everyMs: Int64 = 20) {
    self.everyMs = everyMs
    self.bootstrap = bootstrap
    self.topic = topic
  }

  /// Returns when `stop` has been asked for.
  public func run(until stop: StopSignal) async {
    while !stop.isStopped {
      guard
        let admin = try? AdminClient([
          "bootstrap.servers": bootstrap, "request.timeout.ms": "1000",
          "default.api.timeout.ms": "1000", "reconnect.backoff.ms": "10",
          "reconnect.backoff.max.ms": "100", "client.id": "monitor",
        ], executor: LoadRuntime.executor)
      else { return }
      await watch(admin, stop)
      await admin.close()
    }
  }

  /// Until it is stopped or an answer stays away: then a new client asks somebody else.
  private func watch(_ admin: AdminClient, _ stop: StopSignal) async {
    while !stop.isStopped {
      guard
        let metadata = try? await admin.cluster.updateMetadata(topics: [topic], timeoutMs: 1_000)
      else { return }
      note(metadata)
      await LoadRuntime.pause(everyMs)
    }
  }

  private func note(_ metadata: ClusterMetadata) {
    guard let found = metadata.topics[topic] else { return }
    let sample = MetadataSample(
      controller: metadata.controllerID, brokers: metadata.nodes.keys.sorted(),
      partitions: found.partitions.map {
        .init(
          leader: $0.leader, epoch: $0.leaderEpoch, replicas: $0.replicas,
          isr: $0.isr.sorted())
      })
    let now = Clock.now()
    samples.withLock { samples in
      if samples.last?.sample != sample { samples.append((now, sample)) }
    }
  }

  var latest: MetadataSample? { samples.withLock { $0.last?.sample } }

  /// Whether every partition of the topic was last seen with a leader and all replicas in sync.
  public func sawFullISR(of target: LoadTarget) -> Bool { latest?.isFull(target) ?? false }

  /// The brokers that were last seen to hold each partition.
  public var replicas: [[Int32]] { latest?.partitions.map(\.replicas) ?? [] }

  /// Who was last seen to lead each partition.
  public var leaders: [Int32] { latest?.partitions.map(\.leader) ?? [] }

  /// What was seen last, one line.
  public var lastSeen: String {
    guard let latest else { return "nothing was seen" }
    let partitions = latest.partitions.enumerated().map {
      "\($0.offset): leader \($0.element.leader), epoch \($0.element.epoch), ISR \($0.element.isr)"
    }
    return "controller \(latest.controller), brokers \(latest.brokers), partitions "
      + partitions.joined(separator: "; ")
  }

  /// Epochs of partitions for which more than one leader was named; there must be none.
  public var splitTerms: [String] {
    leadersByEpoch.filter { $0.leaders.count > 1 }.map {
      "partition \($0.partition), epoch \($0.epoch): \($0.leaders)"
    }
  }

  /// The first sample from an instant on of which the condition holds.
  func first(
    from start: Instant, where condition: (MetadataSample) -> Bool
  ) -> Instant? {
    samples.withLock { $0 }.first { $0.at >= start && condition($0.sample) }?.at
  }

  /// For each partition and leader epoch the leaders that were named: more than one is a fault.
  var leadersByEpoch: [(partition: Int, epoch: Int32, leaders: [Int32])] {
    struct Term: Hashable {
      var partition: Int
      var epoch: Int32
    }
    var leaders: [Term: Set<Int32>] = [:]
    for (_, sample) in samples.withLock({ $0 }) {
      for (index, partition) in sample.partitions.enumerated() where partition.leader >= 0 {
        leaders[Term(partition: index, epoch: partition.epoch), default: []]
          .insert(partition.leader)
      }
    }
    return leaders.sorted { ($0.key.partition, $0.key.epoch) < ($1.key.partition, $1.key.epoch) }
      .map { ($0.key.partition, $0.key.epoch, $0.value.sorted()) }
  }
}
