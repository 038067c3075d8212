// What administrators were told, to be compared with what is there in the end.
import KafkaClient
import Synchronization
import Values

/// Topics with what must have become of them, and moves that were asked for.
public final class AdministrationLedger: Sendable {
  struct Topic {
    /// Nil: a request was not answered, or with an error that leaves it open.
    var exists: Bool?
    /// The value of `setting`, once a change to it was acknowledged.
    var value: String?
  }

  private struct State {
    var topics: [String: Topic] = [:]
    var moves: [TopicPartition: [[Int32]]] = [:]
  }

  /// The topic setting that administrators change.
  static let setting = "retention.ms"
  private let state = Mutex(State())

  func expects(_ topic: String, _ exists: Bool?) {
    state.withLock { $0.topics[topic, default: Topic()].exists = exists }
  }

  func expects(_ topic: String, setting value: String) {
    state.withLock { $0.topics[topic]?.value = value }
  }

  /// Noted before it is asked for: an unanswered request may have been heard.
  func asksToMove(_ at: TopicPartition, to replicas: [Int32]) {
    state.withLock { $0.moves[at, default: []].append(replicas) }
  }

  /// How many topics must exist.
  public var created: Int { state.withLock { $0.topics.values.count { $0.exists == true } } }
  /// How many moves were asked for.
  public var moves: Int { state.withLock { $0.moves.values.map(\.count).reduce(0, +) } }

  /// What is not as it was acknowledged, one line each.
  ///
  /// - Parameter replicationFactor: of the topic that is moved.
  public func differences(
    _ admin: AdminClient, replicationFactor: Int16
  ) async throws(ClientError) -> [String] {
    let state = state.withLock { $0 }
    var found: [String] = []
    let there = Set(try await admin.listTopics().map(\.name))
    for (name, topic) in state.topics.sorted(by: { $0.key < $1.key }) {
      guard let exists = topic.exists, exists != there.contains(name) else { continue }
      found.append(
        "topic \(name) was " + (exists ? "created, and is not there" : "deleted, and is there"))
    }
    found += try await settings(state.topics.filter { $0.value.exists == true }, admin)
    for at in try await admin.listReassignments().keys.sorted() {
      found.append("the move of \(at) does not end")
    }
    let moved = try await admin.describeTopics(Set(state.moves.keys.map(\.topic)).sorted())
    for (at, asked) in state.moves.sorted(by: { $0.key < $1.key }) {
      guard case .success(let topic)? = moved[at.topic] else {
        found.append("topic \(at.topic) is not there")
        continue
      }
      let replicas = topic.partition(at.partition)?.replicas ?? []
      // A move that is called off leaves what was there before it: any set may stand in the end,
      // but a whole one.
      if replicas.count != Int(replicationFactor) {
        found.append("\(at) has replicas \(replicas); asked for were \(asked)")
      }
    }
    return found
  }

  private func settings(
    _ topics: [String: Topic], _ admin: AdminClient
  ) async throws(ClientError) -> [String] {
    let changed = topics.compactMap { name, topic in topic.value.map { (name, $0) } }
      .sorted { $0.0 < $1.0 }
    guard !changed.isEmpty else { return [] }
    let described = try await admin.describeConfigs(
      changed.map { ConfigResource(.topic, $0.0) }, keys: [Self.setting])
    return changed.compactMap { name, value in
      let entries = try? described[ConfigResource(.topic, name)]?.get()
      let now = entries?.first { $0.name == Self.setting }?.value
      return now == value
        ? nil : "\(Self.setting) of \(name) was set to \(value), and is \(now ?? "none")"
    }
  }
}
