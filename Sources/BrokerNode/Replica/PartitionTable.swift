/// The partitions that this broker has a replica of, by name and by index.
///
/// An index names a partition for as long as the process runs; it is what parked requests wait for.
import Synchronization
import Values

final class PartitionTable: Sendable {
  private struct State {
    var byTopic: [String: [Int32: Partition]] = [:]
    var byIndex: [Partition?] = []
    var free: [Int] = []
    var count = 0
    /// Names by topic id, so that a fetch by id finds its topic before the metadata has it.
    var names: [Uuid: String] = [:]
  }

  private let state = Mutex(State())

  var count: Int { state.withLock { $0.count } }

  subscript(topic: String, partition: Int32) -> Partition? {
    state.withLock { $0.byTopic[topic]?[partition] }
  }

  subscript(at: TopicPartition) -> Partition? { self[at.topic, at.partition] }

  subscript(index index: Int) -> Partition? {
    state.withLock { $0.byIndex.indices.contains(index) ? $0.byIndex[index] : nil }
  }

  func note(_ topicID: Uuid, of topic: String) {
    if topicID.isZero { return }
    state.withLock { $0.names[topicID] = topic }
  }

  func topicName(_ id: Uuid) -> String? { state.withLock { $0.names[id] } }

  /// Every partition, in order of index.
  var all: [Partition] { state.withLock { $0.byIndex.compactMap { $0 } } }

  /// The partitions of a topic, in order of their numbers.
  func partitions(of topic: String) -> [Partition] {
    state.withLock { state in
      (state.byTopic[topic] ?? [:]).sorted { $0.key < $1.key }.map(\.value)
    }
  }

  func findOrMake(_ at: TopicPartition, _ make: (Int) -> Partition) -> Partition {
    state.withLock { state in
      if let known = state.byTopic[at.topic]?[at.partition] { return known }
      let index = state.free.popLast() ?? state.byIndex.count
      if index == state.byIndex.count { state.byIndex.append(nil) }
      let made = make(index)
      state.byIndex[index] = made
      state.byTopic[at.topic, default: [:]][at.partition] = made
      state.count += 1
      return made
    }
  }

  /// Forgets a partition. Its index is not used again before whoever waits for it was answered:
  /// the caller wakes them.
  func remove(_ at: TopicPartition) -> Partition? {
    state.withLock { state in
      guard let gone = state.byTopic[at.topic]?.removeValue(forKey: at.partition) else {
        return nil
      }
      if state.byTopic[at.topic]?.isEmpty == true {
        state.byTopic[at.topic] = nil
        let id = gone.topicID
        state.names[id] = nil
      }
      state.byIndex[gone.index] = nil
      state.count -= 1
      return gone
    }
  }
}
