/// Deals the partitions that this broker follows out to fetchers: one connection for each pair of
/// leader and fetcher number (`num.replica.fetchers`).
import Replication
import Synchronization
import Values

final class FetcherManager: Sendable {
  private struct Key: Hashable {
    var leader: BrokerID
    var number: Int
  }

  private struct State {
    var fetchers: [Key: ReplicaFetcher] = [:]
    /// Where each partition is, by its index.
    var home: [Int: ReplicaFetcher] = [:]
  }

  private let services: BrokerServices
  private let state = Mutex(State())

  init(services: BrokerServices) { self.services = services }

  /// Begins, or begins anew, to follow a leader.
  func add(_ partition: Partition, leader: BrokerID, epoch: LeaderEpoch) {
    let fetcher = self.fetcher(for: partition, leader: leader)
    let old = state.withLock { state in
      defer { state.home[partition.index] = fetcher }
      return state.home[partition.index]
    }
    if let old, old !== fetcher { old.remove(partition) }
    fetcher?.add(partition, epoch: epoch)
  }

  func remove(_ partition: Partition) {
    state.withLock { $0.home.removeValue(forKey: partition.index) }?.remove(partition)
  }

  /// Leaders may have moved to other addresses, or become known.
  func endpointsChanged() {
    for fetcher in state.withLock({ Array($0.fetchers.values) }) { fetcher.endpointChanged() }
  }

  func close() {
    for fetcher in state.withLock({ Array($0.fetchers.values) }) { fetcher.close() }
  }

  /// How far the slowest partition is behind its leader, in records.
  var maxLag: Int64 {
    state.withLock { state in state.fetchers.values.map(\.maxLag).max() ?? 0 }
  }

  private func fetcher(for partition: Partition, leader: BrokerID) -> ReplicaFetcher? {
    let count = max(1, services.config.replication.fetchers)
    // The same partition always has the same number, so that it can be found in the logs.
    var hash: UInt64 = 31 &+ UInt64(bitPattern: Int64(partition.id.partition))
    for byte in partition.id.topic.utf8 { hash = hash &* 31 &+ UInt64(byte) }
    let key = Key(leader: leader, number: Int(hash % UInt64(count)))
    let loops = services.loops
    guard !loops.isEmpty else { return nil }
    let loop = loops[(Int(leader.rawValue) + key.number) % loops.count]
    return state.withLock { state in
      if let known = state.fetchers[key] { return known }
      let made = ReplicaFetcher(
        services: services, loop: loop, leader: leader, number: key.number)
      state.fetchers[key] = made
      return made
    }
  }
}
