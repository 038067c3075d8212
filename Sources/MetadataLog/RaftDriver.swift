/// A replica of the metadata log at work: the Raft machine with its log, clock, peers and disk.
///
/// Controllers run it as voters (or as observers on their way to become voters), brokers as
/// observers; it is the same class. The machine and all that belongs to it is confined to one loop
/// of its own, on which nothing waits for a disk but what must be on it before a message may leave:
/// `quorum-state` and truncation. Batches are flushed, and snapshots written, on I/O threads.
/// Listeners read the log on their own loops.
import KafkaProtocol
import KafkaRecords
import KafkaTransport
import Metadata
import Platform
import Raft
import Synchronization
import Telemetry
import Values

/// What a driver is made of.
public struct RaftDriverOptions: Sendable {
  public var configuration: RaftConfiguration
  /// The directory that has `__cluster_metadata-0`: `metadata.log.dir`.
  public var logDirectory: String
  public var log = MetadataLogOptions()
  /// Where its gauges are registered; nil: nowhere.
  public var metrics: Metrics?
  /// How often old snapshots and what they stand for are looked for. Kafka looks once a minute.
  public var cleaningIntervalMs: Int64 = 60_000
  /// `socket.request.max.bytes` of what peers answer.
  public var maxResponseBytes = 104_857_600
  /// Called once, on any thread, when the log cannot be read or written any more: the process must
  /// end, as it can neither vote nor lead.
  public var onFailure: @Sendable (String) -> Void = { _ in }

  public init(configuration: RaftConfiguration, logDirectory: String) {
    self.configuration = configuration
    self.logDirectory = logDirectory
  }
}

/// How the replica stands, for metrics and for hosts that want to know.
public struct RaftStatus: Sendable {
  public var state = RaftState.unattached
  public var leader = QuorumLeader()
  /// Whom it voted for in this epoch.
  public var votedID: BrokerID?
  /// -1 until it is known.
  public var highWatermark: Offset = -1
  public var logEndOffset: Offset = 0
  public var voters = VoterSet.empty
  /// The kraft.version in force.
  public var kraftVersion: Int16 = 0
}

public final class RaftDriver: Sendable {
  public let loop: EventLoop
  public let store: MetadataLogStore
  public let options: RaftDriverOptions
  let state = Mutex(RaftStatus())
  let latency = CommitLatency()
  private let core: Unchecked<RaftCore>

  /// Opens the log and reads what this replica has promised. Nothing is sent before `start`.
  public init(_ options: RaftDriverOptions) throws(StartupError) {
    self.options = options
    let now = Clock.wallNow()
    store = try MetadataLogStore(
      logDirectory: options.logDirectory, options: options.log, now: now)
    let file = QuorumStateFile(directory: store.directory)
    let election = try file.read().map(ElectionState.init)
    let machine = RaftMachine(
      options.configuration, election: election, log: try store.describe(),
      seed: SystemRandom.seed())
    do throws(SystemError) {
      loop = try EventLoop(name: "raft")
      core = Unchecked(
        try RaftCore(machine, store: store, file: file, options: options, loop: loop))
    } catch { throw StartupError("threads not started: \(error)") }
    core.value.driver = self
    if let metrics = options.metrics { registerMetrics(metrics) }
  }

  // MARK: Life

  /// Adds a listener, which is given everything from the newest snapshot on.
  ///
  /// - Parameters:
  ///   - loop: where it is called.
  ///   - makesSnapshots: whether it is asked for snapshots; one listener of a process is enough.
  public func register(
    _ listener: any MetadataListener, on loop: EventLoop, makesSnapshots: Bool = true
  ) {
    let feed = Unchecked(
      MetadataFeed(
        listener, store: store, driver: self, loop: loop, makesSnapshots: makesSnapshots))
    self.loop.execute { [core] in core.value.add(feed.value) }
  }

  public func start() { loop.execute { [core] in core.value.start() } }

  /// Hands over leadership, if there is any, and stops. Blocks until the log is closed.
  /// - Parameter timeoutMs: how long the others may take to elect somebody else.
  public func shutdown(timeoutMs: Int64 = 5_000) {
    let done = Semaphore()
    loop.execute { [core] in core.value.shutdown(timeoutMs: timeoutMs) { done.signal() } }
    _ = done.wait(ms: timeoutMs + 5_000)
    loop.perform { [core] in core.value.close() }
    loop.stop()
    loop.join()
  }

  // MARK: For hosts

  public var status: RaftStatus { state.withLock { $0 } }
  public var leader: QuorumLeader { state.withLock { $0.leader } }

  /// Appends records, if this node leads in `epoch`. May be called from any thread; proposals of
  /// one thread keep their order.
  ///
  /// - Parameters:
  ///   - isAtomic: all of them in one batch, so that all or none survive.
  ///   - completion: called on the driver's loop with the last record's offset as soon as it is
  ///     appended. It is committed when the listener gets it.
  public func propose(
    _ records: [VersionedRecord], isAtomic: Bool, epoch: Int32,
    _ completion: @escaping @Sendable (Result<Offset, ProposeError>) -> Void
  ) {
    loop.execute { [core] in
      core.value.propose(records, isAtomic: isAtomic, epoch: epoch, completion)
    }
  }

  /// Gives up leadership in this epoch: the host cannot do its work.
  public func resign(epoch: Int32) {
    loop.execute { [core] in core.value.take(.resign(epoch: LeaderEpoch(epoch))) }
  }

  /// Writes a snapshot of what a host has applied, unless there is one as new. `completion` is
  /// called on the driver's loop with whether it was written.
  public func createSnapshot(
    _ content: SnapshotContent, _ completion: @escaping @Sendable (Bool) -> Void = { _ in }
  ) {
    loop.execute { [core] in core.value.createSnapshot(content, completion) }
  }

  /// Passes a request of another node or a tool to the machine.
  func serve(_ request: RaftRequest, for asker: ServerRequest) {
    loop.execute { [core] in core.value.serve(request, for: asker) }
  }
}

extension ElectionState {
  init(_ file: QuorumStateData) {
    self.init(
      epoch: LeaderEpoch(max(0, file.leaderEpoch)),
      leader: file.leaderID >= 0 ? BrokerID(file.leaderID) : nil,
      voted: file.votedID >= 0
        ? ReplicaKey(BrokerID(file.votedID), directory: file.votedDirectoryID) : nil)
  }
}
