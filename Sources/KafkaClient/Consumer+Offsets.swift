import KafkaProtocol
import Platform
import Values

extension Consumer {
  // MARK: Seeking

  /// Goes on reading from an offset.
  public func seek(_ partition: TopicPartition, to offset: Int64) throws(ClientError) {
    guard partitions[partition] != nil else { throw .misuse("\(partition) is not assigned") }
    partitions[partition]?.position = offset
    partitions[partition]?.reset = nil
    news()
  }

  /// Goes on reading from where the query leads to, found out by the next poll.
  public func seek(_ wanted: [TopicPartition], to query: OffsetQuery) throws(ClientError) {
    for partition in wanted {
      guard partitions[partition] != nil else { throw .misuse("\(partition) is not assigned") }
      partitions[partition]?.position = nil
      partitions[partition]?.reset = query
      partitions[partition]?.retryAt = .zero
    }
    news()
  }

  /// The offset of the next record that `poll` will give.
  public func position(of partition: TopicPartition) async throws(ClientError) -> Int64 {
    let deadline = Clock.now().advanced(milliseconds: apiTimeoutMs)
    while true {
      guard let state = partitions[partition] else {
        throw .misuse("\(partition) is not assigned")
      }
      if let position = state.position { return position }
      if let error = pendingError {
        pendingError = nil
        throw error
      }
      guard Clock.now() < deadline else { throw .timedOut("position of \(partition)") }
      startFindingPositions()
      await waitForNews(until: min(deadline, Clock.now().advanced(milliseconds: 100)))
    }
  }

  /// Records between the position and the end of the partition, as the last fetch has seen it.
  public func lag(of partition: TopicPartition) -> Int64? {
    guard let state = partitions[partition], let position = state.position else { return nil }
    let end = isCommittedOnly ? state.lastStableOffset : state.highWatermark
    return end < 0 ? nil : max(0, end - position)
  }

  public func beginningOffsets(
    _ wanted: [TopicPartition]
  ) async throws(ClientError) -> [TopicPartition: Int64] {
    try await offsets(wanted, .earliest)
  }

  public func endOffsets(
    _ wanted: [TopicPartition]
  ) async throws(ClientError) -> [TopicPartition: Int64] {
    try await offsets(wanted, .latest)
  }

  private func offsets(
    _ wanted: [TopicPartition], _ query: OffsetQuery
  ) async throws(ClientError) -> [TopicPartition: Int64] {
    var queries: [TopicPartition: OffsetQuery] = [:]
    for partition in wanted { queries[partition] = query }
    return try await cluster.listOffsets(
      queries, isCommitted: isCommittedOnly, timeoutMs: apiTimeoutMs
    ).mapValues(\.offset)
  }

  // MARK: Committing

  /// Where reading has come to, for every partition that has a position.
  public var positions: [TopicPartition: CommittedOffset] {
    partitions.compactMapValues { $0.position.map { CommittedOffset($0) } }
  }

  /// Commits offsets, by default where reading has come to.
  public func commit(
    _ offsets: [TopicPartition: CommittedOffset]? = nil, timeoutMs: Int64? = nil
  ) async throws(ClientError) {
    guard let membership else { throw .configuration("group.id: needed to commit") }
    let offsets = offsets ?? positions
    guard !offsets.isEmpty else { return }
    let refused = try await cluster.commitOffsets(
      offsets, of: membership, timeoutMs: timeoutMs ?? apiTimeoutMs)
    for partition in refused.keys.sorted() {
      let code = refused[partition] ?? .unknownServerError
      noteGroupError(code)
      throw ClientError(code, "\(partition)")
    }
  }

  /// The group's committed offsets; partitions without one are left out.
  public func committed(
    _ wanted: [TopicPartition]
  ) async throws(ClientError) -> [TopicPartition: CommittedOffset] {
    guard let groupID else { throw .configuration("group.id: needed for committed offsets") }
    return try await cluster.committedOffsets(of: groupID, wanted, timeoutMs: apiTimeoutMs)
  }

  var autoCommits: Bool { groupID != nil && config.bool("enable.auto.commit") }

  /// Commits every `auto.commit.interval.ms`, without waiting for the answer.
  func commitIfDue() async {
    guard autoCommits, !partitions.isEmpty, Clock.now() >= nextAutoCommit else { return }
    let isFirst = nextAutoCommit == .zero
    nextAutoCommit = Clock.now().advanced(
      milliseconds: config.integer("auto.commit.interval.ms"))
    let offsets = positions
    guard !isFirst, !offsets.isEmpty else { return }
    Task(executorPreference: cluster.executor) { [weak self] in
      do throws(ClientError) {
        try await self?.commit(offsets)
      } catch {
        self?.log.warn("offsets were not committed", ["reason": error])
      }
    }
  }

  /// Commits before partitions are given up; what cannot be committed will be read again.
  func commitBeforeLosing() async {
    guard autoCommits, !positions.isEmpty else { return }
    do {
      // Others wait for the partitions: better read twice than hold them up.
      try await commit(timeoutMs: min(apiTimeoutMs, 5000))
    } catch {
      log.warn("offsets were not committed", ["reason": error])
    }
  }
}
