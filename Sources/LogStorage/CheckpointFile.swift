import Platform
import Values

/// Kafka's small text files: a version (0), the number of rows, then the rows.
enum CheckpointFile {
  /// The rows' fields; nil if there is no file. Throws when it is not what it should be.
  static func read(_ path: String, fields: Int) throws -> [[Substring]]? {
    guard let bytes = try FileSystem.readFile(path) else { return nil }
    let text = String(decoding: bytes, as: UTF8.self)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: true)
    if lines.isEmpty { return [] }
    guard lines[0] == "0", lines.count >= 2, let count = Int(lines[1]), count == lines.count - 2
    else { throw LogError.corrupt("\(path): not a checkpoint of version 0") }
    return try lines.dropFirst(2).map { line in
      let parts = line.split(separator: " ")
      guard parts.count == fields else { throw LogError.corrupt("\(path): \(line)") }
      return parts
    }
  }

  /// Replaces the file at once.
  static func write(_ path: String, rows: [String]) throws(SystemError) {
    var text = "0\n\(rows.count)\n"
    for row in rows { text += row + "\n" }
    try FileSystem.replaceFile(path, with: Array(text.utf8))
  }
}

/// A checkpoint of one offset for each partition: recovery points, high watermarks, log starts and
/// what the cleaner has done, of one log directory.
public struct OffsetCheckpoint: Sendable {
  public let path: String

  public init(path: String) { self.path = path }

  /// Empty if there is no file.
  public func read() throws(LogError) -> [TopicPartition: Offset] {
    try LogError.mapping {
      var offsets: [TopicPartition: Offset] = [:]
      for row in try CheckpointFile.read(path, fields: 3) ?? [] {
        guard let partition = Int32(row[1]), let offset = Offset(row[2]) else {
          throw LogError.corrupt("\(path): \(row.joined(separator: " "))")
        }
        offsets[TopicPartition(String(row[0]), partition)] = offset
      }
      return offsets
    }
  }

  public func write(_ offsets: [TopicPartition: Offset]) throws(LogError) {
    try LogError.mapping {
      let rows = offsets.sorted { $0.key < $1.key }
        .map { "\($0.key.topic) \($0.key.partition) \($0.value)" }
      try CheckpointFile.write(path, rows: rows)
    }
  }
}
