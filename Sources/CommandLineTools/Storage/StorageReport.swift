import MetadataLog
import Platform
import Values

/// What `storage info` finds out, and its lines, which are those of Kafka's tool.
struct StorageReport {
  let isKRaft: Bool
  private(set) var found: [String] = []
  private(set) var problems: [String] = []
  private var first: MetaProperties?

  init(isKRaft: Bool) { self.isKRaft = isKRaft }

  mutating func look(at directory: String) {
    let status: FileSystem.Status?
    do throws(SystemError) { status = try FileSystem.status(directory) } catch {
      problems.append("\(directory): \(error)")
      return
    }
    guard let status else { return problems.append("\(directory) does not exist") }
    guard status.kind == .directory else {
      return problems.append("\(directory) is not a directory")
    }
    found.append(directory)
    do throws(StartupError) {
      guard let meta = try MetaProperties.read(directory) else {
        return problems.append("\(directory) is not formatted.")
      }
      compare(meta)
    } catch {
      problems.append("Error loading \(error)")
    }
  }

  private mutating func compare(_ meta: MetaProperties) {
    guard let first else {
      self.first = meta
      if isKRaft, meta.version == 0 {
        problems.append(
          "The kafka configuration file appears to be for a cluster in KRaft mode, but the "
            + "directories are formatted for legacy mode.")
      } else if !isKRaft, meta.version == 1 {
        problems.append(
          "The kafka configuration file appears to be for a legacy cluster, but the directories "
            + "are formatted for a cluster in KRaft mode.")
      }
      return
    }
    if first.clusterID != meta.clusterID {
      problems.append("Mismatched cluster IDs between storage directories.")
    } else if first.nodeID != meta.nodeID {
      problems.append("Mismatched node IDs between storage directories.")
    }
  }

  func print(_ line: (String) -> Void) {
    if !found.isEmpty {
      line(found.count == 1 ? "Found log directory:" : "Found log directories:")
      for directory in found { line("  \(directory)") }
      line("")
    }
    if let first {
      line("Found metadata: \(Self.text(first))")
      line("")
    }
    guard !problems.isEmpty else { return }
    line(problems.count == 1 ? "Found problem:" : "Found problems:")
    for problem in problems { line("  \(problem)") }
    line("")
  }

  private static func text(_ meta: MetaProperties) -> String {
    var parts = ["version=\(meta.version)"]
    if let id = meta.clusterID { parts.append("clusterId=\(id)") }
    if let id = meta.nodeID { parts.append("nodeId=\(id.rawValue)") }
    if let id = meta.directoryID { parts.append("directoryId=\(id)") }
    return "MetaProperties(\(parts.joined(separator: ", ")))"
  }
}
