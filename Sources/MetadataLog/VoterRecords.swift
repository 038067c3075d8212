// The Raft machine's voters and control records, as the log has them, and back.
import KafkaRecords
import Raft
import Values

extension VoterSet {
  /// Nil when two voters have the same id, or a range of levels is none: no such record is written.
  init?(_ record: VotersRecord) {
    let ids = Set(record.voters.map(\.voterID))
    guard ids.count == record.voters.count,
      record.voters.allSatisfy({
        $0.kRaftVersionFeature.minSupportedVersion <= $0.kRaftVersionFeature.maxSupportedVersion
      })
    else { return nil }
    self.init(
      record.voters.map { voter in
        let levels = voter.kRaftVersionFeature
        return Voter(
          ReplicaKey(BrokerID(voter.voterID), directory: voter.voterDirectoryID),
          endpoints: voter.endpoints.map {
            Raft.Endpoint(listener: $0.name, host: $0.host, port: $0.port)
          },
          kraftVersions: levels.minSupportedVersion...levels.maxSupportedVersion)
      })
  }

  var record: VotersRecord {
    var record = VotersRecord()
    record.voters = voters.map { voter in
      var entry = VotersRecord.Voter()
      entry.voterID = voter.key.id.rawValue
      entry.voterDirectoryID = voter.key.directory
      entry.endpoints = voter.endpoints.map { endpoint in
        var made = VotersRecord.Endpoint()
        made.name = endpoint.listener
        made.host = endpoint.host
        made.port = endpoint.port
        return made
      }
      entry.kRaftVersionFeature.minSupportedVersion = voter.kraftVersions.lowerBound
      entry.kRaftVersionFeature.maxSupportedVersion = voter.kraftVersions.upperBound
      return entry
    }
    return record
  }
}

extension MetadataControl {
  init(_ record: ControlRecord) {
    switch record {
    case .leaderChange(let leader, let voters, let granting):
      var message = LeaderChangeMessage()
      message.leaderID = leader.rawValue
      message.voters = voters.map(Self.voter)
      message.grantingVoters = granting.map(Self.voter)
      self = .leaderChange(message)
    case .kraftVersion(let level):
      self = .kraftVersion(KRaftVersionRecord { $0.kRaftVersion = level })
    case .voters(let set): self = .voters(set.record)
    }
  }

  private static func voter(_ id: BrokerID) -> LeaderChangeMessage.Voter {
    LeaderChangeMessage.Voter { $0.voterID = id.rawValue }
  }
}
