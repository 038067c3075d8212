/// Fetches from one leader for the partitions that follow it, on one connection and one loop.
///
/// At most one Fetch is under way; questions that are not fetches (where does an epoch end, where
/// does the log) go before it, on the same connection. Responses are applied inline; what they
/// change is told to whoever waits, like any other change of a partition.
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Platform
import Replication
import Settings
import Synchronization
import Telemetry
import Values

final class ReplicaFetcher: @unchecked Sendable {  // confined to `loop`, but for `lag`
  struct Entry {
    let partition: Partition
    var machine: FollowerFetcher
    /// A question other than a fetch is under way.
    var isAsking = false
  }

  let services: BrokerServices
  let loop: BrokerLoop
  let leader: BrokerID
  let number: Int
  let versions: InterBrokerVersions
  var entries: [Int: Entry] = [:]
  var session = FollowerFetchSession()
  var isFetching = false
  private var channel: PeerChannel?
  private var address: (host: String, port: UInt16)?
  private var timer = LoopTimer.none
  private var isPumpScheduled = false
  private var isClosed = false
  private let lag = Atomic<Int64>(0)
  static let log = Log("replica-fetcher")

  init(services: BrokerServices, loop: BrokerLoop, leader: BrokerID, number: Int) {
    self.services = services
    self.loop = loop
    self.leader = leader
    self.number = number
    versions = InterBrokerVersions(services.config.identity.interBrokerProtocolVersion)
  }

  var maxLag: Int64 { lag.load(ordering: .relaxed) }
  func noteLag(_ value: Int64) { lag.store(value, ordering: .relaxed) }

  // MARK: From any thread

  func add(_ partition: Partition, epoch: LeaderEpoch) {
    loop.eventLoop.execute { [self] in
      let machine = FollowerFetcher(
        leaderEpoch: epoch, divergenceInFetch: versions.fetch >= 12,
        backoffMs: services.config.replication.fetchBackoffMs)
      entries[partition.index] = Entry(partition: partition, machine: machine)
      pumpSoon()
    }
  }

  func remove(_ partition: Partition) {
    loop.eventLoop.execute { [self] in
      if entries[partition.index]?.partition === partition { entries[partition.index] = nil }
    }
  }

  func endpointChanged() {
    loop.eventLoop.execute { [self] in
      if let address, let endpoint = endpoint(), address != endpoint { disconnect() }
      pumpSoon()
    }
  }

  func close() {
    loop.eventLoop.execute { [self] in
      isClosed = true
      disconnect()
      entries = [:]
    }
  }

  // MARK: Connection

  private func endpoint() -> (host: String, port: UInt16)? {
    let listener = services.config.network.interBrokerListenerName
    return services.metadata.broker(leader)?.endpoint(listener).map { ($0.host, $0.port) }
  }

  private func connected() -> PeerChannel? {
    if let channel { return channel }
    guard let endpoint = endpoint() else { return nil }
    address = endpoint
    let made = PeerChannel(
      to: endpoint.host, port: endpoint.port, on: loop.eventLoop,
      clientID: "broker-\(services.brokerID.rawValue)-fetcher-\(number)",
      name: "fetcher \(number) of leader \(leader.rawValue)",
      timeoutMs: services.config.replication.socketTimeoutMs,
      limits: services.peerLimits(
        receiveBufferBytes: services.config.replication.socketReceiveBufferBytes))
    made.onOpen = { [services] in
      services.membership?.noteReached(host: endpoint.host, port: endpoint.port)
    }
    channel = made
    return made
  }

  /// After a failure a session means nothing: the leader may have restarted.
  func disconnect() {
    session.reset()
    channel?.close()
    channel = nil
    address = nil
  }

  // MARK: Asking

  /// Asks at the end of this turn, when all that changes in it is known.
  func pumpSoon() {
    guard !isPumpScheduled, !isClosed else { return }
    isPumpScheduled = true
    loop.eventLoop.atEndOfTurn(self)
  }

  private func pump() {
    guard !isClosed, !entries.isEmpty else { return }
    guard let channel = connected() else {
      wakeLater(at: loop.now.advanced(milliseconds: 100))
      return
    }
    var wanted: [FetchedPartition] = []
    var resume = Instant.distantFuture
    for index in entries.keys.sorted() {
      guard let entry = entries[index], !entry.isAsking else { continue }
      guard let log = entry.partition.log else { continue }
      let view = FollowerLogView(log)
      switch entry.machine.question(for: view, at: loop.now) {
      case nil:
        if entry.machine.phase != .stopped { resume = min(resume, entry.machine.pausedUntil) }
      case .fetch(let offset, let lastEpoch, let start):
        wanted.append(fetch(entry, offset, lastEpoch, start))
      case let question?:
        ask(question, index, on: channel)
      }
    }
    if !isFetching, !wanted.isEmpty { fetch(wanted, on: channel) }
    if resume != .distantFuture { wakeLater(at: resume) }
  }

  private func fetch(
    _ entry: Entry, _ offset: Offset, _ lastEpoch: LeaderEpoch?, _ start: Offset
  ) -> FetchedPartition {
    let at = entry.partition.id
    var wanted = FetchedPartition(
      key: versions.fetch >= 13
        ? FetchPartitionKey(topicID: entry.partition.topicID, partition: at.partition)
        : FetchPartitionKey(topic: at.topic, partition: at.partition),
      fetchOffset: offset, maxBytes: services.config.replication.fetchMaxBytes,
      currentLeaderEpoch: entry.machine.leaderEpoch.rawValue,
      lastFetchedEpoch: lastEpoch?.rawValue ?? -1, logStartOffset: start)
    wanted.handle = entry.partition.index
    return wanted
  }

  private func wakeLater(at deadline: Instant) {
    loop.eventLoop.cancel(timer)
    timer = loop.eventLoop.schedule(at: deadline) { [weak self] in self?.pump() }
  }
}

extension ReplicaFetcher: TurnHook {
  func endOfTurn() {
    isPumpScheduled = false
    pump()
  }
}

/// The versions that brokers use among themselves; nobody asks for them, they follow
/// `inter.broker.protocol.version`.
struct InterBrokerVersions {
  let fetch: Int16
  let listOffsets: Int16
  let offsetForLeaderEpoch: Int16

  init(_ level: MetadataVersion) {
    func since(_ name: String) -> Bool { MetadataVersion(name).map { level >= $0 } ?? false }
    let fetchLevels: [(String, Int16)] = [
      ("3.9-IV0", 17), ("3.7-IV4", 16), ("3.5-IV1", 15), ("3.5-IV0", 14), ("3.1-IV0", 13),
      ("2.7-IV1", 12), ("2.3-IV1", 11), ("2.0-IV1", 10), ("2.0-IV0", 8), ("1.1-IV0", 7),
      ("0.11.0-IV1", 5), ("0.11.0-IV0", 4), ("0.10.1-IV1", 3), ("0.10.0-IV0", 2),
      ("0.9.0", 1),
    ]
    fetch = fetchLevels.first { since($0.0) }?.1 ?? 0
    let listLevels: [(String, Int16)] = [
      ("3.9-IV0", 9), ("3.5-IV0", 8), ("3.0-IV1", 7), ("2.8-IV0", 6), ("2.2-IV1", 5),
      ("2.1-IV1", 4), ("2.0-IV1", 3), ("0.11.0-IV0", 2), ("0.10.1-IV2", 1),
    ]
    listOffsets = listLevels.first { since($0.0) }?.1 ?? 0
    let epochLevels: [(String, Int16)] = [
      ("2.8-IV0", 4), ("2.3-IV1", 3), ("2.1-IV1", 2), ("2.0-IV0", 1),
    ]
    offsetForLeaderEpoch = epochLevels.first { since($0.0) }?.1 ?? 0
  }
}
