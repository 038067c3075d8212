import Platform
import Values

/// Which leader epoch began at which offset (KIP-101); in `leader-epoch-checkpoint`.
///
/// Epochs and offsets both rise. What the cache answers lets a follower find where its log leaves
/// the leader's.
public struct LeaderEpochCache: Sendable {
  public struct Entry: Equatable, Sendable {
    public var epoch: LeaderEpoch
    public var startOffset: Offset
  }

  public private(set) var entries: [Entry] = []
  /// Nil: not kept in a file.
  private var path: String?

  init(path: String?) throws {
    self.path = path
    guard let path, let rows = try CheckpointFile.read(path, fields: 2) else { return }
    for row in rows {
      guard let epoch = Int32(row[0]), let offset = Offset(row[1]) else {
        throw LogError.corrupt("\(path): \(row.joined(separator: " "))")
      }
      insert(Entry(epoch: LeaderEpoch(epoch), startOffset: offset))
    }
  }

  public var latest: Entry? { entries.last }

  /// Whether `entry` says anything new.
  private func isKnown(_ entry: Entry) -> Bool {
    guard let last = entries.last else { return false }
    return last.epoch == entry.epoch && entry.startOffset >= last.startOffset
  }

  /// Adds an entry, dropping those it contradicts: with its epoch or a later one, or at its offset
  /// or behind it.
  private mutating func insert(_ entry: Entry) {
    while let last = entries.last,
      last.epoch >= entry.epoch || last.startOffset >= entry.startOffset
    { entries.removeLast() }
    entries.append(entry)
  }

  /// Notes that a batch of `epoch` begins at `offset`. Writes the file when that is news.
  mutating func assign(_ epoch: LeaderEpoch, at offset: Offset) throws(SystemError) {
    let entry = Entry(epoch: epoch, startOffset: offset)
    guard epoch.rawValue >= 0, offset >= 0, !isKnown(entry) else { return }
    insert(entry)
    try save()
  }

  /// The end of an epoch: the largest epoch known that is not above the one asked for, and the
  /// offset where the next one begins (or the log's end). Nil when the epoch lies beyond all known.
  public func end(
    of epoch: LeaderEpoch, logEndOffset: Offset
  ) -> (epoch: LeaderEpoch, offset: Offset)? {
    guard epoch.rawValue >= 0, let last = entries.last else { return nil }
    if epoch == last.epoch { return (epoch, logEndOffset) }
    guard let higher = entries.first(where: { $0.epoch > epoch }) else { return nil }
    let floor = entries.last(where: { $0.epoch <= epoch })
    return (floor?.epoch ?? epoch, higher.startOffset)
  }

  /// The epoch of the record at `offset`, as far as it is known.
  public func epoch(at offset: Offset) -> LeaderEpoch? {
    entries.last(where: { $0.startOffset <= offset })?.epoch
  }

  /// Forgets epochs that began at `offset` or behind it, as the log was cut there.
  mutating func truncate(fromEnd offset: Offset) throws(SystemError) {
    guard let last = entries.last, last.startOffset >= offset else { return }
    entries.removeAll { $0.startOffset >= offset }
    try save()
  }

  /// Forgets epochs that ended before `offset`; the one that covers it then begins there.
  mutating func truncate(fromStart offset: Offset) throws(SystemError) {
    guard let covering = entries.lastIndex(where: { $0.startOffset <= offset }),
      covering > 0 || entries[covering].startOffset < offset
    else { return }
    entries[covering].startOffset = offset
    entries.removeFirst(covering)
    try save()
  }

  mutating func clear() throws(SystemError) {
    guard !entries.isEmpty else { return }
    entries = []
    try save()
  }

  mutating func move(to path: String?) { self.path = path }

  private func save() throws(SystemError) {
    guard let path else { return }
    try CheckpointFile.write(
      path, rows: entries.map { "\($0.epoch.rawValue) \($0.startOffset)" })
  }
}
