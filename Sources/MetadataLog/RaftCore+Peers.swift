// Talking to other replicas.
import Bytes
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Platform
import Raft
import Records
import Telemetry
import Transport
import Values

extension RaftCore {
  private var listener: String { options.configuration.listener }

  func send(_ request: RaftRequest, to node: RaftNode, _ correlation: CorrelationID) {
    let channel = channel(to: node)
    switch request {
    case .vote(let body):
      ask(channel, RaftWire.encode(body), 0...1, correlation) { [listener] in
        RaftWire.decode($0, listener: listener).map(RaftResponse.vote)
      }
    case .beginQuorumEpoch(let body):
      ask(channel, RaftWire.encode(body), 0...1, correlation) { [listener] in
        RaftWire.decode($0, listener: listener).map(RaftResponse.beginQuorumEpoch)
      }
    case .endQuorumEpoch(let body):
      ask(channel, RaftWire.encode(body), 0...1, correlation) { [listener] in
        RaftWire.decode($0, listener: listener).map(RaftResponse.endQuorumEpoch)
      }
    case .fetch(let body): fetch(body, channel, correlation)
    case .fetchSnapshot(let body): fetchSnapshot(body, channel, correlation)
    case .addVoter(let body):
      ask(channel, RaftWire.encode(body), 0...0, correlation) {
        .addVoter(VoterChangeResponse(ErrorCode($0.errorCode), $0.errorMessage))
      }
    case .removeVoter(let body):
      ask(channel, RaftWire.encode(body), 0...0, correlation) {
        .removeVoter(VoterChangeResponse(ErrorCode($0.errorCode), $0.errorMessage))
      }
    case .updateVoter(let body):
      ask(channel, RaftWire.encode(body), 0...0, correlation) { [listener] in
        .updateVoter(RaftWire.decode($0, listener: listener))
      }
    case .apiVersions:
      ask(channel, RaftWire.apiVersions, 0...4, correlation) { .apiVersions(RaftWire.decode($0)) }
    case .describeQuorum:
      // Received only; a machine that asks it gets no answer.
      failLater(correlation)
    }
  }

  private func channel(to node: RaftNode) -> PeerChannel {
    if let known = channels[node.id], known.host == node.host, known.port == node.port {
      return known
    }
    channels[node.id]?.close()
    var limits = ConnectionLimits()
    limits.maxFrameBytes = options.maxResponseBytes
    limits.connectTimeoutMs = options.configuration.options.requestTimeoutMs
    let made = PeerChannel(
      to: node.host, port: node.port, on: loop,
      clientID: "raft-client-\(options.configuration.own.id.rawValue)",
      name: "quorum node \(node.id.rawValue)",
      timeoutMs: options.configuration.options.requestTimeoutMs, limits: limits,
      policy: .negotiated)
    channels[node.id] = made
    return made
  }

  private func ask<R: KafkaRequest>(
    _ channel: PeerChannel, _ request: R, _ versions: ClosedRange<Int16>,
    _ correlation: CorrelationID, _ decode: @escaping (R.Response) -> RaftResponse?
  ) {
    channel.call(request, versions: versions) { [weak self] result in
      switch result {
      case .failure(let error): self?.failed(correlation, error)
      case .success(let answer):
        guard let response = decode(answer) else {
          self?.failed(correlation, .malformed("\(R.apiKey.name) names no partition"))
          return
        }
        self?.take(.response(response, to: correlation))
      }
    }
  }

  private func failed(_ correlation: CorrelationID, _ error: PeerError) {
    if case .malformed(let what) = error { Self.log.warn("answer of a quorum node: \(what)") }
    take(.requestFailed(correlation, isRefused: error == .refused))
  }

  private func failLater(_ correlation: CorrelationID) {
    let core = Unchecked(self)
    loop.execute { core.value.take(.requestFailed(correlation, isRefused: false)) }
  }

  // MARK: Fetching

  private func fetch(
    _ request: Raft.FetchRequest, _ channel: PeerChannel, _ correlation: CorrelationID
  ) {
    // Below 12 there is neither the last fetched epoch nor a diverging one.
    channel.send(RaftWire.encode(request), versions: 12...17) { [weak self] result in
      guard let self else { return }
      do {
        let answer = try result.get()
        let wire = try answer.decode(KafkaMessages.FetchResponse.self).get()
        let batches = try fetchedBatches(wire, in: answer.frame)
        guard let response = RaftWire.decode(wire, batches: batches, listener: listener) else {
          throw PeerError.malformed("Fetch names no partition")
        }
        take(.response(.fetch(response), to: correlation))
        // What the machine did not want, it does not want later either.
        for batch in batches { payloads[batch.token] = nil }
      } catch {
        failed(correlation, (error as? PeerError) ?? .malformed("Fetch: \(error)"))
      }
    }
  }

  /// Verifies the batches of a response and copies each out of the frame; one that is cut off at
  /// the end is left out.
  private func fetchedBatches(
    _ wire: KafkaMessages.FetchResponse, in frame: UnsafeMutableRawBufferPointer
  ) throws -> [FetchedBatch] {
    guard case .inFrame(let range)? = wire.responses.first?.partitions.first?.records else {
      return []
    }
    var found: [FetchedBatch] = []
    var iterator = BatchIterator(UnsafeRawBufferPointer(rebasing: frame[range]))
    while let batch = try iterator.next() {
      try batch.validate()
      var entries = ControlEntries()
      if batch.header.isControl { entries.take(try MetadataBatch(batch), offset: nil) }
      found.append(
        FetchedBatch(
          baseOffset: batch.header.baseOffset, lastOffset: batch.header.lastOffset,
          epoch: LeaderEpoch(batch.header.partitionLeaderEpoch), voters: entries.voters.last,
          kraftVersion: entries.levels.last, token: newToken(.bytes(Array(batch.bytes)))))
    }
    return found
  }

  private func fetchSnapshot(
    _ request: Raft.FetchSnapshotRequest, _ channel: PeerChannel, _ correlation: CorrelationID
  ) {
    channel.send(RaftWire.encode(request), versions: 0...1) { [weak self] result in
      guard let self else { return }
      do {
        let answer = try result.get()
        let wire = try answer.decode(KafkaMessages.FetchSnapshotResponse.self).get()
        var bytes: [UInt8] = []
        if case .inFrame(let range)? = wire.topics.first?.partitions.first?.unalignedRecords {
          bytes = Array(answer.frame[range])
        }
        let token = newToken(.bytes(bytes))
        guard let response = RaftWire.decode(wire, token: token, listener: listener) else {
          payloads[token] = nil
          throw PeerError.malformed("FetchSnapshot names no partition")
        }
        take(.response(.fetchSnapshot(response), to: correlation))
        payloads[token] = nil
      } catch {
        failed(correlation, (error as? PeerError) ?? .malformed("FetchSnapshot: \(error)"))
      }
    }
  }
}
