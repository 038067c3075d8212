import KafkaMessages
import KafkaProtocol
import Platform
import Telemetry
import Values

/// Reads records from a cluster: partitions given by hand, or shared with a group.
///
/// `poll` does everything: joins the group, finds positions, fetches ahead, commits now and then.
/// Heartbeats go on between polls, up to `max.poll.interval.ms`. Configured by Kafka's own keys.
public actor Consumer {
  public nonisolated let cluster: KafkaCluster
  nonisolated let config: ClientConfig
  nonisolated let log = Log("consumer")

  enum Subscription {
    case none
    case topics(Set<String>)
    /// Every topic that the closure accepts.
    case matching(@Sendable (String) -> Bool)
    case assigned
  }

  /// What is known of a partition that is being read.
  struct PartitionState {
    /// The next offset to give out; nil until it is found out.
    var position: Int64?
    /// Where to begin when there is no position, instead of the committed offset.
    var reset: OffsetQuery?
    var isPaused = false
    var highWatermark: Int64 = -1
    var lastStableOffset: Int64 = -1
    var logStartOffset: Int64 = -1
    /// A replica that the leader would rather have read from (KIP-392).
    var preferredReplica: Int32?
    var retryAt = Instant.zero
  }

  var subscription = Subscription.none
  var partitions: [TopicPartition: PartitionState] = [:]
  var buffered: [FetchedPartition] = []
  var nodesFetching: Set<Int32> = []
  var isFindingPositions = false
  var isClosed = false
  /// Thrown by the next poll.
  var pendingError: ClientError?

  // The group; see Consumer+Group.swift.
  var group = GroupState()
  var lastPoll = Clock.now()
  var nextAutoCommit = Instant.zero
  public private(set) var onAssigned: (@Sendable ([TopicPartition]) async -> Void)?
  public private(set) var onRevoked: (@Sendable ([TopicPartition]) async -> Void)?

  // Waiting; see `waitForNews`.
  private var waiter: CheckedContinuation<Void, Never>?
  private var hasNews = false
  private var alarm = Instant.distantFuture

  /// - Parameter executor: as for `KafkaCluster`.
  public init(
    _ properties: [String: String], executor: (any TaskExecutor)? = nil
  ) throws(ClientError) {
    try self.init(ClientConfig(properties, for: .consumer), executor: executor)
  }

  public init(
    _ config: ClientConfig, executor: (any TaskExecutor)? = nil
  ) throws(ClientError) {
    self.config = config
    cluster = try KafkaCluster(config, executor: executor)
  }

  nonisolated var groupID: String? { config.optionalText("group.id") }
  nonisolated var isCommittedOnly: Bool { config.text("isolation.level") == "read_committed" }
  nonisolated var apiTimeoutMs: Int64 { config.integer("default.api.timeout.ms") }

  /// Runs `body` on this actor in a task of its own.
  nonisolated func inTask(_ body: @escaping @Sendable (isolated Consumer) async -> Void) {
    Task(executorPreference: cluster.executor) { [self] in await body(self) }
  }

  // MARK: What to read

  /// Shares these topics with the group. Takes effect with the next poll.
  public func subscribe(
    _ topics: [String], onAssigned: (@Sendable ([TopicPartition]) async -> Void)? = nil,
    onRevoked: (@Sendable ([TopicPartition]) async -> Void)? = nil
  ) throws(ClientError) {
    try subscribe(.topics(Set(topics)), onAssigned, onRevoked)
  }

  /// Shares with the group every topic whose name the closure accepts, those to come included.
  public func subscribe(
    matching filter: @escaping @Sendable (String) -> Bool,
    onAssigned: (@Sendable ([TopicPartition]) async -> Void)? = nil,
    onRevoked: (@Sendable ([TopicPartition]) async -> Void)? = nil
  ) throws(ClientError) {
    try subscribe(.matching(filter), onAssigned, onRevoked)
  }

  private func subscribe(
    _ wanted: Subscription, _ onAssigned: (@Sendable ([TopicPartition]) async -> Void)?,
    _ onRevoked: (@Sendable ([TopicPartition]) async -> Void)?
  ) throws(ClientError) {
    guard groupID != nil else { throw .configuration("group.id: needed to subscribe") }
    if case .assigned = subscription { throw .misuse("partitions have been assigned by hand") }
    subscription = wanted
    self.onAssigned = onAssigned
    self.onRevoked = onRevoked
    group.needsRejoin = true
    group.knownPartitions = [:]
    news()
  }

  /// Reads exactly these partitions, without the group's sharing.
  public func assign(_ wanted: [TopicPartition]) throws(ClientError) {
    switch subscription {
    case .topics, .matching: throw .misuse("topics have been subscribed to")
    case .none, .assigned: break
    }
    subscription = .assigned
    adopt(wanted)
    news()
  }

  /// Leaves the group and forgets all partitions.
  public func unsubscribe() async {
    await leaveGroup()
    subscription = .none
    adopt([])
  }

  /// Sets the partitions to read; those that stay keep their positions.
  func adopt(_ wanted: [TopicPartition]) {
    var kept: [TopicPartition: PartitionState] = [:]
    for partition in wanted { kept[partition] = partitions[partition] ?? PartitionState() }
    partitions = kept
    buffered.removeAll { kept[$0.partition] == nil }
    let topics = Set(wanted.map(\.topic))
    cluster.loop.execute { [cluster] in cluster.follow(topics) }
  }

  /// The partitions that are being read, in order.
  public var assignment: [TopicPartition] { partitions.keys.sorted() }

  public func pause(_ paused: [TopicPartition]) {
    for partition in paused { partitions[partition]?.isPaused = true }
  }

  public func resume(_ resumed: [TopicPartition]) {
    for partition in resumed { partitions[partition]?.isPaused = false }
    news()
  }

  // MARK: Polling

  /// The next records, at most `max.poll.records` of them; empty when the time is up.
  public func poll(timeoutMs: Int64) async throws(ClientError) -> [ConsumerRecord] {
    let deadline = Clock.now().advanced(milliseconds: timeoutMs)
    lastPoll = Clock.now()
    while true {
      if isClosed { throw .closed }
      if let error = pendingError {
        pendingError = nil
        throw error
      }
      try await tendGroup()
      await commitIfDue()
      startFindingPositions()
      let records = try takeBuffered()
      await startFetches()
      if !records.isEmpty { return records }
      guard Clock.now() < deadline else { return [] }
      await waitForNews(until: deadline)
      lastPoll = Clock.now()
    }
  }

  private func takeBuffered() throws(ClientError) -> [ConsumerRecord] {
    var limit = Int(config.integer("max.poll.records"))
    var records: [ConsumerRecord] = []
    while limit > 0, !buffered.isEmpty {
      var fetched = buffered.removeFirst()
      let state = partitions[fetched.partition]
      // Sought elsewhere or paused in the meantime: it will be fetched anew.
      guard let state, !state.isPaused, state.position == fetched.nextOffset else { continue }
      do {
        let taken = try fetched.take(limit)
        partitions[fetched.partition]?.position = fetched.nextOffset
        limit -= taken.count
        records += taken
        if !fetched.isEmpty { buffered.insert(fetched, at: 0) }
      } catch {
        // What was read before the error is given out first; the error comes again.
        if records.isEmpty { throw error }
        return records
      }
    }
    return records
  }

  /// Lets a poll that is waiting return at once.
  public func wakeUp() { news() }

  /// Commits if that is wanted, leaves the group, closes the connections.
  public func close() async {
    guard !isClosed else { return }
    await leaveGroup()
    isClosed = true
    news()
    await cluster.close()
  }

  // MARK: Waiting

  /// Something has changed that a waiting poll should look at.
  func news() {
    hasNews = true
    let waiting = waiter
    waiter = nil
    waiting?.resume()
  }

  /// Returns when there is news, or at the deadline at the latest.
  func waitForNews(until deadline: Instant) async {
    if hasNews {
      hasNews = false
      return
    }
    setAlarm(deadline)
    await withCheckedContinuation { continuation in
      waiter?.resume()
      waiter = continuation
    }
    hasNews = false
  }

  /// One alarm at a time: an earlier one makes the poll look, and set the next.
  private func setAlarm(_ deadline: Instant) {
    guard deadline < alarm else { return }
    alarm = deadline
    let wait = max(1, deadline.milliseconds(since: Clock.now()) + 1)
    Task(executorPreference: cluster.executor) { [weak self, cluster] in
      await cluster.pause(wait)
      await self?.alarmRings(deadline)
    }
  }

  private func alarmRings(_ deadline: Instant) {
    if alarm == deadline { alarm = .distantFuture }
    news()
  }
}
