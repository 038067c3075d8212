import KafkaProtocol
import Values

// What a replica is told and what it asks for: the whole contract between the machine and its
// driver.
//
// The driver owns sockets, files, clock and bytes. It calls `step` for every event, carries out the
// effects in order, and calls `step(.timer)` at `RaftMachine.nextDeadline`. Calls must not overlap.

/// What happened to a replica.
public enum RaftEvent: Sendable {
  /// The node is up. Everything of the log that was found is durable by now: the driver syncs it
  /// before it starts, because the machine takes the recovered end for the durable end.
  case start
  /// `RaftMachine.nextDeadline` has come.
  case timer

  // Messages.
  /// Answered by one `respond` with this id, perhaps much later.
  case request(RaftRequest, id: RequestID)
  /// Nobody waits for this answer any more: its connection is closed.
  case requestCancelled(RequestID)
  case response(RaftResponse, to: CorrelationID)
  /// No answer will come. `isRefused`: nobody listens there, so the process is gone; false for
  /// anything else (closed, timed out, not resolved).
  case requestFailed(CorrelationID, isRefused: Bool)

  // The log.
  /// So many records of `bytes` bytes to append under this leadership: answered within the step by
  /// `write`, or by `refuse` if this replica does not lead in `epoch`.
  case append(Token, count: Int, bytes: Int, epoch: LeaderEpoch)
  /// What was appended shall not linger.
  case drain
  /// Everything below this offset survives a crash. Never names what was truncated since.
  case flushed(upTo: Offset)

  // Snapshots.
  /// This replica has made a snapshot of committed records; it is durable.
  case snapshotCreated(Snapshot)
  /// Old segments and snapshots are gone: the log now starts here, where a snapshot ends. Snapshots
  /// that end below it are forgotten.
  case logStartRaised(to: Offset)
  /// `installSnapshot` is done: the snapshot is durable and the log is empty and starts at its end.
  /// The voters and the level are the ones it contains, if any.
  case snapshotInstalled(Snapshot, voters: VoterSet?, kraftVersion: Int16)
  /// `installSnapshot` could not be done; the log is as it was.
  case snapshotFailed(SnapshotID)

  // Orders.
  /// Give up leadership, if this replica leads in this epoch: its controller cannot go on.
  case resign(epoch: LeaderEpoch)
  /// Hand over leadership if there is any, then stop: answered by `shutdownCompleted`, after so
  /// many milliseconds at the latest.
  case shutdown(timeoutMs: Int64)
}

/// What a replica asks for. Effects are carried out in order, each before the next one; those
/// marked *durable* survive a crash before the next one begins, so a message cannot leave before
/// what it promises is on disk.
public enum RaftEffect: Hashable, Sendable {
  // Messages.
  /// *Durable.* The file `quorum-state`.
  case persist(ElectionState)
  case send(RaftRequest, to: RaftNode, CorrelationID)
  case respond(RequestID, RaftResponse)

  // The log of a leader. What is written can be read at once; it is synced by `flush`.
  case write(Token, baseOffset: Offset, epoch: LeaderEpoch)
  /// One control batch with these records.
  case writeControl([ControlRecord], baseOffset: Offset, epoch: LeaderEpoch)
  /// NOT_LEADER_OR_FOLLOWER: nothing was written.
  case refuse(Token, ErrorCode)

  // The log of everybody.
  /// Sync what is written so far, then say `flushed`. A flush may stand for several.
  case flush
  /// A follower's batches, in order, behind the end of its log.
  case append([FetchedBatch])
  /// *Durable.* Cuts the log: this offset is its new end.
  case truncate(to: Offset)

  // Snapshots that are fetched.
  /// Begin a file for it, or take up one that was begun and forget its contents.
  case beginSnapshot(SnapshotID)
  case writeSnapshotChunk(SnapshotID, position: Int64, Token)
  /// All bytes are there: verify, sync, replace the log by it, then say `snapshotInstalled`, or
  /// `snapshotFailed`.
  case installSnapshot(SnapshotID, size: Int64)
  /// It will not be completed.
  case discardSnapshot(SnapshotID)

  // What those above want to know.
  case stateChanged(RaftState, epoch: LeaderEpoch)
  /// Nil while none is known. This replica, when it leads, is announced by `becameLeader` instead.
  case leaderChanged(CurrentLeader)
  /// This replica leads. It may decide when everything below `startOffset` is committed and
  /// applied: until then it does not know the state that its predecessors left.
  case becameLeader(epoch: LeaderEpoch, startOffset: Offset)
  /// It leads no more; what is not committed may be lost.
  case resigned(epoch: LeaderEpoch)
  /// The high watermark: everything below is committed and may be applied.
  case committed(upTo: Offset)
  /// The voters now in force, from this offset on; uncommitted ones too.
  case votersChanged(VoterSet, offset: Offset)
  case shutdownCompleted
  /// Something an operator should read.
  case log(RaftLogLine)
}

/// A line for the log, with Kafka's levels.
public struct RaftLogLine: Hashable, Sendable {
  public enum Level: Hashable, Sendable { case info, warn, error }
  public var level: Level
  public var text: String

  public init(_ level: Level, _ text: String) {
    self.level = level
    self.text = text
  }
}

/// The states of Kafka's `current-state` metric and of our log lines.
public enum RaftState: String, Hashable, Sendable {
  case unattached, voted, candidate, follower, leader, resigned, observer
}

/// What `quorum-state` holds: what this replica has promised.
public struct ElectionState: Hashable, Sendable {
  public var epoch: LeaderEpoch
  public var leader: BrokerID?
  /// Whom this replica voted for in this epoch; without directory id in `data_version` 0.
  public var voted: ReplicaKey?
  /// `data_version`: the kraft.version in force.
  public var dataVersion: Int16
  /// CurrentVoters, written in version 0 only.
  public var voters: [BrokerID]

  public init(
    epoch: LeaderEpoch, leader: BrokerID? = nil, voted: ReplicaKey? = nil, dataVersion: Int16 = 0,
    voters: [BrokerID] = []
  ) {
    self.epoch = epoch
    self.leader = leader
    self.voted = voted
    self.dataVersion = dataVersion
    self.voters = voters
  }
}

/// A record of a control batch that the machine wants written.
public enum ControlRecord: Hashable, Sendable {
  /// LeaderChangeMessage version 0: the first record of every leader.
  case leaderChange(leader: BrokerID, voters: [BrokerID], grantingVoters: [BrokerID])
  case kraftVersion(Int16)
  case voters(VoterSet)
}
