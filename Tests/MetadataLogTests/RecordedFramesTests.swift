import Bytes
import Foundation
import KafkaMessages
import KafkaProtocol
import Raft
import TestKit
import Testing
import Values

@testable import MetadataLog

/// Frames between real controllers and brokers: what the machine's types say of them, written
/// again, is the same frame.
@Suite struct RecordedFramesTests {
  private struct Frame: Decodable {
    let conn: String
    let dir: String
    let api_key: Int16
    let api_version: Int16
    let hex: String

    var bytes: [UInt8] {
      var bytes: [UInt8] = []
      var digits = Substring(hex)
      while let byte = UInt8(digits.prefix(2), radix: 16) {
        bytes.append(byte)
        digits = digits.dropFirst(2)
      }
      return bytes
    }
  }

  private func frames(
    _ api: ApiKey, _ direction: String
  ) throws -> [(version: Int16, body: [UInt8])] {
    let text = String(decoding: try Fixtures.data("frames-kraft.jsonl.gz"), as: UTF8.self)
    return try text.split(separator: "\n").compactMap { line in
      let frame = try JSONDecoder().decode(Frame.self, from: Data(line.utf8))
      guard frame.api_key == api.rawValue, frame.dir == direction else { return nil }
      let bytes = frame.bytes
      let start = try bytes.decoded { (reader) throws(ByteError) in
        if direction == "req" {
          _ = try RequestHeader(from: &reader)
        } else {
          _ = try ResponseHeader(
            from: &reader, version: api.responseHeaderVersion(frame.api_version))
        }
        return reader.position
      }
      return (frame.api_version, Array(bytes[start...]))
    }
  }

  private func read<M: KafkaMessage>(
    _ type: M.Type, _ body: [UInt8], _ version: Int16
  ) throws -> M {
    try body.decoded { (reader) throws(ByteError) in
      var message = try M(from: &reader, version: version)
      message.copyRecords(from: body.span.bytes)
      return message
    }
  }

  private func written(_ message: some KafkaMessage, _ version: Int16) -> [UInt8] {
    var writer = ByteWriter()
    message.write(to: &writer, version: version)
    return writer.array()
  }

  /// Checks every recorded frame of an API in one direction, and that there are some.
  private func check<M: KafkaMessage>(
    _ api: ApiKey, _ direction: String, _ type: M.Type,
    _ convert: (M, Int16) throws -> (some KafkaMessage)?
  ) throws {
    let all = try frames(api, direction)
    #expect(!all.isEmpty)
    for (version, body) in all {
      let message = try read(M.self, body, version)
      let again = try #require(try convert(message, version))
      #expect(written(again, version) == body, "\(api) v\(version) \(direction)")
    }
  }

  private static let listener = "CONTROLLER"

  @Test func votes() throws {
    try check(.vote, "req", KafkaMessages.VoteRequest.self) { wire, version in
      RaftWire.encode(try RaftWire.decode(wire, version: version))
    }
    try check(.vote, "res", KafkaMessages.VoteResponse.self) { wire, _ in
      RaftWire.decode(wire, listener: Self.listener).map {
        RaftWire.encode($0, listener: Self.listener)
      }
    }
  }

  @Test func quorumEpochs() throws {
    try check(.beginQuorumEpoch, "req", KafkaMessages.BeginQuorumEpochRequest.self) {
      RaftWire.encode(try RaftWire.decode($0, version: $1))
    }
    try check(.beginQuorumEpoch, "res", BeginQuorumEpochResponse.self) { wire, _ in
      RaftWire.decode(wire, listener: Self.listener).map {
        RaftWire.encodeBegin($0, listener: Self.listener)
      }
    }
    try check(.endQuorumEpoch, "req", KafkaMessages.EndQuorumEpochRequest.self) {
      RaftWire.encode(try RaftWire.decode($0, version: $1))
    }
    try check(.endQuorumEpoch, "res", EndQuorumEpochResponse.self) { wire, _ in
      RaftWire.decode(wire, listener: Self.listener).map {
        RaftWire.encodeEnd($0, listener: Self.listener)
      }
    }
  }

  @Test func fetches() throws {
    try check(.fetch, "req", KafkaMessages.FetchRequest.self) {
      RaftWire.encode(try RaftWire.decode($0, version: $1))
    }
    try check(.fetch, "res", KafkaMessages.FetchResponse.self) {
      (wire, _) -> KafkaMessages.FetchResponse? in
      guard case .owned(let records)? = wire.responses.first?.partitions.first?.records else {
        return RaftWire.decode(wire, batches: [], listener: Self.listener).map {
          RaftWire.encode($0, records: [], listener: Self.listener)
        }
      }
      // The batches in it can be read, too.
      _ = try records.withUnsafeBytes { try MetadataBatch.read($0) }
      return RaftWire.decode(wire, batches: [], listener: Self.listener).map {
        RaftWire.encode($0, records: records, listener: Self.listener)
      }
    }
  }

  @Test func snapshots() throws {
    try check(.fetchSnapshot, "req", KafkaMessages.FetchSnapshotRequest.self) { wire, _ in
      RaftWire.encode(try RaftWire.decode(wire))
    }
    try check(.fetchSnapshot, "res", KafkaMessages.FetchSnapshotResponse.self) {
      (wire, _) -> KafkaMessages.FetchSnapshotResponse? in
      guard case .owned(let bytes)? = wire.topics.first?.partitions.first?.unalignedRecords else {
        return nil
      }
      return RaftWire.decode(wire, token: 1, listener: Self.listener).map {
        RaftWire.encode($0, bytes: bytes, listener: Self.listener)
      }
    }
  }

  @Test func voterChanges() throws {
    try check(.addRaftVoter, "req", AddRaftVoterRequest.self) { wire, _ in
      RaftWire.encode(RaftWire.decode(wire))
    }
    try check(.removeRaftVoter, "req", RemoveRaftVoterRequest.self) { wire, _ in
      RaftWire.encode(RaftWire.decode(wire))
    }
    for (version, body) in try frames(.addRaftVoter, "res") {
      let ours = AddRaftVoterResponse { $0.errorMessage = VoterChangeResponse(.none).text }
      #expect(written(ours, version) == body)
    }
  }

  @Test func quorumDescriptions() throws {
    for (version, body) in try frames(.describeQuorum, "res") {
      let wire = try read(KafkaMessages.DescribeQuorumResponse.self, body, version)
      let partition = try #require(wire.topics.first?.partitions.first)
      func replica(
        _ state: KafkaMessages.DescribeQuorumResponse.ReplicaState
      ) -> Raft.DescribeQuorumResponse.Replica {
        Raft.DescribeQuorumResponse.Replica(
          key: ReplicaKey(BrokerID(state.replicaID), directory: state.replicaDirectoryID),
          logEndOffset: state.logEndOffset,
          lastFetch: Instant(milliseconds: state.lastFetchTimestamp - 1_700_000_000_000),
          lastCaughtUp: Instant(milliseconds: state.lastCaughtUpTimestamp - 1_700_000_000_000))
      }
      let ours = Raft.DescribeQuorumResponse(
        leader: CurrentLeader(
          id: BrokerID(partition.leaderID), epoch: LeaderEpoch(partition.leaderEpoch)),
        highWatermark: partition.highWatermark, voters: partition.currentVoters.map(replica),
        observers: partition.observers.map(replica),
        nodes: wire.nodes.map { node in
          Voter(
            ReplicaKey(BrokerID(node.nodeID)),
            endpoints: node.listeners.map {
              Raft.Endpoint(listener: $0.name, host: $0.host, port: $0.port)
            })
        })
      let encoded = RaftWire.encode(ours) { $0.milliseconds + 1_700_000_000_000 }
      #expect(written(encoded, version) == body)
    }
  }
}
