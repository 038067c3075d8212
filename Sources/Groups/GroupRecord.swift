import Bytes
import KafkaProtocol
import KafkaRecords
import Values

/// A record of `__consumer_offsets`: key and value each begin with an int16 version, and the key's
/// version says what kind it is (0 and 1 offsets, 2 groups).
public enum GroupRecord: Sendable {
  /// A nil value is a tombstone.
  case offset(group: String, TopicPartition, OffsetAndMetadata?)
  /// A nil value is a tombstone.
  case group(id: String, GroupMetadataValue?)

  public var groupID: String {
    switch self {
    case .offset(let group, _, _): group
    case .group(let id, _): id
    }
  }

  /// The versions values are written in, which follow inter.broker.protocol.version. Kafka keeps to
  /// the last version without tagged fields.
  public struct Versions: Hashable, Sendable {
    public var group: Int16 = 3
    public var offset: Int16 = 3
    public init() {}
  }

  // MARK: Writing

  /// Key and value as bytes; a nil value is a tombstone.
  public func encoded(_ versions: Versions = Versions()) -> (key: [UInt8], value: [UInt8]?) {
    switch self {
    case .offset(let group, let partition, let offset):
      let key = OffsetCommitKey {
        $0.group = group
        $0.topic = partition.topic
        $0.partition = partition.partition
      }
      // Only version 1 has room for an expiry of its own.
      let version = offset?.expireTimestamp == nil ? versions.offset : 1
      return (
        key.bytes(behindVersion: 1),
        offset.map { Self.value(of: $0).bytes(behindVersion: version) }
      )
    case .group(let id, let value):
      let key = GroupMetadataKey { $0.group = id }
      return (
        key.bytes(behindVersion: 2), value.map { $0.bytes(behindVersion: versions.group) }
      )
    }
  }

  private static func value(of offset: OffsetAndMetadata) -> OffsetCommitValue {
    OffsetCommitValue {
      $0.offset = offset.offset
      $0.leaderEpoch = offset.leaderEpoch
      $0.metadata = offset.metadata
      $0.commitTimestamp = offset.commitTimestamp.milliseconds
      $0.expireTimestamp = offset.expireTimestamp?.milliseconds ?? -1
    }
  }

  // MARK: Reading

  /// Understands a record.
  /// - Returns: nil for kinds that are not known, such as those of the newer group protocols.
  /// - Throws: `ByteError` if key or value are not what their version says.
  public static func decode(
    key: RawSpan, value: RawSpan?
  ) throws(ByteError) -> GroupRecord? {
    var keyReader = ByteReader(key)
    let keyVersion = try keyReader.readInt16()
    switch keyVersion {
    case 0, 1:
      let key = try OffsetCommitKey(from: &keyReader, version: keyVersion)
      let partition = TopicPartition(key.topic, key.partition)
      guard let value else { return .offset(group: key.group, partition, nil) }
      var reader = ByteReader(value)
      let version = try reader.readInt16()
      let stored = try OffsetCommitValue(from: &reader, version: version)
      return .offset(
        group: key.group, partition,
        OffsetAndMetadata(
          offset: stored.offset, leaderEpoch: stored.leaderEpoch, metadata: stored.metadata,
          commitTimestamp: WallTime(milliseconds: stored.commitTimestamp),
          expireTimestamp: stored.expireTimestamp == -1
            ? nil : WallTime(milliseconds: stored.expireTimestamp)))
    case 2:
      let key = try GroupMetadataKey(from: &keyReader, version: keyVersion)
      guard let value else { return .group(id: key.group, nil) }
      var reader = ByteReader(value)
      let version = try reader.readInt16()
      return .group(
        id: key.group, try GroupMetadataValue(from: &reader, version: version))
    default:
      return nil
    }
  }
}

/// Which partition of `__consumer_offsets` keeps a group.
public enum GroupPartitioner {
  /// Java's hash of the group's id, made positive, modulo the partition count.
  public static func partition(for groupID: String, count: Int32) -> Int32 {
    guard count > 0 else { return 0 }
    var hash: Int32 = 0
    for unit in groupID.utf16 { hash = hash &* 31 &+ Int32(unit) }
    return (hash == .min ? 0 : abs(hash)) % count
  }
}
