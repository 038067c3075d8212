/// Requests of a fetcher, and what is done with their answers.
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Replication
import Values

extension ReplicaFetcher {
  // MARK: Fetch

  func fetch(_ wanted: [FetchedPartition], on channel: PeerChannel) {
    let config = services.config.replication
    var request = FetchRequest()
    request.replicaID = services.brokerID.rawValue
    request.replicaState.replicaID = services.brokerID.rawValue
    request.replicaState.replicaEpoch = services.brokerEpoch.rawValue
    request.maxWaitMs = config.fetchWaitMaxMs
    request.minBytes = config.fetchMinBytes
    request.maxBytes = config.fetchResponseMaxBytes
    session.fill(&request, wanted: wanted, topics: { entries[$0]?.partition.id.topic ?? "" },
      version: versions.fetch)
    isFetching = true
    let sent = Dictionary(wanted.map { ($0.key, $0) }) { first, _ in first }
    channel.send(request, version: versions.fetch) { [weak self] result in
      self?.fetched(result, sent)
    }
  }

  private func fetched(
    _ result: Result<PeerChannel.PeerResponse, PeerError>,
    _ sent: [FetchPartitionKey: FetchedPartition]
  ) {
    isFetching = false
    defer { pumpSoon() }
    let frame: PeerChannel.PeerResponse
    let response: FetchResponse
    do throws(PeerError) {
      frame = try result.get()
      response = try frame.decode(FetchResponse.self).get()
    } catch {
      Self.log.debug("fetch failed: \(error)", ["leader": leader.rawValue])
      disconnect()
      for wanted in sent.values { pause(wanted) }
      return
    }
    guard response.errorCode == 0 else {
      // Session errors: the next request begins a new session.
      session.reset()
      return
    }
    if versions.fetch >= 7 { session.took(sessionID: response.sessionID) }
    var largestLag: Int64 = 0
    for topic in response.responses {
      for data in topic.partitions {
        let key =
          versions.fetch >= 13
          ? FetchPartitionKey(topicID: topic.topicID, partition: data.partitionIndex)
          : FetchPartitionKey(topic: topic.topic, partition: data.partitionIndex)
        guard let wanted = sent[key] else { continue }
        largestLag = max(largestLag, apply(data, to: wanted, frame.frame))
      }
    }
    noteLag(largestLag)
  }

  private func pause(_ wanted: FetchedPartition) {
    guard let entry = entries[wanted.handle], let log = entry.partition.log else { return }
    var effects: [FollowerFetcher.Effect] = []
    entries[wanted.handle]?.machine.step(
      .failed, log: FollowerLogView(log), at: loop.now, into: &effects)
  }

  /// - Returns: how many records the partition is behind.
  private func apply(
    _ data: FetchResponse.PartitionData, to wanted: FetchedPartition,
    _ frame: UnsafeMutableRawBufferPointer
  ) -> Int64 {
    guard let entry = entries[wanted.handle], let log = entry.partition.log,
      entry.machine.leaderEpoch.rawValue == wanted.currentLeaderEpoch,
      log.logEndOffset == wanted.fetchOffset
    else { return 0 }
    var records = UnsafeRawBufferPointer(start: nil, count: 0)
    if case .inFrame(let range) = data.records {
      records = UnsafeRawBufferPointer(rebasing: frame[range])
    }
    let answer: FollowerFetcher.Answer
    switch ErrorCode(data.errorCode) {
    case .none where data.divergingEpoch.epoch >= 0 || data.divergingEpoch.endOffset >= 0:
      answer = .diverging(
        EpochEnd(
          epoch: LeaderEpoch(data.divergingEpoch.epoch),
          endOffset: data.divergingEpoch.endOffset))
    case .none:
      answer = .fetched(
        highWatermark: data.highWatermark, logStartOffset: data.logStartOffset,
        recordBytes: records.count)
    case .offsetOutOfRange: answer = .outOfRange
    case .fencedLeaderEpoch: answer = .fenced
    default: answer = .failed
    }
    step(answer, entry.partition, records)
    return max(0, data.highWatermark - log.logEndOffset)
  }

  /// Steps the machine and carries out what it says, as long as the partition still follows.
  func step(
    _ answer: FollowerFetcher.Answer, _ partition: Partition, _ records: UnsafeRawBufferPointer
  ) {
    guard var machine = entries[partition.index]?.machine, let log = partition.log else { return }
    var effects: [FollowerFetcher.Effect] = []
    machine.step(answer, log: FollowerLogView(log), at: loop.now, into: &effects)
    entries[partition.index]?.machine = machine
    if effects.isEmpty { return }
    do throws(PartitionFailure) {
      let outcome = try partition.follow(
        effects, records, leader: leader, epoch: machine.leaderEpoch, now: loop.now,
        wallNow: loop.wallNow)
      if outcome.appendedBytes > 0 {
        services.metrics.replicationBytesIn.add(Int64(outcome.appendedBytes))
      }
      services.replicas.perform(outcome.effects, partition, on: loop)
    } catch {
      failed(error, partition)
    }
  }

  private func failed(_ failure: PartitionFailure, _ partition: Partition) {
    if failure.code == .kafkaStorageError {
      services.replicas.note(failure, partition)
      entries[partition.index] = nil
      return
    }
    if failure.code != .notLeaderOrFollower {
      Self.log.warn(
        "records from the leader not taken: \(failure.message ?? "\(failure.code)")",
        ["partition": partition.id, "leader": leader.rawValue])
    }
    guard let log = partition.log else { return }
    var effects: [FollowerFetcher.Effect] = []
    entries[partition.index]?.machine.step(
      .failed, log: FollowerLogView(log), at: loop.now, into: &effects)
  }

  // MARK: Other questions

  func ask(_ question: FollowerFetcher.Question, _ index: Int, on channel: PeerChannel) {
    guard let entry = entries[index] else { return }
    entries[index]?.isAsking = true
    switch question {
    case .fetch: break
    case .endOfEpoch(let epoch): askEnd(of: epoch, entry, on: channel)
    case .latestOffset: askOffset(timestamp: -1, entry, on: channel)
    case .earliestOffset: askOffset(timestamp: -2, entry, on: channel)
    }
  }

  private func askEnd(of epoch: LeaderEpoch, _ entry: Entry, on channel: PeerChannel) {
    let at = entry.partition.id
    let request = OffsetForLeaderEpochRequest {
      $0.replicaID = services.brokerID.rawValue
      $0.topics = [
        OffsetForLeaderEpochRequest.OffsetForLeaderTopic {
          $0.topic = at.topic
          $0.partitions = [
            OffsetForLeaderEpochRequest.OffsetForLeaderPartition {
              $0.partition = at.partition
              $0.currentLeaderEpoch = entry.machine.leaderEpoch.rawValue
              $0.leaderEpoch = epoch.rawValue
            }
          ]
        }
      ]
    }
    channel.call(request, version: versions.offsetForLeaderEpoch) { [weak self] result in
      let found = (try? result.get())?.topics.first?.partitions.first
      guard let found else {
        self?.answered(.failed, entry)
        return
      }
      switch ErrorCode(found.errorCode) {
      case .none where found.endOffset >= 0:
        self?.answered(
          .epochEnd(
            EpochEnd(epoch: LeaderEpoch(found.leaderEpoch), endOffset: found.endOffset)), entry)
      case .none: self?.answered(.epochEnd(nil), entry)
      case .fencedLeaderEpoch: self?.answered(.fenced, entry)
      default: self?.answered(.failed, entry)
      }
    }
  }

  private func askOffset(timestamp: Int64, _ entry: Entry, on channel: PeerChannel) {
    let at = entry.partition.id
    let request = ListOffsetsRequest {
      $0.replicaID = services.brokerID.rawValue
      $0.topics = [
        ListOffsetsRequest.ListOffsetsTopic {
          $0.name = at.topic
          $0.partitions = [
            ListOffsetsRequest.ListOffsetsPartition {
              $0.partitionIndex = at.partition
              $0.currentLeaderEpoch = entry.machine.leaderEpoch.rawValue
              $0.timestamp = timestamp
            }
          ]
        }
      ]
    }
    channel.call(request, version: versions.listOffsets) { [weak self] result in
      let found = (try? result.get())?.topics.first?.partitions.first
      guard let found, found.errorCode == 0 else {
        let isFenced = found?.errorCode == ErrorCode.fencedLeaderEpoch.rawValue
        self?.answered(isFenced ? .fenced : .failed, entry)
        return
      }
      self?.answered(.offset(found.oldStyleOffsets.first ?? found.offset), entry)
    }
  }

  private func answered(_ answer: FollowerFetcher.Answer, _ asked: Entry) {
    let index = asked.partition.index
    defer { pumpSoon() }
    guard let entry = entries[index], entry.partition === asked.partition,
      entry.machine.leaderEpoch == asked.machine.leaderEpoch
    else { return }
    entries[index]?.isAsking = false
    step(answer, entry.partition, UnsafeRawBufferPointer(start: nil, count: 0))
  }
}
