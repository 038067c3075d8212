// Deletion of topics (DeleteTopics, versions 0–6).
import Decision
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// A topic shall go, by name or by id (DeleteTopics).
public struct DeleteTopic: Sendable {
  public enum Target: Sendable {
    case name(String)
    case id(Uuid)
  }
  public var target: Target
  public init(_ target: Target) { self.target = target }

  public struct Reply: Equatable, Sendable {
    public var name: String
    public var id: Uuid
    /// Someone asked before: there is nothing left to begin, only to wait for.
    public var isAlreadyUnderway: Bool
  }
}

extension Controller {
  /// The record removes the topic at once. A store whose brokers must delete their replicas first
  /// keeps it back until they have, with the topic in `topicsBeingDeleted`.
  public func decide(
    _ command: DeleteTopic
  ) throws(Refusal) -> Decision<MetadataRecord, DeleteTopic.Reply> {
    guard options.isTopicDeletionEnabled else {
      throw Refusal(.topicDeletionDisabled, "Topic deletion is disabled.")
    }
    let topic: TopicImage?
    switch command.target {
    case .name(let name): topic = image.topics[name]
    case .id(let id): topic = image.topics[id]
    }
    guard let topic else {
      switch command.target {
      case .name: throw Refusal(.unknownTopicOrPartition)
      case .id: throw Refusal(.unknownTopicID)
      }
    }
    var record = RemoveTopicRecord()
    record.topicID = topic.id
    // Asking again is no error: the first answer may have been lost.
    let isUnderway = topicsBeingDeleted.contains(topic.name)
    return Decision(
      [.removeTopic(record)],
      reply: .init(name: topic.name, id: topic.id, isAlreadyUnderway: isUnderway))
  }
}
