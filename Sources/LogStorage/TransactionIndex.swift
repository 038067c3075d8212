import Bytes
import Platform
import Values

/// A transaction whose records readers of committed data must skip.
public struct AbortedTransaction: Equatable, Sendable {
  public var producerID: Int64
  public var firstOffset: Offset
  /// The offset of the abort marker.
  public var lastOffset: Offset
  /// The last stable offset when the marker was written: later entries concern later reads only.
  public var lastStableOffset: Offset
}

/// `.txnindex`: the aborted transactions whose markers are in a segment, in the order of the
/// markers; 34 bytes each, after an int16 version of 0. The file exists only when there is one.
final class TransactionIndex {
  static let entrySize = 34
  private(set) var path: String
  private(set) var entries: [AbortedTransaction] = []

  /// Reads the index; none is an empty one. Aborted transactions are few, and kept in memory.
  init(path: String) throws {
    self.path = path
    guard let bytes = try FileSystem.readFile(path) else { return }
    entries = try Self.decode(bytes)
  }

  /// Throws `corrupt` for a size or a version that cannot be.
  static func decode(_ bytes: [UInt8]) throws(LogError) -> [AbortedTransaction] {
    guard bytes.count % entrySize == 0 else {
      throw .corrupt("a transaction index of \(bytes.count) bytes")
    }
    var entries: [AbortedTransaction] = []
    var reader = ByteReader(bytes.span.bytes)
    do {
      while !reader.isAtEnd {
        let version = try reader.readInt16()
        guard version == 0 else { throw LogError.corrupt("transaction index version \(version)") }
        entries.append(
          AbortedTransaction(
            producerID: try reader.readInt64(), firstOffset: try reader.readInt64(),
            lastOffset: try reader.readInt64(), lastStableOffset: try reader.readInt64()))
      }
    } catch { throw LogError(error) }
    return entries
  }

  private static func encode(_ entries: [AbortedTransaction]) -> [UInt8] {
    var writer = ByteWriter()
    for entry in entries {
      writer.writeInt16(0)
      writer.writeInt64(entry.producerID)
      writer.writeInt64(entry.firstOffset)
      writer.writeInt64(entry.lastOffset)
      writer.writeInt64(entry.lastStableOffset)
    }
    return writer.array()
  }

  /// Adds a transaction; the file is made for the first one.
  func append(_ entry: AbortedTransaction) throws(SystemError) {
    let file = try File(path, [.read, .write, .create])
    try file.write(Self.encode([entry]), at: Int64(entries.count * Self.entrySize))
    entries.append(entry)
  }

  /// Forgets transactions that ended at `offset` or behind it.
  func truncate(to offset: Offset) throws(SystemError) {
    let kept = entries.prefix { $0.lastOffset < offset }
    guard kept.count < entries.count else { return }
    let file = try File(path, [.read, .write])
    try file.truncate(to: Int64(kept.count * Self.entrySize))
    entries = Array(kept)
  }

  /// Forgets everything, before the segment is read again.
  func reset() throws(SystemError) {
    entries = []
    try FileSystem.removeFile(path)
  }

  func sync() throws(SystemError) {
    guard !entries.isEmpty else { return }
    try File(path, [.read, .write]).syncData()
  }

  func rename(to newPath: String) throws(SystemError) {
    guard newPath != path else { return }
    if FileSystem.exists(path) { try FileSystem.rename(path, to: newPath) }
    path = newPath
  }

  /// The file was renamed from outside, as when its directory moves.
  func moved(to newPath: String) { path = newPath }

  /// Adds what concerns a read of the offsets in `range`.
  /// - Returns: true when no later segment can have more.
  func collect(
    _ range: Range<Offset>, into found: inout [AbortedTransaction]
  ) -> Bool {
    for entry in entries {
      if entry.lastOffset >= range.lowerBound, entry.firstOffset < range.upperBound {
        found.append(entry)
      }
      if entry.lastStableOffset >= range.upperBound { return true }
    }
    return false
  }
}
