import Values

/// The names of a log's files and directories, as Kafka gives them.
enum FileNames {
  static let log = ".log"
  static let index = ".index"
  static let timeIndex = ".timeindex"
  static let transactionIndex = ".txnindex"
  static let snapshot = ".snapshot"
  /// Waiting to be removed.
  static let deleted = ".deleted"
  /// Being written by the cleaner; worthless after a crash.
  static let cleaned = ".cleaned"
  /// Complete, about to replace others; the replacement is finished after a crash.
  static let swap = ".swap"

  static let leaderEpochCheckpoint = "leader-epoch-checkpoint"
  static let partitionMetadata = "partition.metadata"

  /// An offset in twenty digits.
  static func offset(_ offset: Offset) -> String {
    let digits = String(max(offset, 0))
    return String(repeating: "0", count: 20 - min(digits.utf8.count, 20)) + digits
  }

  /// The offset that a file's name begins with, if what follows is `suffix`.
  static func offset(in name: String, suffix: String) -> Offset? {
    guard name.hasSuffix(suffix) else { return nil }
    let digits = name.dropLast(suffix.utf8.count)
    guard digits.utf8.count == 20, digits.utf8.allSatisfy({ (48...57).contains($0) }) else {
      return nil
    }
    return Offset(digits)
  }
}

/// What the name of a directory in a log directory says about the log in it.
public struct LogDirectoryName: Equatable, Sendable {
  public enum Role: Equatable, Sendable {
    case current
    /// A copy that moves here from another log directory (KIP-113).
    case future
    /// Waiting to be removed.
    case deleted
    /// Not assigned to this broker any more; kept aside.
    case stray
  }

  public var topicPartition: TopicPartition
  public var role: Role

  /// Reads `topic-partition` with an optional `.<unique id>-delete`, `-future` or `-stray`; nil for
  /// any other name.
  public init?(_ name: String) {
    var rest = Substring(name)
    role = .current
    for (suffix, marked) in [
      ("-delete", Role.deleted), ("-future", .future), ("-stray", .stray),
    ] where name.hasSuffix(suffix) {
      // The unique id has no dot, the topic may have many.
      guard let dot = name.lastIndex(of: ".") else { continue }
      role = marked
      rest = name[..<dot]
    }
    guard let dash = rest.lastIndex(of: "-"), dash > rest.startIndex,
      let partition = Int32(rest[rest.index(after: dash)...]), partition >= 0
    else { return nil }
    topicPartition = TopicPartition(String(rest[..<dash]), partition)
  }

  /// A directory's name for a role other than `current`: unique, and no longer than names may be.
  static func name(for partition: TopicPartition, role: Role, unique: String) -> String {
    let suffix: String
    switch role {
    case .current: return partition.description
    case .future: suffix = ".\(unique)-future"
    case .deleted: suffix = ".\(unique)-delete"
    case .stray: suffix = ".\(unique)-stray"
    }
    // The partition's number must survive the cut, so the topic's name gives way.
    let number = "-\(partition.partition)"
    let room = 255 - suffix.utf8.count - number.utf8.count
    return "\(partition.topic.prefix(room))\(number)\(suffix)"
  }
}
