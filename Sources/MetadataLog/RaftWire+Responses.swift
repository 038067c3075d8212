// Kafka's messages as the Raft machine's responses: what others answer.
import KafkaMessages
import KafkaProtocol
import Raft
import Values

extension RaftWire {
  /// A leader as a response names it, with the one endpoint that came along.
  private static func leader(
    _ id: Int32, _ epoch: Int32, _ endpoint: (host: String, port: UInt16)?, _ listener: String
  ) -> CurrentLeader {
    CurrentLeader(
      id: id >= 0 ? BrokerID(id) : nil, epoch: LeaderEpoch(epoch),
      endpoints: endpoint.map {
        [Raft.Endpoint(listener: listener, host: $0.host, port: $0.port)]
      } ?? [])
  }

  private static let unknown = CurrentLeader(id: nil, epoch: LeaderEpoch(-1))

  /// Nil: the response names no partition, and no error either.
  static func decode(
    _ wire: KafkaMessages.VoteResponse, listener: String
  ) -> Raft.VoteResponse? {
    let code = ErrorCode(wire.errorCode)
    guard code == .none else {
      return Raft.VoteResponse(topLevelError: code, leader: unknown, voteGranted: false)
    }
    guard let body = wire.topics.first?.partitions.first else { return nil }
    let place = wire.nodeEndpoints.first { $0.nodeID == body.leaderID }.map { ($0.host, $0.port) }
    return Raft.VoteResponse(
      error: ErrorCode(body.errorCode),
      leader: leader(body.leaderID, body.leaderEpoch, place, listener),
      voteGranted: body.voteGranted)
  }

  static func decode(
    _ wire: BeginQuorumEpochResponse, listener: String
  ) -> QuorumEpochResponse? {
    let code = ErrorCode(wire.errorCode)
    guard code == .none else { return QuorumEpochResponse(topLevelError: code, leader: unknown) }
    guard let body = wire.topics.first?.partitions.first else { return nil }
    let place = wire.nodeEndpoints.first { $0.nodeID == body.leaderID }.map { ($0.host, $0.port) }
    return QuorumEpochResponse(
      error: ErrorCode(body.errorCode),
      leader: leader(body.leaderID, body.leaderEpoch, place, listener))
  }

  static func decode(
    _ wire: EndQuorumEpochResponse, listener: String
  ) -> QuorumEpochResponse? {
    let code = ErrorCode(wire.errorCode)
    guard code == .none else { return QuorumEpochResponse(topLevelError: code, leader: unknown) }
    guard let body = wire.topics.first?.partitions.first else { return nil }
    let place = wire.nodeEndpoints.first { $0.nodeID == body.leaderID }.map { ($0.host, $0.port) }
    return QuorumEpochResponse(
      error: ErrorCode(body.errorCode),
      leader: leader(body.leaderID, body.leaderEpoch, place, listener))
  }

  /// - Parameter batches: what lies in the response's records.
  static func decode(
    _ wire: KafkaMessages.FetchResponse, batches: [FetchedBatch], listener: String
  ) -> Raft.FetchResponse? {
    let code = ErrorCode(wire.errorCode)
    guard code == .none else {
      return Raft.FetchResponse(
        topLevelError: code, leader: unknown, highWatermark: -1, logStartOffset: -1)
    }
    guard let body = wire.responses.first?.partitions.first else { return nil }
    let leaderID = body.currentLeader.leaderID
    let place = wire.nodeEndpoints.first { $0.nodeID == leaderID }.flatMap { endpoint in
      UInt16(exactly: endpoint.port).map { (endpoint.host, $0) }
    }
    let diverging = body.divergingEpoch
    let snapshot = body.snapshotID
    return Raft.FetchResponse(
      error: ErrorCode(body.errorCode),
      leader: leader(leaderID, body.currentLeader.leaderEpoch, place, listener),
      highWatermark: body.highWatermark, logStartOffset: body.logStartOffset,
      divergingEpoch: diverging.isDefault
        ? nil : OffsetAndEpoch(offset: diverging.endOffset, epoch: LeaderEpoch(diverging.epoch)),
      snapshotID: snapshot.isDefault
        ? nil : SnapshotID(offset: snapshot.endOffset, epoch: LeaderEpoch(snapshot.epoch)),
      records: batches.isEmpty ? .none : .batches(batches))
  }

  static func decode(
    _ wire: KafkaMessages.FetchSnapshotResponse, token: Token, listener: String
  ) -> Raft.FetchSnapshotResponse? {
    let code = ErrorCode(wire.errorCode)
    guard code == .none else {
      return Raft.FetchSnapshotResponse(topLevelError: code, leader: unknown)
    }
    guard let body = wire.topics.first?.partitions.first else { return nil }
    let leaderID = body.currentLeader.leaderID
    let place = wire.nodeEndpoints.first { $0.nodeID == leaderID }.map { ($0.host, $0.port) }
    let count = Int64(body.unalignedRecords.count)
    return Raft.FetchSnapshotResponse(
      error: ErrorCode(body.errorCode),
      leader: leader(leaderID, body.currentLeader.leaderEpoch, place, listener),
      snapshotID: body.snapshotID.endOffset < 0
        ? nil
        : SnapshotID(
          offset: body.snapshotID.endOffset, epoch: LeaderEpoch(body.snapshotID.epoch)),
      size: body.size, position: body.position,
      chunk: count == 0 ? .none : .bytes(token: token, count: count))
  }

  static func decode(_ wire: UpdateRaftVoterResponse, listener: String) -> UpdateVoterResponse {
    let found = wire.currentLeader
    let place = UInt16(exactly: found.port).flatMap { found.host.isEmpty ? nil : (found.host, $0) }
    return UpdateVoterResponse(
      ErrorCode(wire.errorCode),
      leader: leader(found.leaderID, found.leaderEpoch, place, listener))
  }

  static func decode(_ wire: KafkaMessages.ApiVersionsResponse) -> Raft.ApiVersionsResponse {
    let feature = wire.supportedFeatures.first { $0.name == "kraft.version" }
    let range = feature.flatMap {
      $0.minVersion <= $0.maxVersion ? $0.minVersion...$0.maxVersion : nil
    }
    return Raft.ApiVersionsResponse(ErrorCode(wire.errorCode), kraftVersions: range)
  }
}
