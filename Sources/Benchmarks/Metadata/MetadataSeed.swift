// A snapshot with as many partitions as one wants, for controllers to begin with.
import Foundation
import KafkaRecords
import LocalCluster
import Metadata
import MetadataLog
import Platform
import Raft
import Values

/// Topics on three brokers that are registered and fenced: their partitions have no leader, and
/// come back with their brokers, which never happens.
struct MetadataSeed {
  let topics: Int
  /// Of each topic.
  let partitions: Int

  static let absentBrokers: [Int32] = [901, 902, 903]

  /// Records in the snapshot.
  var recordCount: Int { topics * (partitions + 1) + Self.absentBrokers.count + 2 }

  /// Writes the snapshot where a controller of the cluster looks for it.
  /// - Returns: its size in bytes.
  @discardableResult
  func write(for member: ClusterMember, of cluster: LocalCluster) throws -> Int {
    let directory = cluster.folder.folder(of: member).appending(path: "data")
      .appending(path: "\(MetadataLogStore.partition)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    // The log goes on behind the snapshot, as if so many records had been written and removed.
    let id = SnapshotID(offset: Offset(recordCount), epoch: LeaderEpoch(0))
    let now = Clock.wallNow()
    var writer = try SnapshotWriter(
      path: directory.appending(path: id.fileName).path, epoch: 0,
      preamble: SnapshotPreamble(lastContainedLogTimestamp: now.milliseconds), now: now)
    try forEachRecord { try writer.append(VersionedRecord($0, at: .latestProduction)) }
    try writer.finish()
    return writer.size
  }

  private func forEachRecord(_ body: (MetadataRecord) throws -> Void) throws {
    let level = FeatureLevelRecord {
      $0.name = MetadataVersion.featureName
      $0.featureLevel = MetadataVersion.latestProduction.rawValue
    }
    try body(.featureLevel(level))
    try body(.zkMigrationState(.init()))
    for (index, id) in Self.absentBrokers.enumerated() {
      try body(.registerBroker(Self.registration(id, epoch: Int64(index) + 2)))
    }
    for topic in 0..<topics {
      let topicID = Uuid(high: 0x4000, low: 0x8000_0000_0000_0000 | UInt64(topic))
      try body(
        .topic(
          TopicRecord {
            $0.name = "seed-\(topic)"
            $0.topicID = topicID
          }))
      for partition in 0..<partitions {
        try body(.partition(Self.partition(Int32(partition), of: topicID)))
      }
    }
  }

  private static func registration(_ id: Int32, epoch: Int64) -> RegisterBrokerRecord {
    RegisterBrokerRecord {
      $0.brokerID = id
      $0.brokerEpoch = epoch
      $0.incarnationID = Uuid(high: 0x4000, low: UInt64(id))
      $0.endPoints = [
        .init {
          $0.name = "PLAINTEXT"
          $0.host = "127.0.0.1"
          $0.port = 9
        }
      ]
      $0.features = [
        .init {
          $0.name = MetadataVersion.featureName
          $0.minSupportedVersion = 1
          $0.maxSupportedVersion = MetadataVersion.latestProduction.rawValue
        }
      ]
      $0.fenced = true
      $0.logDirs = [directory(of: id)]
    }
  }

  private static func directory(of id: Int32) -> Uuid { Uuid(high: 0x4001, low: UInt64(id)) }

  /// All three replicas, none of which can lead; one was the last in sync.
  private static func partition(_ number: Int32, of topicID: Uuid) -> PartitionRecord {
    let first = Int(number) % absentBrokers.count
    let replicas = (0..<absentBrokers.count).map { absentBrokers[(first + $0) % 3] }
    return PartitionRecord {
      $0.partitionID = number
      $0.topicID = topicID
      $0.replicas = replicas
      $0.isr = [replicas[0]]
      $0.leader = -1
      $0.leaderEpoch = 1
      $0.partitionEpoch = 1
      $0.directories = replicas.map(directory)
    }
  }
}
