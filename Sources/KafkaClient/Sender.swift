import KafkaMessages
import KafkaProtocol
import Platform
import Records
import Values

/// Sends the accumulator's batches and settles what comes back. Confined to the client's loop.
///
/// Order within a partition is kept whatever fails: several batches may be in flight, but after a
/// failure the partition waits until all of them have come back, and then sends them again in the
/// order of their sequences (KIP-98, KIP-360).
final class Sender {
  struct Options {
    var acks: Int16
    var lingerMs: Int64
    var batchSize: Int
    var maxInFlight: Int
    var maxRequestSize: Int
    var requestTimeoutMs: Int64
    var deliveryTimeoutMs: Int64
    var retries: Int64
    var retryBackoffMs: Int64
    var isIdempotent: Bool
  }

  /// What the sender knows of a partition, beside the batches in the accumulator.
  struct Lane {
    var inFlight: [ProducerBatch] = []
    /// To be sent again, in order of sequence, before anything new.
    var retries: [ProducerBatch] = []
    /// A batch has failed: nothing is sent until the others in flight have come back.
    var isRecovering = false
    var retryAt = Instant.zero
    var nextSequence: Int32 = 0
    /// The partition's leader has taken a batch with the present producer id and epoch.
    var isKnown = false
    /// Some of what is to be sent again may be in the log already.
    var isInDoubt: Bool { retries.contains { $0.mayBeInLog } }
  }

  let cluster: KafkaCluster
  let accumulator: Accumulator
  let options: Options
  let identity: ProducerIdentity
  var lanes: [TopicPartition: Lane] = [:]
  private var requestsInFlight: [Int32: Int] = [:]
  private var timer = LoopTimer.none
  /// Batches go without waiting for `linger.ms`.
  var isFlushing = false
  private var turn = 0

  init(
    cluster: KafkaCluster, accumulator: Accumulator, options: Options, identity: ProducerIdentity
  ) {
    self.cluster = cluster
    self.accumulator = accumulator
    self.options = options
    self.identity = identity
  }

  private var loop: EventLoop { cluster.loop }

  // MARK: Draining

  /// Sends everything that can be sent now, and comes back when more can be.
  func drain() {
    report(accumulator.expireWaiting(at: loop.now))
    if accumulator.hasWaiting { cluster.requestUpdate() }
    if let error = identity.fatalError { return failEverything(error) }
    guard !options.isIdempotent || identity.isReady else {
      identity.obtain { [weak self] in self?.drain() }
      return
    }
    let isEnding = identity.needsReset
    if isEnding, identity.transactionalID == nil,
      lanes.values.allSatisfy({ $0.inFlight.isEmpty && !$0.isInDoubt })
    {
      return resetIdentity()
    }
    var next = Instant.distantFuture
    // What may be in the log is sent again by its old identity, by which brokers know it: with a
    // new one it would be there twice.
    let isStuck = isEnding && identity.transactionalID != nil
    while !isStuck, sendRound(&next, onlyDoubts: isEnding) {}
    schedule(next)
  }

  private func schedule(_ next: Instant) {
    loop.cancel(timer)
    timer = .none
    guard next < .distantFuture else { return }
    timer = loop.schedule(at: next) { [weak self] in self?.drain() }
  }

  /// At most one batch of each partition; true when something was sent, so that another round may
  /// find more.
  ///
  /// - Parameter onlyDoubts: nothing new is sent, only what is to be sent again where some of that
  ///   may be in the log.
  private func sendRound(_ next: inout Instant, onlyDoubts: Bool) -> Bool {
    let metadata = cluster.metadata
    var byNode: [Int32: (batches: [ProducerBatch], size: Int)] = [:]
    var expired: [ProducerBatch] = []
    var isStale = false
    // Sorted, and begun elsewhere each time, so that no partition starves.
    for partition in rotated(candidates(onlyDoubts: onlyDoubts)) {
      expired += takeExpired(partition)
      guard let leader = metadata.leader(of: partition)?.leader else {
        isStale = true
        continue
      }
      guard mayJoin(partition) else { continue }
      let node = byNode[leader] ?? ([], 0)
      guard requestsInFlight[leader, default: 0] < options.maxInFlight else { continue }
      guard
        let batch = take(
          partition, room: options.maxRequestSize - node.size, &next, mayBeNew: !onlyDoubts)
      else { continue }
      guard seal(batch) else { continue }
      byNode[leader] = (node.batches + [batch], node.size + batch.size)
    }
    if isStale { cluster.requestUpdate() }
    for batch in expired { expire(batch) }
    for node in byNode.keys.sorted() { send(byNode[node]?.batches ?? [], to: node) }
    return !byNode.isEmpty
  }

  /// Partitions that have something to be sent.
  private func candidates(onlyDoubts: Bool) -> [TopicPartition] {
    if onlyDoubts { return lanes.filter { $0.value.isInDoubt }.keys.sorted() }
    var candidates = accumulator.withLock { state in
      Set(state.lanes.filter { !$0.value.batches.isEmpty }.keys)
    }
    for (partition, lane) in lanes where !lane.retries.isEmpty { candidates.insert(partition) }
    return candidates.sorted()
  }

  private func rotated(_ partitions: [TopicPartition]) -> [TopicPartition] {
    guard partitions.count > 1 else { return partitions }
    turn = (turn + 1) % partitions.count
    return Array(partitions[turn...] + partitions[..<turn])
  }

  /// Whether the transaction, if there is one, includes the partition.
  private func mayJoin(_ partition: TopicPartition) -> Bool {
    identity.mayProduce(to: partition) { [weak self] in self?.drain() }
  }

  /// The batch that the partition should send now; nil if there is none, or not yet.
  private func take(
    _ partition: TopicPartition, room: Int, _ next: inout Instant, mayBeNew: Bool
  ) -> ProducerBatch? {
    var lane = lanes[partition] ?? Lane()
    if lane.isRecovering {
      guard lane.inFlight.isEmpty else { return nil }
      if lane.retries.isEmpty { lane.isRecovering = false }
    }
    // A broker takes any sequence from a producer that it does not know. Were a second batch under
    // way when the very first fails, it would be taken, and the first never (KAFKA-14359).
    let limit = options.isIdempotent && !lane.isKnown ? 1 : options.maxInFlight
    guard lane.inFlight.count < limit else { return nil }
    guard lane.retryAt <= loop.now else {
      next = min(next, lane.retryAt)
      return nil
    }
    let batch: ProducerBatch?
    if let retry = lane.retries.first {
      batch = room >= retry.size || room == options.maxRequestSize ? retry : nil
      if batch != nil { lane.retries.removeFirst() }
      // While it recovers, a partition sends one batch at a time.
    } else if !mayBeNew {
      return nil
    } else {
      batch = takeNew(partition, room: room, &next)
    }
    guard let batch else { return nil }
    lane.inFlight.append(batch)
    lanes[partition] = lane
    return batch
  }

  private func takeNew(
    _ partition: TopicPartition, room: Int, _ next: inout Instant
  ) -> ProducerBatch? {
    let linger = isFlushing ? 0 : options.lingerMs
    let now = loop.now
    let (batch, due): (ProducerBatch?, Instant) = accumulator.withLock { state in
      guard let first = state.lanes[partition]?.batches.first else { return (nil, .distantFuture) }
      let isFull =
        first.size >= options.batchSize || (state.lanes[partition]?.batches.count ?? 0) > 1
      let due = first.createdAt.advanced(milliseconds: linger)
      let isSpaceShort = !state.spaceWaiters.isEmpty
      guard isFull || due <= now || state.isClosed || isSpaceShort else { return (nil, due) }
      guard first.size <= room || room == options.maxRequestSize else {
        return (nil, .distantFuture)
      }
      _ = state.lanes[partition]?.batches.popFirst()
      return (first, .distantFuture)
    }
    next = min(next, due)
    return batch
  }

  private func seal(_ batch: ProducerBatch) -> Bool {
    guard !batch.isSequenced else { return true }
    let sequence = options.isIdempotent ? lanes[batch.partition]?.nextSequence ?? 0 : -1
    do {
      try batch.seal(producerID: identity.producerID, epoch: identity.epoch, sequence: sequence)
    } catch {
      leave(batch)
      settle(batch) { $0.fail(error) }
      return false
    }
    if options.isIdempotent {
      lanes[batch.partition]?.nextSequence = BatchHeader.sequence(sequence, plus: batch.recordCount)
    }
    return true
  }

  // MARK: Requests

  private func send(_ batches: [ProducerBatch], to node: Int32) {
    var request = ProduceRequest()
    request.transactionalID = identity.transactionalID
    request.acks = options.acks
    request.timeoutMs = Int32(clamping: options.requestTimeoutMs)
    for batch in batches {
      batch.attempts += 1
      let data = ProduceRequest.PartitionProduceData {
        $0.index = batch.partition.partition
        $0.records = .owned(batch.bytes)
      }
      if let place = request.topicData.firstIndex(where: { $0.name == batch.partition.topic }) {
        request.topicData[place].partitionData.append(data)
      } else {
        request.topicData.append(
          ProduceRequest.TopicProduceData {
            $0.name = batch.partition.topic
            $0.partitionData = [data]
          })
      }
    }
    requestsInFlight[node, default: 0] += 1
    cluster.send(request, to: .node(node), isAnswered: options.acks != 0) { [weak self] result in
      self?.answered(result, node: node, batches)
    }
  }

  private func answered(
    _ result: Result<ProduceResponse, ClientError>, node: Int32, _ batches: [ProducerBatch]
  ) {
    requestsInFlight[node, default: 1] -= 1
    switch result {
    case .failure(let error):
      for batch in batches { failed(batch, error) }
    case .success(let response):
      for batch in batches { settle(batch, with: response) }
    }
    drainSoon()
  }

  /// Answers and failures may come from within a round: the next one begins when it is over.
  private func drainSoon() {
    let me = Confined(self)
    loop.execute { me.value.drain() }
  }

  private func settle(_ batch: ProducerBatch, with response: ProduceResponse) {
    if options.acks == 0 { return succeeded(batch, baseOffset: -1, logAppendTime: -1) }
    let topic = response.responses.first { $0.name == batch.partition.topic }
    guard
      let entry = topic?.partitionResponses.first(where: { $0.index == batch.partition.partition })
    else { return failed(batch, ClientError(.unknownServerError, "no answer for the partition")) }
    let code = ErrorCode(entry.errorCode)
    switch code {
    case .none:
      succeeded(batch, baseOffset: entry.baseOffset, logAppendTime: entry.logAppendTimeMs)
    case .duplicateSequenceNumber:
      // In the log since an earlier try whose answer was lost.
      succeeded(batch, baseOffset: -1, logAppendTime: -1)
    default:
      failed(batch, ClientError(code, entry.errorMessage))
    }
  }

  // MARK: Outcomes

  private func leave(_ batch: ProducerBatch) {
    lanes[batch.partition]?.inFlight.removeAll { $0 === batch }
  }

  func settle(_ batch: ProducerBatch, _ body: (ProducerBatch) -> Void) {
    let records = Int(batch.recordCount)
    body(batch)
    accumulator.release(bytes: batch.reserved, records: records)
  }

  private func succeeded(_ batch: ProducerBatch, baseOffset: Int64, logAppendTime: Int64) {
    leave(batch)
    lanes[batch.partition]?.isKnown = true
    settle(batch) { $0.succeed(baseOffset: baseOffset, logAppendTime: logAppendTime) }
  }

  private func failed(_ batch: ProducerBatch, _ error: ClientError) {
    let wasFirst = lanes[batch.partition]?.inFlight.first === batch
    leave(batch)
    if error.wantsMetadata { cluster.requestUpdate() }
    if error.code.map({ !Self.refusals.contains($0) }) ?? true { batch.mayBeInLog = true }
    identity.note(error)
    if error.code == .messageTooLarge, split(batch) { return }
    if mayRetry(batch, error, wasFirst: wasFirst) {
      let wait = options.retryBackoffMs
      var lane = lanes[batch.partition] ?? Lane()
      lane.retries.append(batch)
      if options.isIdempotent {
        // Sequences wrap around; what is in flight lies close together.
        lane.retries.sort { $0.baseSequence &- $1.baseSequence < 0 }
      }
      lane.isRecovering = true
      lane.retryAt = loop.now.advanced(milliseconds: wait)
      lanes[batch.partition] = lane
      return
    }
    abandon(batch, error)
  }

  /// Sends the two halves of a batch that the broker found too large; false when there are none.
  private func split(_ batch: ProducerBatch) -> Bool {
    guard
      let halves = try? batch.split(producerID: identity.producerID, epoch: identity.epoch)
    else { return false }
    var lane = lanes[batch.partition] ?? Lane()
    lane.retries += halves
    if options.isIdempotent { lane.retries.sort { $0.baseSequence &- $1.baseSequence < 0 } }
    lane.isRecovering = true
    lanes[batch.partition] = lane
    return true
  }

  /// Answers that prove that nothing was appended. A leader that steps down has perhaps appended,
  /// as has one that waits for replicas in vain.
  private static let refusals: Set<ErrorCode> = [.notEnoughReplicas, .outOfOrderSequenceNumber]

  private func mayRetry(_ batch: ProducerBatch, _ error: ClientError, wasFirst: Bool) -> Bool {
    guard identity.fatalError == nil else { return false }
    let isInTime =
      batch.createdAt.advanced(milliseconds: options.deliveryTimeoutMs) > loop.now
      && Int64(batch.attempts) <= options.retries
    guard isInTime else { return false }
    if error.code == .outOfOrderSequenceNumber, options.isIdempotent {
      // One before it was given up. Another identity could send this one a second time only.
      if identity.needsReset, batch.mayBeInLog { return false }
      // Only because one before it has failed: it will fit once that one is in the log.
      return !wasFirst || lanes[batch.partition]?.isRecovering == true
    }
    return error.isRetriable
  }

  private func expire(_ batch: ProducerBatch) {
    abandon(batch, .timedOut("\(batch.partition) was not delivered within delivery.timeout.ms"))
  }

  private func abandon(_ batch: ProducerBatch, _ error: ClientError) {
    // A sequence that may be missing in the log: the numbers must begin anew.
    if options.isIdempotent, batch.isSequenced { identity.wantReset(after: error) }
    settle(batch) { $0.fail(error) }
  }

  private func takeExpired(_ partition: TopicPartition) -> [ProducerBatch] {
    let limit = loop.now.advanced(milliseconds: -options.deliveryTimeoutMs)
    var expired: [ProducerBatch] = []
    if var lane = lanes[partition], !lane.retries.isEmpty {
      expired += lane.retries.filter { $0.createdAt <= limit }
      lane.retries.removeAll { $0.createdAt <= limit }
      lanes[partition] = lane
    }
    accumulator.withLock { state in
      while let first = state.lanes[partition]?.batches.first, first.createdAt <= limit {
        _ = state.lanes[partition]?.batches.popFirst()
        expired.append(first)
      }
    }
    return expired
  }

  // MARK: All at once

  /// A new identity: what waits to be sent again gets new sequences, from zero.
  private func resetIdentity() {
    resetSequences()
    identity.reset { [weak self] in self?.drain() }
  }

  func resetSequences() {
    for partition in lanes.keys.sorted() {
      lanes[partition]?.nextSequence = 0
      lanes[partition]?.isKnown = false
      lanes[partition]?.isRecovering = false
      for batch in lanes[partition]?.retries ?? [] { batch.unseal() }
    }
  }

  /// Fails everything that is not in flight.
  func failEverything(_ error: ClientError) {
    var failed: [ProducerBatch] = []
    for partition in lanes.keys.sorted() {
      failed += lanes[partition]?.retries ?? []
      lanes[partition]?.retries = []
    }
    let (batches, waiting) = accumulator.withLock { state in
      var batches: [ProducerBatch] = []
      for partition in state.lanes.keys.sorted() {
        while let batch = state.lanes[partition]?.batches.popFirst() { batches.append(batch) }
      }
      var waiting: [(Accumulator.Waiting, ClientError)] = []
      for name in state.topics.keys.sorted() {
        waiting += (state.topics[name]?.waiting ?? []).map { ($0, error) }
        state.topics[name]?.waiting = []
      }
      return (batches, waiting)
    }
    for batch in failed + batches {
      if options.isIdempotent, batch.isSequenced { identity.wantReset(after: error) }
      settle(batch) { $0.fail(error) }
    }
    report(waiting)
  }

  func report(_ failures: [(Accumulator.Waiting, ClientError)]) {
    for (entry, error) in failures {
      entry.report?(.failure(error))
      accumulator.release(bytes: entry.record.sizeBound, records: 1)
    }
  }
}
