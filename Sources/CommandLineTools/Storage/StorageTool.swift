import Cryptography
import KafkaRecords
import Metadata
import MetadataLog
import Platform
import Raft
import Settings
import Values

/// `jackdaw storage`: formats the directories of KRaft nodes, and tells how they stand.
struct StorageTool: Tool {
  let name = "storage"
  let summary = "Format the directories of a KRaft node."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw storage",
      summary: "Directories of a KRaft node: random-uuid, format, info.",
      flags: [
        .value("--config", "FILE", aliases: ["-c"], "The node's server.properties."),
        .value("--cluster-id", "ID", aliases: ["-t"], "The cluster's id, from random-uuid."),
        .value("--add-scram", "SPEC", aliases: ["-S"], repeatable: true,
          "A credential: SCRAM-SHA-256=[name=alice,password=secret]."),
        .toggle("--ignore-formatted", aliases: ["-g"], "Leave formatted directories as they are."),
        .value(
          "--release-version", "VERSION", aliases: ["-r"], "The level to begin with: 3.9-IV0."),
        .value("--feature", "NAME=LEVEL", aliases: ["-f"], repeatable: true, "A feature's level."),
        .toggle("--standalone", aliases: ["-s"], "This node is the only first voter."),
        .toggle(
          "--no-initial-controllers", aliases: ["-N"], "The node joins voters that are there."),
        .value(
          "--initial-controllers", "id@host:port:directory-id,…", aliases: ["-I"],
          "The first voters."),
      ], operands: ["random-uuid|format|info"])
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    switch line.operands[0] {
    case "random-uuid":
      var random = SystemRandom()
      console.line("\(Uuid.random(using: &random))")
      return 0
    case "format":
      try format(line, console)
      return 0
    case "info": return try info(line, console)
    default:
      throw SettingsError("must be random-uuid, format or info", value: line.operands[0])
    }
  }

  private func config(_ line: ParsedCommandLine) throws -> BrokerConfig {
    let file = try line.require("--config")
    guard let bytes = try FileSystem.readFile(file) else {
      throw SettingsError("\(file): no such file")
    }
    var sources = SettingSources(try Properties(parsing: bytes, file: file))
    sources.apply(environment: ProcessInformation.environment)
    return try BrokerConfig(sources)
  }

  // MARK: Formatting

  private func format(_ line: ParsedCommandLine, _ console: Console) throws {
    let config = try config(line)
    guard config.quorum.isBroker || config.quorum.isController else {
      throw ToolFailure(
        "The kafka configuration file appears to be for a legacy cluster. Formatting is only "
          + "supported for clusters in KRaft mode.")
    }
    var formatter = StorageFormatter(
      clusterID: try line.require("--cluster-id"), nodeID: config.identity.brokerID,
      directories: config.log.directories,
      metadataDirectory: config.quorum.metadataLogDirectory)
    formatter.ignoresFormatted = line.has("--ignore-formatted")
    formatter.level = try StorageFeatures.level(
      line, isUnstableAllowed: config.quorum.supportsUnstableFeatures)
    try setQuorum(line, config, &formatter)
    try StorageFeatures.checkKRaftVersion(line, isDynamic: formatter.isDynamic, formatter.level)
    let scram = line.all("--add-scram")
    guard scram.isEmpty || formatter.level.hasScram else {
      throw ToolFailure("SCRAM is only supported in metadata.version 3.5-IV2 or later.")
    }
    formatter.records = try scram.map { .userScramCredential(try ScramArgument($0).record) }
    try formatter.run(console.line)
  }

  private func setQuorum(
    _ line: ParsedCommandLine, _ config: BrokerConfig, _ formatter: inout StorageFormatter
  ) throws {
    let ways = ["--standalone", "--initial-controllers", "--no-initial-controllers"]
    let given = ways.filter(line.has)
    guard given.count <= 1 else {
      throw ToolFailure("only one of \(ways.joined(separator: ", ")) can be given")
    }
    guard let way = given.first else {
      guard !config.quorum.voters.isEmpty || !config.quorum.isController else {
        throw ToolFailure(
          "Because controller.quorum.voters is not set on this controller, you must specify one "
            + "of the following: --standalone, --initial-controllers, or --no-initial-controllers.")
      }
      return
    }
    guard config.quorum.voters.isEmpty else {
      throw ToolFailure(
        "You cannot specify controller.quorum.voters and format the node with \(way). If you want "
          + "to use a dynamic quorum, remove controller.quorum.voters and specify "
          + "controller.quorum.bootstrap.servers instead.")
    }
    let listener = config.quorum.controllerListenerNames.first ?? "CONTROLLER"
    switch way {
    case "--standalone": try standalone(config, listener, &formatter)
    case "--initial-controllers": try initial(line, config, listener, &formatter)
    default: formatter.quorum = .joining
    }
  }

  private func standalone(
    _ config: BrokerConfig, _ listener: String, _ formatter: inout StorageFormatter
  ) throws {
    guard config.quorum.isController,
      let own = config.network.advertisedControllerListeners.first(where: { $0.name == listener })
    else { throw ToolFailure("You can only use --standalone on a controller.") }
    var random = SystemRandom()
    let directory = Uuid.random(using: &random)
    formatter.directoryIDs[formatter.metadataDirectory] = directory
    formatter.quorum = .voters(
      VoterSet([
        Voter(
          ReplicaKey(formatter.nodeID, directory: directory),
          endpoints: [
            Raft.Endpoint(
              listener: listener, host: own.host.isEmpty ? "localhost" : own.host, port: own.port)
          ])
      ]))
  }

  private func initial(
    _ line: ParsedCommandLine, _ config: BrokerConfig, _ listener: String,
    _ formatter: inout StorageFormatter
  ) throws {
    let voters = try line.require("--initial-controllers").split(separator: ",").map {
      try Voter(initialController: String($0), listener: listener)
    }
    guard !voters.isEmpty, Set(voters.map(\.key.id)).count == voters.count else {
      throw ToolFailure("--initial-controllers: no controller, or one that is named twice")
    }
    let set = VoterSet(voters)
    if let own = set[formatter.nodeID] {
      formatter.directoryIDs[formatter.metadataDirectory] = own.key.directory
    }
    formatter.quorum = .voters(set)
  }

  // MARK: Info

  private func info(_ line: ParsedCommandLine, _ console: Console) throws -> Int32 {
    let config = try config(line)
    var directories = Set(config.log.directories)
    if config.quorum.isBroker || config.quorum.isController {
      directories.insert(config.quorum.metadataLogDirectory)
    }
    var report = StorageReport(isKRaft: !config.identity.processRoles.isEmpty)
    for directory in directories.sorted() { report.look(at: directory) }
    report.print(console.line)
    return report.problems.isEmpty ? 0 : 1
  }
}

extension StorageFormatter {
  /// Whether voters are kept in the log: kraft.version 1.
  var isDynamic: Bool {
    if case .fixed = quorum { return false }
    return true
  }
}

/// The levels that a cluster begins with.
enum StorageFeatures {
  /// metadata.version, from `--release-version` or `--feature`; by default the latest.
  ///
  /// - Parameter isUnstableAllowed: `unstable.feature.versions.enable` of the node.
  static func level(
    _ line: ParsedCommandLine, isUnstableAllowed: Bool
  ) throws -> Metadata.MetadataVersion {
    let features = try features(line)
    if let name = line.value("--release-version") {
      guard features[Metadata.MetadataVersion.featureName] == nil else {
        throw ToolFailure("Use --release-version or --feature metadata.version, not both.")
      }
      guard let level = Metadata.MetadataVersion(name: name) else {
        throw ToolFailure("Unknown release version '\(name)'.")
      }
      return try check(level, isUnstableAllowed)
    }
    guard let number = features[Metadata.MetadataVersion.featureName] else {
      return .latest(isUnstableAllowed: isUnstableAllowed)
    }
    return try check(Metadata.MetadataVersion(number), isUnstableAllowed)
  }

  private static func check(
    _ level: Metadata.MetadataVersion, _ isUnstableAllowed: Bool
  ) throws -> Metadata.MetadataVersion {
    let lowest = Metadata.MetadataVersion.minimumBootstrap
    let highest = Metadata.MetadataVersion.latest(isUnstableAllowed: isUnstableAllowed)
    if level.isKnown, level > highest {
      throw ToolFailure("metadata.version \(level.name) is not yet stable.")
    }
    guard level >= lowest, level <= highest else {
      throw ToolFailure(
        "metadata.version \(level.name) is not supported; a cluster can begin with "
          + "\(lowest.name) to \(highest.name).")
    }
    return level
  }

  /// kraft.version follows from how the voters are given; it can only be confirmed.
  static func checkKRaftVersion(
    _ line: ParsedCommandLine, isDynamic: Bool, _ level: Metadata.MetadataVersion
  ) throws {
    let flags = "--standalone, --initial-controllers, or --no-initial-controllers"
    if let asked = try features(line)["kraft.version"], asked != (isDynamic ? 1 : 0) {
      throw ToolFailure(
        asked == 0
          ? "Cannot set kraft.version to 0 if one of the flags \(flags) is used."
          : "Cannot set kraft.version to \(asked) unless one of the flags \(flags) is used.")
    }
    if isDynamic, level < .latestProduction {
      throw ToolFailure("kraft.version could not be set to 1 because it depends on "
        + "metadata.version level \(Metadata.MetadataVersion.latestProduction.rawValue)")
    }
  }

  private static func features(_ line: ParsedCommandLine) throws -> [String: Int16] {
    var found: [String: Int16] = [:]
    for (name, text) in try line.pairs("--feature") {
      guard ["metadata.version", "kraft.version"].contains(name) else {
        throw ToolFailure(
          "Unsupported feature: \(name). Supported features are: kraft.version, metadata.version")
      }
      guard let level = Int16(text), level >= 0 else {
        throw SettingsError("expected NAME=LEVEL", key: "--feature", value: "\(name)=\(text)")
      }
      found[name] = level
    }
    return found
  }
}
