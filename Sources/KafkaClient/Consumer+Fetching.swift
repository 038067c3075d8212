import KafkaMessages
import KafkaProtocol
import Platform
import Values

extension Consumer {
  // MARK: Positions

  /// Finds positions in a task of its own, so that a poll may return in the meantime.
  func startFindingPositions() {
    let now = Clock.now()
    guard !isFindingPositions,
      partitions.values.contains(where: { $0.position == nil && $0.retryAt <= now })
    else { return }
    isFindingPositions = true
    inTask { consumer in
      await consumer.findPositions()
      consumer.isFindingPositions = false
      consumer.news()
    }
  }

  /// Finds out where to begin in partitions that have no position yet: the committed offset, else
  /// what `auto.offset.reset` says. What fails is tried again by the next poll.
  func findPositions() async {
    let now = Clock.now()
    let missing = partitions.filter { $0.value.position == nil && $0.value.retryAt <= now }
    guard !missing.isEmpty else { return }
    do {
      var queries: [TopicPartition: OffsetQuery] = [:]
      var unset: [TopicPartition] = []
      for (partition, state) in missing {
        if let reset = state.reset { queries[partition] = reset } else { unset.append(partition) }
      }
      if !unset.isEmpty {
        let committed = try await committedPositions(unset)
        for partition in unset.sorted() {
          if let offset = committed[partition] {
            setPosition(offset.offset, of: partition, found: missing[partition])
          } else {
            queries[partition] = try resetQuery(partition)
          }
        }
      }
      guard !queries.isEmpty else { return }
      let found = try await cluster.listOffsets(
        queries, isCommitted: isCommittedOnly, timeoutMs: 1000)
      for (partition, offset) in found {
        setPosition(max(offset.offset, 0), of: partition, found: missing[partition])
      }
    } catch {
      if !error.isRetriable { pendingError = error }
      let retry = Clock.now().advanced(milliseconds: max(cluster.retryBackoffMs, 50))
      for partition in missing.keys where partitions[partition]?.position == nil {
        partitions[partition]?.retryAt = retry
      }
      wakeUp(at: retry)
    }
  }

  private func committedPositions(
    _ unset: [TopicPartition]
  ) async throws(ClientError) -> [TopicPartition: CommittedOffset] {
    guard let groupID else { return [:] }
    return try await cluster.committedOffsets(
      of: groupID, unset, requireStable: isCommittedOnly, timeoutMs: apiTimeoutMs)
  }

  /// Only if nobody has sought elsewhere in the meantime.
  private func setPosition(
    _ offset: Int64, of partition: TopicPartition, found before: PartitionState?
  ) {
    guard let state = partitions[partition], state.position == nil, state.reset == before?.reset
    else { return }
    partitions[partition]?.position = offset
    partitions[partition]?.reset = nil
  }

  private func resetQuery(_ partition: TopicPartition) throws(ClientError) -> OffsetQuery {
    switch config.text("auto.offset.reset").lowercased() {
    case "earliest": return .earliest
    case "latest": return .latest
    default: throw .noOffset(partition)
    }
  }

  private func wakeUp(at instant: Instant) {
    let wait = max(1, instant.milliseconds(since: Clock.now()))
    Task(executorPreference: cluster.executor) { [weak self, cluster] in
      await cluster.pause(wait)
      await self?.news()
    }
  }

  // MARK: Fetching

  /// Asks every node that has something for us and is not asked already.
  func startFetches() async {
    let metadata = cluster.metadata
    let now = Clock.now()
    let inBuffer = Set(buffered.map(\.partition))
    var byNode: [Int32: [TopicPartition]] = [:]
    var isStale = false
    for (partition, state) in partitions {
      guard !state.isPaused, state.position != nil, state.retryAt <= now,
        !inBuffer.contains(partition)
      else { continue }
      guard let leader = metadata.leader(of: partition)?.leader else {
        isStale = true
        continue
      }
      byNode[state.preferredReplica ?? leader, default: []].append(partition)
    }
    if isStale {
      cluster.loop.execute { [cluster] in cluster.requestUpdate() }
      wakeUp(at: now.advanced(milliseconds: max(cluster.retryBackoffMs, 50)))
    }
    for node in byNode.keys.sorted() where !nodesFetching.contains(node) {
      let request = fetchRequest(byNode[node] ?? [], metadata)
      nodesFetching.insert(node)
      inTask { await $0.fetch(request, from: node) }
    }
  }

  private func fetchRequest(
    _ wanted: [TopicPartition], _ metadata: ClusterMetadata
  ) -> FetchRequest {
    var request = FetchRequest()
    request.maxWaitMs = Int32(clamping: config.integer("fetch.max.wait.ms"))
    request.minBytes = Int32(clamping: config.integer("fetch.min.bytes"))
    request.maxBytes = Int32(clamping: config.integer("fetch.max.bytes"))
    request.isolationLevel = isCommittedOnly ? 1 : 0
    request.rackID = config.text("client.rack")
    let limit = Int32(clamping: config.integer("max.partition.fetch.bytes"))
    request.topics = cluster.grouped(wanted).map { topic, indexes in
      FetchRequest.FetchTopic {
        $0.topic = topic
        $0.partitions = indexes.map { index in
          let partition = TopicPartition(topic, index)
          return FetchRequest.FetchPartition {
            $0.partition = index
            $0.currentLeaderEpoch = metadata.leader(of: partition)?.leaderEpoch ?? -1
            $0.fetchOffset = partitions[partition]?.position ?? 0
            $0.partitionMaxBytes = limit
          }
        }
      }
    }
    return request
  }

  private func fetch(_ request: FetchRequest, from node: Int32) async {
    do throws(ClientError) {
      // From version 13 on topics have ids only; names are what this consumer works with.
      let response = try await cluster.send(
        request, to: .node(node), maxVersion: 12,
        timeoutMs: cluster.requestTimeoutMs + Int64(request.maxWaitMs))
      nodesFetching.remove(node)
      let code = ErrorCode(response.errorCode)
      guard code == .none else { throw ClientError(code) }
      for topic in response.responses {
        for entry in topic.partitions {
          take(entry, of: TopicPartition(topic.topic, entry.partitionIndex), request)
        }
      }
    } catch {
      nodesFetching.remove(node)
      holdBack(request, because: error)
    }
    news()
  }

  private func holdBack(_ request: FetchRequest, because error: ClientError) {
    if !error.isRetriable { pendingError = error }
    let retry = Clock.now().advanced(milliseconds: max(cluster.retryBackoffMs, 50))
    for topic in request.topics {
      for entry in topic.partitions {
        let partition = TopicPartition(topic.topic, entry.partition)
        partitions[partition]?.retryAt = retry
        partitions[partition]?.preferredReplica = nil
      }
    }
    cluster.loop.execute { [cluster] in cluster.requestUpdate() }
    wakeUp(at: retry)
  }

  private func take(
    _ entry: FetchResponse.PartitionData, of partition: TopicPartition, _ request: FetchRequest
  ) {
    guard let state = partitions[partition],
      let asked = request.topics.first(where: { $0.topic == partition.topic })?
        .partitions.first(where: { $0.partition == partition.partition })?.fetchOffset,
      state.position == asked
    else { return }
    let code = ErrorCode(entry.errorCode)
    guard code == .none else { return refused(code, partition, asked) }
    partitions[partition]?.highWatermark = entry.highWatermark
    partitions[partition]?.lastStableOffset = entry.lastStableOffset
    partitions[partition]?.logStartOffset = entry.logStartOffset
    if entry.preferredReadReplica >= 0 {
      partitions[partition]?.preferredReplica = entry.preferredReadReplica
      return
    }
    guard case .owned(let bytes) = entry.records, !bytes.isEmpty else { return }
    buffered.append(
      FetchedPartition(
        partition, from: asked, bytes: bytes, aborted: entry.abortedTransactions ?? [],
        isCommittedOnly: isCommittedOnly, checksChecksums: config.bool("check.crcs")))
  }

  private func refused(_ code: ErrorCode, _ partition: TopicPartition, _ offset: Int64) {
    let error = ClientError(code, "\(partition)")
    if code == .offsetOutOfRange {
      if partitions[partition]?.preferredReplica != nil {
        // A follower may lag behind; only the leader's word counts.
        partitions[partition]?.preferredReplica = nil
        return
      }
      do {
        partitions[partition]?.reset = try resetQuery(partition)
        partitions[partition]?.position = nil
        log.info("offset out of range, reset", ["partition": partition, "offset": offset])
      } catch {
        pendingError = error
      }
      return
    }
    guard error.isRetriable || error.wantsMetadata else {
      pendingError = error
      return
    }
    let retry = Clock.now().advanced(milliseconds: max(cluster.retryBackoffMs, 50))
    partitions[partition]?.retryAt = retry
    partitions[partition]?.preferredReplica = nil
    cluster.loop.execute { [cluster] in cluster.requestUpdate() }
    wakeUp(at: retry)
  }
}
