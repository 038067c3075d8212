import Foundation
import KafkaClient
import KafkaMessages
import KafkaProtocol
import MetadataLog
import Platform
import Settings
import Values

/// `jackdaw metadata-quorum`: who votes in the metadata quorum, how far they are, and changes of
/// voters (KIP-836, KIP-853).
struct MetadataQuorumTool: Tool {
  let name = "metadata-quorum"
  let summary = "Describe the metadata quorum; add and remove controllers."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw metadata-quorum",
      summary: """
        The metadata quorum of a KRaft cluster: describe --status or --replication, add-controller \
        (with the new controller's properties as --command-config), remove-controller.
        """,
      flags: AdminSession.flags + [
        AdminSession.controllerFlag,
        .toggle("--status", "The quorum as a whole."),
        .toggle("--replication", aliases: ["--re"], "Every replica of the metadata log."),
        .toggle("--human-readable", "Times as how long ago they were."),
        .value("--controller-id", "ID", aliases: ["-i"], "The controller to remove."),
        .value("--controller-directory-id", "ID", aliases: ["-d"], "Its directory id."),
        .toggle("--dry-run", "Only tell what would be done."),
      ], operands: ["describe|add-controller|remove-controller"])
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    switch line.operands[0] {
    case "describe": try await describe(line, console)
    case "add-controller": try await add(line, console)
    case "remove-controller": try await remove(line, console)
    default:
      throw SettingsError(
        "must be describe, add-controller or remove-controller", value: line.operands[0])
    }
    return 0
  }

  // MARK: Describing

  private func describe(_ line: ParsedCommandLine, _ console: Console) async throws {
    guard line.has("--status") != line.has("--replication") else {
      throw SettingsError("needs one of --status and --replication", key: "describe")
    }
    let (clusterID, response) = try await AdminSession.with(line) { session in
      (
        try await session.clusterID(),
        try await session.admin.describeQuorum()
      )
    }
    guard let partition = response.topics.first?.partitions.first else {
      throw ToolFailure("the cluster has no metadata quorum")
    }
    try ErrorCode.check(partition.errorCode, partition.errorMessage, "__cluster_metadata-0")
    let report = QuorumReport(clusterID: clusterID, partition, response.nodes)
    if line.has("--status") {
      report.status.forEach(console.line)
    } else {
      let now = line.has("--human-readable") ? Clock.wallNow() : nil
      report.replication(relativeTo: now).forEach(console.line)
    }
  }

  // MARK: Voters

  private func add(_ line: ParsedCommandLine, _ console: Console) async throws {
    let file = try line.require("--command-config")
    guard let bytes = try FileSystem.readFile(file) else {
      throw SettingsError("\(file): no such file")
    }
    let config = try BrokerConfig(SettingSources(Properties(parsing: bytes, file: file)))
    let directory = config.quorum.metadataLogDirectory
    guard config.quorum.isController, let meta = try MetaProperties.read(directory),
      let directoryID = meta.directoryID
    else {
      throw ToolFailure(
        "\(file) is no formatted controller: process.roles must have controller, and "
          + "\(directory) must be formatted (jackdaw storage format)")
    }
    let listeners = config.network.advertisedControllerListeners
    let request = AddRaftVoterRequest {
      $0.clusterID = meta.clusterID
      $0.timeoutMs = 30_000
      $0.voterID = config.identity.brokerID.rawValue
      $0.voterDirectoryID = directoryID
      $0.listeners = listeners.map { listener in
        AddRaftVoterRequest.Listener {
          $0.name = listener.name
          $0.host = listener.host.isEmpty ? "localhost" : listener.host
          $0.port = listener.port
        }
      }
    }
    if !line.has("--dry-run") {
      // The file is the controller's, not a client's: only the address comes from the command line.
      let admin = try AdminClient(try AdminSession.bootstrapProperties(line))
      do {
        try await admin.addRaftVoter(request)
      } catch {
        await admin.close()
        throw error
      }
      await admin.close()
    }
    let endpoints = request.listeners.map { "\($0.name)://\($0.host):\($0.port)" }
    console.line(
      "\(line.has("--dry-run") ? "DRY RUN of adding" : "Added") controller \(request.voterID) with "
        + "directory id \(directoryID) and endpoints: \(endpoints.joined(separator: ","))")
  }

  private func remove(_ line: ParsedCommandLine, _ console: Console) async throws {
    guard let id = try line.integer("--controller-id", in: 0...Int(Int32.max)) else {
      throw SettingsError("missing", key: "--controller-id")
    }
    let text = try line.require("--controller-directory-id")
    guard let directoryID = Uuid(text) else {
      throw SettingsError("is no directory id", key: "--controller-directory-id", value: text)
    }
    if !line.has("--dry-run") {
      try await AdminSession.with(line) { session in
        try await session.admin.removeRaftVoter(
          RemoveRaftVoterRequest {
            $0.clusterID = nil
            $0.voterID = Int32(id)
            $0.voterDirectoryID = directoryID
          })
      }
    }
    console.line(
      "\(line.has("--dry-run") ? "DRY RUN of removing" : "Removed") KRaft controller \(id) with "
        + "directory id \(directoryID)")
  }
}
