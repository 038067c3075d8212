/// One Fetch request from its first look at the logs to its answer.
import Authorization
import Bytes
import KafkaMessages
import KafkaProtocol
import LogStorage
import Platform
import Records
import Replication
import Transport
import Values

final class FetchOperation: WaitingRequest {
  struct Target {
    var wanted: FetchedPartition
    /// Nil when the partition is not here; `failure` says why.
    var partition: Partition?
    var topic: String
    var failure: PartitionFailure?
  }

  let version: Int16
  let sessionID: Int32
  let isIncremental: Bool
  let connection: Connection
  private let parameters: ReadParameters
  private let maxBytes: Int
  private let minBytes: Int
  private let maxWaitMs: Int64
  private var targets: [Target] = []
  private var selector: ReplicaSelector?
  /// Nil: nobody's quota counts.
  private let client: ThrottledClient?
  private var pending: PendingReply?

  init(
    _ request: FetchRequest, _ context: RequestContext, followerID: Int32, sessionID: Int32,
    isIncremental: Bool
  ) {
    version = context.version
    self.sessionID = sessionID
    self.isIncremental = isIncremental
    connection = context.connection
    let config = context.services.config.replication
    let isFollower = followerID >= 0
    let epoch = BrokerEpoch(version >= 15 ? request.replicaState.replicaEpoch : -1)
    parameters = ReadParameters(
      reader: isFollower
        ? .follower(BrokerID(followerID), epoch: epoch)
        : .consumer(rack: request.rackID, mayUseFollower: version >= 11),
      isCommittedOnly: request.isolationLevel == 1 && !isFollower, takesCutBatches: version < 3)
    let asked = version >= 3 ? Int(request.maxBytes) : Int(Int32.max)
    client = isFollower ? nil : context.throttledClient
    let allowed = client.flatMap { context.services.throttle.largestFetch(by: $0) } ?? .max
    maxBytes = isFollower ? asked : min(asked, config.consumerFetchMaxBytes, allowed)
    minBytes = min(Int(request.minBytes), maxBytes)
    maxWaitMs = Int64(request.maxWaitMs)
    if config.selectsByRack, !isFollower, !request.rackID.isEmpty {
      selector = context.services.replicaSelector()
    }
  }

  func start(_ wanted: [FetchedPartition], _ context: RequestContext) {
    let access = context.access
    // Followers read everything, by their right to act for the cluster.
    let isFollower = parameters.followerID != nil
    if isFollower { context.exemptFromTime() }
    let mayFollow = isFollower && access?.mayOnCluster(.clusterAction) ?? true
    targets = wanted.map { wanted in
      var target = resolve(wanted, context.services)
      if let access, target.failure?.code != .unknownTopicID {
        let isAllowed = isFollower ? mayFollow : access.may(.read, .topic, target.topic)
        if !isAllowed {
          target.partition = nil
          target.failure = PartitionFailure(.topicAuthorizationFailed)
        }
      }
      return target
    }
    let reads = readAll(on: context.loop)
    if maxWaitMs <= 0 || isComplete(reads) {
      context.reply(settled(reads, on: context.loop))
      return
    }
    pending = context.park()
    context.loop.wait(
      self, on: targets.compactMap(\.partition),
      until: context.loop.now.advanced(milliseconds: maxWaitMs))
  }

  func isDone(on loop: BrokerLoop) -> Bool {
    guard connection.isOpen else { return true }
    let reads = readAll(on: loop)
    guard isComplete(reads) else { return false }
    pending?.send(settled(reads, on: loop))
    return true
  }

  func expire(on loop: BrokerLoop) {
    guard connection.isOpen else { return }
    pending?.send(settled(readAll(on: loop), on: loop))
  }

  // MARK: Reading

  private func resolve(_ wanted: FetchedPartition, _ services: BrokerServices) -> Target {
    var topic = wanted.key.topic
    if version >= 13 {
      guard let name = services.topicName(wanted.key.topicID) else {
        return Target(
          wanted: wanted, topic: "", failure: PartitionFailure(.unknownTopicID))
      }
      topic = name
    }
    let at = TopicPartition(topic, wanted.key.partition)
    guard let partition = services.partitions[at] else {
      return Target(wanted: wanted, topic: topic, failure: services.missing(at))
    }
    if version >= 13, partition.topicID != wanted.key.topicID, !partition.topicID.isZero {
      return Target(
        wanted: wanted, topic: topic, failure: PartitionFailure(.inconsistentTopicID))
    }
    return Target(wanted: wanted, partition: partition, topic: topic)
  }

  private func readAll(on loop: BrokerLoop) -> [PartitionRead] {
    var left = maxBytes
    var hasRecords = false
    var reads: [PartitionRead] = []
    reads.reserveCapacity(targets.count)
    for target in targets {
      guard let partition = target.partition else {
        var read = PartitionRead()
        read.failure = target.failure
        reads.append(read)
        continue
      }
      var read = partition.read(
        target.wanted, parameters, maxBytes: min(left, Int(target.wanted.maxBytes)),
        mustProgress: !hasRecords && version >= 3, now: loop.now, selector: selector)
      if !read.effects.isEmpty {
        loop.services.replicas.perform(read.effects, partition, on: loop)
        read.effects = []
      }
      if let failure = read.failure { loop.services.replicas.note(failure, partition) }
      if read.byteCount > 0 { hasRecords = true }
      left = max(0, left - read.byteCount)
      reads.append(read)
    }
    return reads
  }

  /// Whether there is something worth answering now.
  private func isComplete(_ reads: [PartitionRead]) -> Bool {
    if targets.isEmpty { return true }
    var bytes = 0
    for read in reads {
      if read.failure != nil || read.diverging != nil || read.preferredReplica != .none {
        return true
      }
      bytes += read.byteCount
    }
    return bytes >= minBytes
  }

  // MARK: Answering

  /// The answer; an empty one when it would be above the client's quota, and the client is then not
  /// heard until it may have so much.
  private func settled(_ reads: [PartitionRead], on loop: BrokerLoop) -> FetchResponse {
    guard let client else { return response(reads, on: loop) }
    let bytes = reads.reduce(0) { $0 + $1.byteCount }
    let wait = loop.services.throttle.fetched(bytes, by: client, at: loop.now)
    if wait == 0 { return response(reads, on: loop) }
    RequestContext.mute(connection, on: loop, forMs: wait)
    return FetchResponse {
      $0.throttleTimeMs = Int32(clamping: wait)
      // A session that has only begun is not told of: the client begins another.
      $0.sessionID = isIncremental ? sessionID : 0
    }
  }

  private func response(_ reads: [PartitionRead], on loop: BrokerLoop) -> FetchResponse {
    var response = FetchResponse()
    response.sessionID = sessionID
    let mentioned = noteAnswers(reads, on: loop)
    var lastKey: FetchPartitionKey?
    for (index, read) in reads.enumerated() where mentioned?[index] ?? true {
      let target = targets[index]
      let key = target.wanted.key
      if lastKey?.topic != key.topic || lastKey?.topicID != key.topicID {
        response.responses.append(
          FetchResponse.FetchableTopicResponse {
            $0.topic = key.topic
            $0.topicID = key.topicID
          })
        lastKey = key
      }
      let data = data(read, target, &response, on: loop)
      response.responses[response.responses.count - 1].partitions.append(data)
    }
    return response
  }

  /// What a session must mention, by target; nil when everything is.
  private func noteAnswers(_ reads: [PartitionRead], on loop: BrokerLoop) -> [Bool]? {
    guard sessionID != 0 else { return nil }
    return loop.sessions.withSession(sessionID) { session -> [Bool]? in
      // The session may have changed while this fetch waited only by a request that broke the
      // order of the protocol; then everything is told.
      guard session.partitions.count == targets.count else { return nil }
      let start = session.firstToServe < targets.count && isIncremental ? session.firstToServe : 0
      var mentioned: [Bool] = []
      for (index, read) in reads.enumerated() {
        let place = (start + index) % targets.count
        let isChanged = session.withPartition(at: place) {
          $0.noteAnswer(
            hasRecords: read.byteCount > 0, hasError: read.failure != nil,
            isDiverging: read.diverging != nil, hasPreferredReplica: read.preferredReplica != .none,
            highWatermark: read.highWatermark, logStartOffset: read.logStartOffset)
        }
        mentioned.append(isChanged)
        if read.byteCount > 0 { session.firstToServe = (place + 1) % targets.count }
      }
      return isIncremental ? mentioned : nil
    } ?? nil
  }

  private func data(
    _ read: PartitionRead, _ target: Target, _ response: inout FetchResponse, on loop: BrokerLoop
  ) -> FetchResponse.PartitionData {
    var data = FetchResponse.PartitionData()
    data.partitionIndex = target.wanted.key.partition
    data.records = .owned([])
    if let failure = read.failure {
      data.errorCode = failure.code.rawValue
      data.highWatermark = -1
      if parameters.followerID == nil { loop.services.metrics.failedFetch.add() }
      hint(failure, target, &data, &response, on: loop)
      return data
    }
    data.highWatermark = read.highWatermark
    data.lastStableOffset = read.lastStableOffset
    data.logStartOffset = read.logStartOffset
    data.preferredReadReplica = read.preferredReplica.rawValue
    data.abortedTransactions = read.aborted.map { transactions in
      transactions.map { transaction in
        FetchResponse.AbortedTransaction {
          $0.producerID = transaction.producerID
          $0.firstOffset = transaction.firstOffset
        }
      }
    }
    if let diverging = read.diverging {
      data.divergingEpoch.epoch = diverging.epoch.rawValue
      data.divergingEpoch.endOffset = diverging.endOffset
    }
    if let region = read.region {
      let services = loop.services
      let counter =
        parameters.followerID == nil
        ? services.metrics.bytesOut : services.metrics.replicationBytesOut
      counter.add(Int64(region.count))
      if version >= 4 {
        data.records = .splice(token: connection.spliceToken(for: region), count: region.count)
      } else {
        convert(region, from: target, into: &data, services)
      }
    }
    return data
  }

  private func hint(
    _ failure: PartitionFailure, _ target: Target, _ data: inout FetchResponse.PartitionData,
    _ response: inout FetchResponse, on loop: BrokerLoop
  ) {
    guard version >= 16, failure.code == .notLeaderOrFollower || failure.code == .fencedLeaderEpoch
    else { return }
    let hint = LeaderHint(
      TopicPartition(target.topic, target.wanted.key.partition), loop.services,
      listener: (connection.context as? ClientSession)?.listener ?? "")
    data.currentLeader.leaderID = hint.leader
    data.currentLeader.leaderEpoch = hint.epoch
    guard let node = hint.node, !response.nodeEndpoints.contains(where: { $0.nodeID == node.id })
    else { return }
    response.nodeEndpoints.append(
      FetchResponse.NodeEndpoint {
        $0.nodeID = node.id
        $0.host = node.host
        $0.port = node.port
        $0.rack = node.rack
      })
  }

  /// Clients of versions 0 and 1 know message format 0, those of 2 and 3 format 1.
  private func convert(
    _ region: FileRegion, from target: Target, into data: inout FetchResponse.PartitionData,
    _ services: BrokerServices
  ) {
    guard services.topicConfig(target.topic).isDownconversionEnabled else {
      data.errorCode = ErrorCode.unsupportedVersion.rawValue
      return
    }
    var output = ByteWriter(reserving: region.count)
    do {
      let bytes = try region.file.read(at: region.position, count: region.count)
      let magic: Int8 = version >= 2 ? 1 : 0
      try bytes.withUnsafeBytes {
        _ = try RecordConverter.downConvert(
          $0, to: magic, firstOffset: target.wanted.fetchOffset, into: &output)
      }
      data.records = .owned(output.array())
    } catch RecordError.compression {
      data.errorCode = ErrorCode.unsupportedCompressionType.rawValue
    } catch {
      data.errorCode = ErrorCode.unknownServerError.rawValue
    }
  }
}
