/// The follower's side of an incremental fetch session (KIP-227): tells the leader only what has
/// changed since the last request.
import KafkaMessages
import Replication
import Values

struct FollowerFetchSession {
  private var id: Int32 = 0
  private var epoch: Int32 = 0
  private var known: [FetchPartitionKey: FetchedPartition] = [:]

  /// Fills the session's part of a request for `wanted`, in the order given.
  mutating func fill(
    _ request: inout FetchRequest, wanted: [FetchedPartition], topics: (Int) -> String,
    version: Int16
  ) {
    request.sessionID = id
    request.sessionEpoch = epoch
    let isFull = epoch == 0
    var now: [FetchPartitionKey: FetchedPartition] = [:]
    now.reserveCapacity(wanted.count)
    for partition in wanted {
      now[partition.key] = partition
      if isFull || known[partition.key] != partition {
        Self.add(partition, to: &request, topic: topics(partition.handle))
      }
    }
    if !isFull {
      let gone = known.keys.filter { now[$0] == nil }.sorted {
        ($0.topic, $0.topicID, $0.partition) < ($1.topic, $1.topicID, $1.partition)
      }
      for key in gone { Self.forget(key, in: &request) }
    }
    known = now
  }

  /// Takes over what the leader answered about the session.
  mutating func took(sessionID: Int32) {
    if sessionID == 0 {
      reset()
    } else if sessionID != id {
      id = sessionID
      epoch = 1
    } else {
      epoch = epoch == .max ? 1 : epoch + 1
    }
  }

  /// The next request begins a new session.
  mutating func reset() {
    id = 0
    epoch = 0
    known = [:]
  }

  private static func add(
    _ partition: FetchedPartition, to request: inout FetchRequest, topic: String
  ) {
    let fetch = FetchRequest.FetchPartition {
      $0.partition = partition.key.partition
      $0.currentLeaderEpoch = partition.currentLeaderEpoch
      $0.fetchOffset = partition.fetchOffset
      $0.lastFetchedEpoch = partition.lastFetchedEpoch
      $0.logStartOffset = partition.logStartOffset
      $0.partitionMaxBytes = partition.maxBytes
    }
    if let last = request.topics.indices.last, request.topics[last].topic == topic {
      request.topics[last].partitions.append(fetch)
    } else {
      request.topics.append(
        FetchRequest.FetchTopic {
          $0.topic = topic
          $0.topicID = partition.key.topicID
          $0.partitions = [fetch]
        })
    }
  }

  private static func forget(_ key: FetchPartitionKey, in request: inout FetchRequest) {
    if let last = request.forgottenTopicsData.indices.last,
      request.forgottenTopicsData[last].topic == key.topic,
      request.forgottenTopicsData[last].topicID == key.topicID
    {
      request.forgottenTopicsData[last].partitions.append(key.partition)
    } else {
      request.forgottenTopicsData.append(
        FetchRequest.ForgottenTopic {
          $0.topic = key.topic
          $0.topicID = key.topicID
          $0.partitions = [key.partition]
        })
    }
  }
}
