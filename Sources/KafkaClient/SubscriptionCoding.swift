import Bytes
import KafkaProtocol
import KafkaRecords
import Values

/// The consumer protocol's messages inside of JoinGroup and SyncGroup: an int16 version, then the
/// message in that version.
public enum SubscriptionCoding {
  static func encode(
    topics: [String], owned: [TopicPartition], generationID: Int32, rackID: String?
  ) -> [UInt8] {
    var subscription = ConsumerProtocolSubscription()
    subscription.topics = topics
    for partition in owned.sorted() {
      if subscription.ownedPartitions.last?.topic == partition.topic {
        let last = subscription.ownedPartitions.count - 1
        subscription.ownedPartitions[last].partitions.append(partition.partition)
      } else {
        subscription.ownedPartitions.append(
          ConsumerProtocolSubscription.TopicPartition {
            $0.topic = partition.topic
            $0.partitions = [partition.partition]
          })
      }
    }
    subscription.generationID = generationID
    subscription.rackID = rackID
    return subscription.bytes(behindVersion: 3)
  }

  /// A newer version than is known here is read as the newest known one, as all clients do.
  static func decodeMember(
    _ bytes: [UInt8], id: String, instanceID: String?
  ) throws(ClientError) -> GroupMember {
    var reader = ByteReader(bytes.span.bytes)
    do {
      let version = min(try reader.readInt16(), 3)
      let subscription = try ConsumerProtocolSubscription(from: &reader, version: version)
      var owned: [TopicPartition] = []
      for topic in subscription.ownedPartitions {
        owned += topic.partitions.map { TopicPartition(topic.topic, $0) }
      }
      return GroupMember(
        id: id, instanceID: instanceID, topics: subscription.topics.sorted(), owned: owned,
        generationID: subscription.generationID)
    } catch { throw .malformed(.joinGroup, error) }
  }

  static func encodeAssignment(_ partitions: [TopicPartition]) -> [UInt8] {
    var assignment = ConsumerProtocolAssignment()
    for partition in partitions.sorted() {
      if assignment.assignedPartitions.last?.topic == partition.topic {
        let last = assignment.assignedPartitions.count - 1
        assignment.assignedPartitions[last].partitions.append(partition.partition)
      } else {
        assignment.assignedPartitions.append(
          ConsumerProtocolAssignment.TopicPartition {
            $0.topic = partition.topic
            $0.partitions = [partition.partition]
          })
      }
    }
    return assignment.bytes(behindVersion: 3)
  }

  /// The partitions of a member; empty bytes mean none.
  public static func decodeAssignment(_ bytes: [UInt8]) throws(ClientError) -> [TopicPartition] {
    if bytes.isEmpty { return [] }
    var reader = ByteReader(bytes.span.bytes)
    do {
      let version = min(try reader.readInt16(), 3)
      let assignment = try ConsumerProtocolAssignment(from: &reader, version: version)
      var partitions: [TopicPartition] = []
      for topic in assignment.assignedPartitions {
        partitions += topic.partitions.map { TopicPartition(topic.topic, $0) }
      }
      return partitions.sorted()
    } catch { throw .malformed(.syncGroup, error) }
  }
}
