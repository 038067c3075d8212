/// Formats the directories of a KRaft node, as `kafka-storage format` does: who they belong to,
/// what the cluster begins with and, with a dynamic quorum, who its first voters are (KIP-853).
import Glibc
import KafkaRecords
import Metadata
import Platform
import Raft
import Values

public struct StorageFormatter: Sendable {
  /// The first voters of a dynamic quorum.
  public enum Quorum: Sendable {
    /// `controller.quorum.voters`: kraft.version 0, and no voters in the log.
    case fixed
    /// The voters are written into the log's first snapshot.
    case voters(VoterSet)
    /// A node that joins a dynamic quorum; it learns the voters from the others.
    case joining
  }

  public var clusterID: String
  public var nodeID: BrokerID
  /// All of `log.dirs`, and `metadata.log.dir` if it is none of them.
  public var directories: [String]
  public var metadataDirectory: String
  public var quorum = Quorum.fixed
  public var level = MetadataVersion.latestProduction
  /// Records behind the feature levels, such as credentials.
  public var records: [MetadataRecord] = []
  public var ignoresFormatted = false
  /// Directory ids that are given: those of the first voters.
  public var directoryIDs: [String: Uuid] = [:]

  public init(
    clusterID: String, nodeID: BrokerID, directories: [String], metadataDirectory: String
  ) {
    self.clusterID = clusterID
    self.nodeID = nodeID
    self.directories = directories
    if !directories.contains(metadataDirectory) { self.directories.append(metadataDirectory) }
    self.metadataDirectory = metadataDirectory
  }

  /// Formats what is not formatted.
  /// - Parameter tell: is given a line for each directory.
  /// - Throws: when a directory is formatted already, unless that is to be ignored.
  public func run(_ tell: (String) -> Void) throws(StartupError) {
    var missing: [String] = []
    for directory in directories {
      guard let meta = try MetaProperties.read(directory) else {
        missing.append(directory)
        continue
      }
      guard ignoresFormatted else {
        throw StartupError(
          "Log directory \(directory) is already formatted. Use --ignore-formatted to ignore this "
            + "directory and format the others.")
      }
      try check(meta, directory)
    }
    guard !missing.isEmpty else { return tell("All of the log directories are already formatted.") }
    for directory in missing {
      tell("Formatting \(kind(directory)) \(directory) with metadata.version \(level.name).")
      try format(directory)
    }
  }

  /// What is left as it is must at least belong to this node.
  private func check(_ meta: MetaProperties, _ directory: String) throws(StartupError) {
    guard meta.clusterID == clusterID else {
      throw StartupError(
        "\(directory) belongs to cluster \(meta.clusterID ?? "none"), not to \(clusterID)")
    }
    guard meta.nodeID == nodeID else {
      throw StartupError("\(directory) belongs to another node than \(nodeID.rawValue)")
    }
  }

  private func kind(_ directory: String) -> String {
    guard directory == metadataDirectory else { return "data directory" }
    guard case .voters(let voters) = quorum else { return "metadata directory" }
    return voters.ids.contains(nodeID)
      ? "dynamic metadata voter directory" : "dynamic metadata directory"
  }

  private func format(_ directory: String) throws(StartupError) {
    do throws(SystemError) { try FileSystem.createDirectory(directory) } catch {
      throw StartupError("\(directory): \(error)")
    }
    try BootstrapFile.write(
      bootstrap.map { VersionedRecord($0, at: level) }, to: directory, now: Clock.wallNow())
    if directory == metadataDirectory, case .voters(let voters) = quorum {
      try writeVoters(voters, directory)
    }
    // Last, since it is what makes a directory a formatted one.
    var random = SystemRandom()
    try MetaProperties(
      version: 1, nodeID: nodeID, clusterID: clusterID,
      directoryID: directoryIDs[directory] ?? Uuid.random(using: &random)
    ).write(directory, date: Self.date())
  }

  private var bootstrap: [MetadataRecord] {
    let feature = FeatureLevelRecord {
      $0.name = MetadataVersion.featureName
      $0.featureLevel = level.rawValue
    }
    return [.featureLevel(feature)] + records
  }

  /// The snapshot in front of the first record: kraft.version 1 and the voters.
  private func writeVoters(_ voters: VoterSet, _ directory: String) throws(StartupError) {
    let folder = "\(directory)/\(MetadataLogStore.partition)"
    let now = Clock.wallNow()
    do throws(SystemError) {
      try FileSystem.createDirectory(folder)
      var writer = try SnapshotWriter(
        path: "\(folder)/\(RaftLog.bootstrapSnapshot.fileName)", epoch: 0,
        preamble: SnapshotPreamble(
          lastContainedLogTimestamp: now.milliseconds, kraftVersion: 1, voters: voters.record),
        now: now)
      try writer.finish()
    } catch { throw StartupError("\(folder): \(error)") }
  }

  /// The time as Java's properties files have it: `Sun Nov 22 09:51:15 UTC 2026`.
  static func date() -> String {
    var now = time_t(Clock.wallNow().milliseconds / 1_000)
    var parts = tm()
    localtime_r(&now, &parts)
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      guard let start = buffer.baseAddress else { return "" }
      let count = strftime(start, 64, "%a %b %d %H:%M:%S %Z %Y", &parts)
      return count == 0 ? "" : String(cString: start)
    }
  }
}

extension Voter {
  /// One of `--initial-controllers`: `id@host:port:directory`.
  public init(initialController text: String, listener: String) throws(StartupError) {
    func wrong(_ why: String) -> StartupError {
      StartupError("--initial-controllers: \(why) in '\(text)'; expected id@host:port:directory-id")
    }
    guard let at = text.firstIndex(of: "@"), let id = Int32(text[..<at]), id >= 0 else {
      throw wrong("no node id")
    }
    let rest = text[text.index(after: at)...]
    // From the end, as an address of version 6 has colons of its own.
    guard let last = rest.lastIndex(of: ":"), let directory = Uuid(rest[rest.index(after: last)...])
    else { throw wrong("no directory id") }
    let address = rest[..<last]
    guard let colon = address.lastIndex(of: ":"),
      let port = UInt16(address[address.index(after: colon)...])
    else { throw wrong("no port") }
    var host = address[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    guard !host.isEmpty else { throw wrong("no host") }
    self.init(
      ReplicaKey(BrokerID(id), directory: directory),
      endpoints: [Raft.Endpoint(listener: listener, host: String(host), port: port)])
  }
}
