import Values

// What the machine knows of the log: where it begins and ends, in which epochs, what of it is
// durable, which snapshots there are, and which voters its records name. It holds no records.

/// A voters record and its offset; -1 for one of the bootstrap snapshot, which stands before the
/// first record.
public struct VotersEntry: Hashable, Sendable {
  public var offset: Offset
  public var voters: VoterSet

  public init(offset: Offset, voters: VoterSet) {
    self.offset = offset
    self.voters = voters
  }
}

/// A kraft.version record and its offset.
public struct KRaftVersionEntry: Hashable, Sendable {
  public var offset: Offset
  public var level: Int16

  public init(offset: Offset, level: Int16) {
    self.offset = offset
    self.level = level
  }
}

/// Where the records of an epoch begin.
public struct EpochStart: Hashable, Sendable {
  public var epoch: LeaderEpoch
  public var startOffset: Offset

  public init(epoch: LeaderEpoch, startOffset: Offset) {
    self.epoch = epoch
    self.startOffset = startOffset
  }
}

/// A replica's log, as far as the protocol is concerned.
public struct RaftLog: Hashable, Sendable {
  public private(set) var startOffset: Offset
  /// Behind the last record written, or about to be by an effect already given.
  public private(set) var endOffset: Offset
  /// Everything below survives a crash.
  public private(set) var durableEnd: Offset
  /// Behind the last record that others may read: a leader's newest appends linger first.
  public private(set) var drainedEnd: Offset
  /// Ascending in both.
  public private(set) var epochs: [EpochStart]
  /// Ascending.
  public private(set) var snapshots: [Snapshot]
  public private(set) var votersEntries: [VotersEntry]
  public private(set) var kraftVersionEntries: [KRaftVersionEntry]

  /// The bootstrap snapshot, which `storage format` writes; it is never sent to others.
  public static let bootstrapSnapshot = SnapshotID(offset: 0, epoch: LeaderEpoch(0))

  /// A log as found on disk and synced. Entries of a snapshot have the offset of the last record
  /// that it stands for (its end offset less one).
  public init(
    startOffset: Offset = 0, endOffset: Offset = 0, epochs: [EpochStart] = [],
    snapshots: [Snapshot] = [], votersEntries: [VotersEntry] = [],
    kraftVersionEntries: [KRaftVersionEntry] = []
  ) {
    self.startOffset = startOffset
    self.endOffset = endOffset
    durableEnd = endOffset
    drainedEnd = endOffset
    self.epochs = epochs
    self.snapshots = snapshots.sorted { $0.id < $1.id }
    self.votersEntries = votersEntries
    self.kraftVersionEntries = kraftVersionEntries
  }

  // MARK: Questions

  /// The epoch of the last record; that of the snapshot when the log is empty behind one, else 0.
  public var lastEpoch: LeaderEpoch {
    if let last = epochs.last { return last.epoch }
    if let snapshot = snapshots.last?.id, snapshot.offset == endOffset { return snapshot.epoch }
    return LeaderEpoch(0)
  }

  /// What this replica says of its log when it asks for a vote, or is asked for one.
  public var end: OffsetAndEpoch { OffsetAndEpoch(offset: endOffset, epoch: lastEpoch) }

  public var lastVoters: VotersEntry? { votersEntries.last }
  public var kraftVersion: Int16 { kraftVersionEntries.last?.level ?? 0 }

  public var latestSnapshot: Snapshot? { snapshots.last }

  /// The voters record in force just below an offset, for the header of a snapshot.
  public func voters(below offset: Offset) -> VoterSet? {
    votersEntries.last { $0.offset < offset }?.voters
  }

  /// The level in force just below an offset.
  public func kraftVersion(below offset: Offset) -> Int16 {
    kraftVersionEntries.last { $0.offset < offset }?.level ?? 0
  }

  public func snapshot(_ id: SnapshotID) -> Snapshot? { snapshots.first { $0.id == id } }

  /// Where the records of `epoch` end, or those of the greatest epoch below it that the log has.
  func end(of epoch: LeaderEpoch) -> OffsetAndEpoch {
    guard let last = epochs.last, epoch <= last.epoch else {
      // Newer than everything here: the whole log is older.
      return OffsetAndEpoch(offset: drainedEnd, epoch: lastEpoch)
    }
    if epoch == last.epoch { return OffsetAndEpoch(offset: drainedEnd, epoch: epoch) }
    let next = epochs.first { $0.epoch > epoch }?.startOffset ?? drainedEnd
    let floor = epochs.last { $0.epoch <= epoch }?.epoch ?? epoch
    // What lies before the log's start is in the oldest snapshot, with its epoch.
    if floor == epoch, let oldest = snapshots.first?.id, next == oldest.offset { return oldest }
    return OffsetAndEpoch(offset: next, epoch: floor)
  }

  /// What a leader makes of a fetcher's position.
  enum Position: Hashable {
    case valid
    case diverging(OffsetAndEpoch)
    case snapshot(SnapshotID)
  }

  /// - Parameters:
  ///   - offset: where the fetcher wants to read on.
  ///   - epoch: of its record before that; 0 if it has none.
  func position(of offset: Offset, epoch: LeaderEpoch) -> Position {
    // An empty follower is better off with a snapshot, even if the records are still there.
    if offset == 0, let latest = latestSnapshot?.id, latest != Self.bootstrapSnapshot {
      return .snapshot(latest)
    }
    if startOffset == 0, offset == 0 { return .valid }
    if let oldest = snapshots.first?.id, let latest = latestSnapshot?.id,
      offset < startOffset || (offset == startOffset && epoch != oldest.epoch)
        || epoch < oldest.epoch
    {
      return .snapshot(latest)
    }
    let end = end(of: epoch)
    return end.epoch != epoch || end.offset < offset ? .diverging(end) : .valid
  }

  // MARK: Changes

  mutating func append(_ count: Int, epoch: LeaderEpoch) {
    noteEpoch(epoch, at: endOffset)
    endOffset += Offset(count)
  }

  mutating func append(_ batch: FetchedBatch) {
    noteEpoch(batch.epoch, at: batch.baseOffset)
    endOffset = batch.lastOffset + 1
    drainedEnd = endOffset
    if let entry = batch.kraftVersion { kraftVersionEntries.append(entry) }
    if let entry = batch.voters { votersEntries.append(entry) }
  }

  mutating func noteVoters(_ voters: VoterSet, at offset: Offset) {
    votersEntries.append(VotersEntry(offset: offset, voters: voters))
  }

  mutating func noteKRaftVersion(_ level: Int16, at offset: Offset) {
    kraftVersionEntries.append(KRaftVersionEntry(offset: offset, level: level))
  }

  private mutating func noteEpoch(_ epoch: LeaderEpoch, at offset: Offset) {
    if let last = epochs.last, last.epoch >= epoch { return }
    epochs.append(EpochStart(epoch: epoch, startOffset: offset))
  }

  mutating func drain() { drainedEnd = endOffset }

  mutating func flushed(upTo offset: Offset) {
    durableEnd = max(durableEnd, min(offset, endOffset))
  }

  /// Where a follower has to cut when its leader says that `leaderEnd` is the end of an epoch
  /// there.
  func truncationPoint(for leaderEnd: OffsetAndEpoch) -> Offset {
    if leaderEnd.epoch == LeaderEpoch(0) { return min(leaderEnd.offset, endOffset) }
    let own = end(of: leaderEnd.epoch)
    return own.epoch == leaderEnd.epoch ? min(own.offset, leaderEnd.offset) : own.offset
  }

  mutating func truncate(to end: Offset) {
    guard end < endOffset else { return }
    endOffset = end
    durableEnd = min(durableEnd, end)
    drainedEnd = min(drainedEnd, end)
    epochs.removeAll { $0.startOffset >= end }
    votersEntries.removeAll { $0.offset >= end }
    kraftVersionEntries.removeAll { $0.offset >= end }
  }

  mutating func add(_ snapshot: Snapshot) {
    guard self.snapshot(snapshot.id) == nil else { return }
    snapshots.append(snapshot)
    snapshots.sort { $0.id < $1.id }
  }

  mutating func raiseStart(to offset: Offset) {
    guard offset > startOffset else { return }
    startOffset = offset
    snapshots.removeAll { $0.id.offset < offset }
    // The epoch in which the log now starts keeps its place in the table.
    if let first = epochs.lastIndex(where: { $0.startOffset <= offset }) {
      epochs.removeFirst(first)
      epochs[0].startOffset = offset
    }
    keepLast(before: offset)
  }

  /// Replaces the whole log by a snapshot.
  mutating func install(_ snapshot: Snapshot, voters: VoterSet?, kraftVersion: Int16) {
    let end = snapshot.id.offset
    self = RaftLog(startOffset: end, endOffset: end, snapshots: [snapshot])
    if let voters { noteVoters(voters, at: end - 1) }
    if kraftVersion > 0 { noteKRaftVersion(kraftVersion, at: end - 1) }
  }

  /// Of the entries below the start only the newest still means something.
  private mutating func keepLast(before offset: Offset) {
    if let last = votersEntries.lastIndex(where: { $0.offset < offset }) {
      votersEntries.removeFirst(last)
    }
    if let last = kraftVersionEntries.lastIndex(where: { $0.offset < offset }) {
      kraftVersionEntries.removeFirst(last)
    }
  }
}
