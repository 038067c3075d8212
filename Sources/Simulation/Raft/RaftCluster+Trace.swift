import KafkaProtocol
import Raft
import Values

// What is said about messages in a recorded run. Fetches that find nothing are left out.

extension RaftCluster {
  mutating func note(_ request: RaftRequest, from: Int, to: Int) {
    guard trace.isRecording, let text = Self.text(request) else { return }
    // A leader repeats itself to those that know already.
    if case .beginQuorumEpoch(let begin) = request, let machine = servers[to].machine,
      machine.currentLeader.id == begin.leader, machine.epoch == begin.epoch
    {
      return
    }
    trace.note(now, "\(servers[from].name) > \(servers[to].name) \(text)")
  }

  mutating func note(_ response: RaftResponse, from: Int, to: Int, _ batches: [RaftBatch]) {
    trace.mix(UInt64(batches.count))
    guard trace.isRecording, let text = Self.text(response, batches) else { return }
    trace.note(now, "\(servers[from].name) > \(servers[to].name) \(text)")
  }

  private static func text(_ request: RaftRequest) -> String? {
    switch request {
    case .vote(let vote):
      "Vote for \(vote.candidate.id.rawValue) in epoch \(vote.candidateEpoch.rawValue), whose log "
        + "ends at \(vote.logEnd)"
    case .beginQuorumEpoch(let begin): "BeginQuorumEpoch \(begin.epoch.rawValue)"
    case .endQuorumEpoch(let end):
      "EndQuorumEpoch \(end.epoch.rawValue), next "
        + end.preferredCandidates.map { "\($0.id.rawValue)" }.joined(separator: " ")
    case .fetch(let fetch) where fetch.maxWaitMs == 0:
      "Fetch to see who is there, epoch \(fetch.currentLeaderEpoch.rawValue)"
    case .fetch: nil
    case .fetchSnapshot(let fetch): "FetchSnapshot \(fetch.snapshotID) from \(fetch.position)"
    case .updateVoter(let update): "UpdateRaftVoter \(update.voter.id.rawValue)"
    case .apiVersions: "ApiVersions"
    case .addVoter(let change): "AddRaftVoter \(change.voter.id.rawValue)"
    case .removeVoter(let change): "RemoveRaftVoter \(change.voter.id.rawValue)"
    case .describeQuorum: nil
    }
  }

  private static func text(_ response: RaftResponse, _ batches: [RaftBatch]) -> String? {
    switch response {
    case .vote(let vote):
      vote.error != .none
        ? "\(vote.error), epoch \(vote.leader.epoch.rawValue)"
        : "vote \(vote.voteGranted ? "granted" : "rejected"), epoch \(vote.leader.epoch.rawValue)"
    case .beginQuorumEpoch(let answer), .endQuorumEpoch(let answer):
      answer.error == .none ? nil : "\(answer.error), epoch \(answer.leader.epoch.rawValue)"
    case .fetch(let fetch): text(fetch, batches)
    case .fetchSnapshot(let fetch):
      fetch.error == .none ? nil : "\(fetch.error)"
    case .updateVoter(let answer): "UpdateRaftVoter \(answer.error)"
    case .addVoter(let answer): "AddRaftVoter \(answer.error)"
    case .removeVoter(let answer): "RemoveRaftVoter \(answer.error)"
    case .describeQuorum, .apiVersions: nil
    }
  }

  private static func text(_ fetch: FetchResponse, _ batches: [RaftBatch]) -> String? {
    if fetch.error != .none {
      return "\(fetch.error), epoch \(fetch.leader.epoch.rawValue), leader "
        + (fetch.leader.id.map { "\($0.rawValue)" } ?? "unknown")
    }
    if let diverging = fetch.divergingEpoch { return "logs part at \(diverging)" }
    if let id = fetch.snapshotID { return "needs snapshot \(id)" }
    guard let first = batches.first else { return nil }
    let records = batches.flatMap { batch in
      batch.records.map { "\(RaftInvariants.text($0))@\(batch.epoch.rawValue)" }
    }
    return "records \(first.baseOffset): \(records.joined(separator: ", "))"
  }
}
