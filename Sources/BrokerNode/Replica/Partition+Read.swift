/// Reading for consumers and followers.
import KafkaProtocol
import LogStorage
import Platform
import Replication
import Values

/// Who reads, and how.
struct ReadParameters {
  enum Reader {
    case consumer(rack: String, mayUseFollower: Bool)
    case follower(BrokerID, epoch: BrokerEpoch)
  }

  var reader: Reader
  /// Only what no open transaction can still take back.
  var isCommittedOnly: Bool
  /// Clients before version 3 expect as many bytes as they asked for, whole batches or not.
  var takesCutBatches: Bool

  var followerID: BrokerID? {
    if case .follower(let id, _) = reader { return id }
    return nil
  }
}

/// What one partition answers to a fetch.
struct PartitionRead {
  var failure: PartitionFailure?
  var highWatermark: Offset = -1
  var lastStableOffset: Offset = -1
  var logStartOffset: Offset = -1
  var region: FileRegion?
  /// Transactions that were aborted within the records, for readers of committed data.
  var aborted: [AbortedTransaction]?
  /// Where the fetcher's log leaves this one (KIP-595).
  var diverging: EpochEnd?
  /// Where the consumer should fetch instead (KIP-392).
  var preferredReplica: BrokerID = .none
  var effects: [PartitionReplica.Effect] = []

  var byteCount: Int { region?.count ?? 0 }

  mutating func take(_ slice: LogSlice) {
    highWatermark = slice.highWatermark
    lastStableOffset = slice.lastStableOffset
    logStartOffset = slice.logStartOffset
  }
}

extension Partition {
  /// Reads for a fetch, and takes note of a follower's progress.
  ///
  /// - Parameters:
  ///   - mustProgress: one whole batch is returned even when it is larger than `maxBytes`, so that
  ///     the reader does not stall (KIP-74).
  ///   - selects: replicas in a consumer's rack, when the broker sends consumers there.
  func read(
    _ wanted: FetchedPartition, _ parameters: ReadParameters, maxBytes: Int, mustProgress: Bool,
    now: Instant, selector: ReplicaSelector?
  ) -> PartitionRead {
    state.withLock { state in
      var read = PartitionRead()
      do throws(PartitionFailure) {
        try Self.read(
          &state, wanted, parameters, maxBytes: maxBytes, mustProgress: mustProgress, now: now,
          selector: selector, into: &read)
      } catch {
        read.failure = error
        read.region = nil
      }
      return read
    }
  }

  private static func read(
    _ state: inout State, _ wanted: FetchedPartition, _ parameters: ReadParameters, maxBytes: Int,
    mustProgress: Bool, now: Instant, selector: ReplicaSelector?, into read: inout PartitionRead
  ) throws(PartitionFailure) {
    let log = try state.usableLog()
    try check(state, wanted, parameters)
    if try findsDivergence(log, wanted, into: &read) { return }
    let limit: ReadLimit
    switch parameters.reader {
    case .follower(let id, let epoch):
      limit = .logEndOffset
      let offsets = log.offsets
      guard (offsets.logStartOffset...offsets.logEndOffset).contains(wanted.fetchOffset) else {
        // It attests nothing about records that are here.
        throw PartitionFailure(.offsetOutOfRange)
      }
      // What the follower asks for it has; learnt before reading, so that the answer already
      // carries the high watermark that this moves.
      step(
        &state,
        .fetched(
          FollowerFetch(
            replica: id, brokerEpoch: epoch, offset: wanted.fetchOffset,
            logStartOffset: wanted.logStartOffset, leaderEndOffset: offsets.logEndOffset)),
        at: now, into: &read.effects)
    case .consumer(let rack, _):
      limit = parameters.isCommittedOnly ? .lastStableOffset : .highWatermark
      if let selector, !rack.isEmpty, state.replica.isLeader {
        read.preferredReplica = selector.preferred(
          rack: rack, offset: wanted.fetchOffset, of: state.replica)
      }
    }
    if read.preferredReplica != .none {
      read.take(log.offsets)
      return
    }
    do throws(LogError) {
      let slice = try log.read(
        from: wanted.fetchOffset, maxBytes: maxBytes, upTo: limit, minOneMessage: mustProgress)
      read.take(slice)
      // A batch that is cut off helps nobody who knows that batches may be larger than asked for.
      read.region = slice.isFirstBatchCutOff && !parameters.takesCutBatches ? nil : slice.region
      if parameters.isCommittedOnly { read.aborted = slice.abortedTransactions }
    } catch {
      throw PartitionFailure(error)
    }
  }

  private static func check(
    _ state: State, _ wanted: FetchedPartition, _ parameters: ReadParameters
  ) throws(PartitionFailure) {
    var needsLeader = true
    if case .consumer(_, let mayUseFollower) = parameters.reader { needsLeader = !mayUseFollower }
    do throws(ReplicaRefusal) {
      try state.replica.check(
        leaderEpoch: LeaderEpoch(wanted.currentLeaderEpoch), needsLeader: needsLeader)
    } catch {
      throw PartitionFailure(error)
    }
    if let follower = parameters.followerID, !state.replica.isReplica(follower) {
      // A follower that knows the epoch knows an assignment that we do not.
      throw PartitionFailure(
        wanted.currentLeaderEpoch >= 0 ? .unknownLeaderEpoch : .notLeaderOrFollower)
    }
  }

  /// Compares where the fetcher's last epoch ends here with where it wants to go on.
  private static func findsDivergence(
    _ log: PartitionLog, _ wanted: FetchedPartition, into read: inout PartitionRead
  ) throws(PartitionFailure) -> Bool {
    guard wanted.lastFetchedEpoch >= 0 else { return false }
    guard let end = log.endOffset(for: LeaderEpoch(wanted.lastFetchedEpoch)) else {
      throw PartitionFailure(.offsetOutOfRange)
    }
    if wanted.fetchOffset < log.logStartOffset { throw PartitionFailure(.offsetOutOfRange) }
    guard end.epoch.rawValue < wanted.lastFetchedEpoch || end.offset < wanted.fetchOffset else {
      return false
    }
    read.diverging = EpochEnd(epoch: end.epoch, endOffset: end.offset)
    read.take(log.offsets)
    return true
  }
}

/// Finds the replica in a consumer's rack, by `replica.selector.class` (KIP-392).
struct ReplicaSelector {
  let localID: BrokerID
  /// Racks of the live brokers.
  let racks: [BrokerID: String]

  /// `.none` when the consumer should read from the leader.
  func preferred(rack: String, offset: Offset, of replica: PartitionReplica) -> BrokerID {
    let isr = replica.isr
    let candidates = replica.followerViews.compactMap { view -> ReplicaSelection.Candidate? in
      guard isr.contains(view.broker), let rack = racks[view.broker] else { return nil }
      return ReplicaSelection.Candidate(
        broker: view.broker, rack: rack, logStartOffset: view.logStartOffset,
        logEndOffset: view.logEndOffset, lastCaughtUp: view.lastCaughtUp)
    }
    return ReplicaSelection.preferred(
      rack: rack, offset: offset, leaderRack: racks[localID], followers: candidates) ?? .none
  }
}
