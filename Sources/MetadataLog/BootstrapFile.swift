/// `bootstrap.checkpoint` in a formatted directory: what the first active controller writes into an
/// empty log (KIP-778): the feature levels and, with `format --add-scram`, credentials.
import KafkaRecords
import Metadata
import Platform
import Values

public enum BootstrapFile {
  public static let name = "bootstrap.checkpoint"
  public static func path(_ directory: String) -> String { "\(directory)/\(name)" }

  /// Nil when there is none.
  public static func read(_ directory: String) throws(StartupError) -> [VersionedRecord]? {
    guard FileSystem.exists(path(directory)) else { return nil }
    var records: [VersionedRecord] = []
    for batch in try SnapshotFile.readWhole(path(directory)) {
      if case .records(let some) = batch.content { records += some }
    }
    return records
  }

  public static func write(
    _ records: [VersionedRecord], to directory: String, now: WallTime
  ) throws(StartupError) {
    do throws(SystemError) {
      var writer = try SnapshotWriter(
        path: path(directory), epoch: 0,
        preamble: SnapshotPreamble(lastContainedLogTimestamp: 0), now: now)
      try writer.append(records)
      try writer.finish()
    } catch { throw StartupError("\(path(directory)): \(error)") }
  }
}
