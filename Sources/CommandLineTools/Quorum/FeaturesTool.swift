import KafkaClient
import KafkaMessages
import KafkaProtocol
import Metadata
import Settings
import Values

/// `jackdaw features`: the levels that a KRaft cluster has settled on, and changes of them
/// (KIP-584).
struct FeaturesTool: Tool {
  let name = "features"
  let summary = "Describe, upgrade and downgrade feature levels."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw features",
      summary: "Feature levels of a KRaft cluster: describe, upgrade, downgrade, disable.",
      flags: AdminSession.flags + [
        AdminSession.controllerFlag,
        .value("--feature", "NAME=LEVEL", repeatable: true, "A level; for disable only the name."),
        .value("--metadata", "VERSION", "The level of metadata.version, as 3.9-IV0."),
        .value("--release-version", "VERSION", "The levels of a release: as --metadata."),
        .toggle("--unsafe", "Downgrade although metadata may be lost."),
        .toggle("--dry-run", "Only let the controller check it."),
      ], operands: ["describe|upgrade|downgrade|disable"])
  }

  private enum Change: String {
    case upgrade, downgrade, disable

    /// As in UpdateFeatures.
    func type(isUnsafe: Bool) -> Int8 { self == .upgrade ? 1 : isUnsafe ? 3 : 2 }
    var past: String { self == .disable ? "disabled" : "\(rawValue)d" }
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    if line.operands[0] == "describe" {
      try await describe(line, console)
      return 0
    }
    guard let change = Change(rawValue: line.operands[0]) else {
      throw SettingsError(
        "must be describe, upgrade, downgrade or disable", value: line.operands[0])
    }
    return try await apply(change, line, console)
  }

  private func describe(_ line: ParsedCommandLine, _ console: Console) async throws {
    let response = try await AdminSession.with(line) { session in
      guard let node = try await session.admin.describeCluster().sortedNodes.first else {
        throw ToolFailure("the cluster has no nodes")
      }
      return try await session.admin.apiVersions(of: node.id)
    }
    let epoch =
      response.finalizedFeaturesEpoch < 0 ? "-" : "\(response.finalizedFeaturesEpoch)"
    for feature in response.supportedFeatures.sorted(by: { $0.name < $1.name }) {
      let level =
        response.finalizedFeatures.first { $0.name == feature.name }?.maxVersionLevel ?? 0
      console.line(
        [
          "Feature: \(feature.name)",
          "SupportedMinVersion: \(Self.text(feature.minVersion, of: feature.name))",
          "SupportedMaxVersion: \(Self.text(feature.maxVersion, of: feature.name))",
          "FinalizedVersionLevel: \(Self.text(level, of: feature.name))", "Epoch: \(epoch)",
        ].joined(separator: "\t"))
    }
  }

  /// Levels of metadata.version go by their names.
  private static func text(_ level: Int16, of feature: String) -> String {
    feature == "metadata.version" ? Metadata.MetadataVersion(level).name : "\(level)"
  }

  // MARK: Changing

  private func apply(
    _ change: Change, _ line: ParsedCommandLine, _ console: Console
  ) async throws -> Int32 {
    let wanted = try levels(change, line)
    guard !wanted.isEmpty else {
      throw SettingsError("needs --feature or --metadata", key: change.rawValue)
    }
    let updates = wanted.map { name, level in
      UpdateFeaturesRequest.FeatureUpdateKey {
        $0.feature = name
        $0.maxVersionLevel = level
        $0.upgradeType = change.type(isUnsafe: line.has("--unsafe"))
        $0.allowDowngrade = change != .upgrade
      }
    }
    let isDryRun = line.has("--dry-run")
    let results = try await AdminSession.with(line) { session in
      try await session.admin.updateFeatures(updates, validateOnly: isDryRun)
    }
    var failures = 0
    for (name, level) in wanted {
      switch results[name] {
      case .success?:
        console.line(
          change == .disable
            ? "\(name) \(isDryRun ? "can be" : "was") disabled."
            : "\(name) \(isDryRun ? "can be" : "was") \(change.past) to \(level).")
      case .failure(let error)?:
        failures += 1
        console.line("Could not \(change.rawValue) \(name) to \(level). \(error)")
      case nil: failures += 1
      }
    }
    if failures > 0 {
      console.problem("\(failures) out of \(wanted.count) operation(s) failed.")
    }
    return failures == 0 ? 0 : 1
  }

  private func levels(
    _ change: Change, _ line: ParsedCommandLine
  ) throws -> [(name: String, level: Int16)] {
    var levels: [(name: String, level: Int16)] = []
    if let text = line.value("--metadata") ?? line.value("--release-version") {
      // The levels that are not for production are no `inter.broker.protocol.version`.
      let level =
        Settings.MetadataVersion(text)?.featureLevel
        ?? Metadata.MetadataVersion(name: text)?.rawValue
      guard let level else {
        throw SettingsError("is no metadata.version of KRaft", key: "--metadata", value: text)
      }
      levels.append(("metadata.version", level))
    }
    for text in line.all("--feature") {
      let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
      if change == .disable, parts.count == 1 {
        levels.append((parts[0], 0))
        continue
      }
      guard parts.count == 2, change != .disable, let level = Int16(parts[1]) else {
        throw SettingsError(
          change == .disable ? "must be a name" : "must be NAME=LEVEL", key: "--feature",
          value: text)
      }
      levels.append((parts[0], level))
    }
    return levels
  }
}
