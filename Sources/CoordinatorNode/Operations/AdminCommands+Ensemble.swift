// The AdminServer's commands about the ensemble.

import HTTP
import Platform
import Zab
import ZooKeeperProtocol

extension Coordinator {
  func ensembleMembers(_ command: AdminCommand) -> [(String, JSONValue)] {
    let status = replicator?.status ?? ReplicationStatus(mode: .standalone)
    switch command {
    case .leader: return leaderMembers(status)
    case .observers:
      // Only a leader knows who observes.
      let count = status.mode == .leader ? status.syncedObservers : 0
      return [("synced_observers", .integer(Int64(count))), ("observers", .array([]))]
    case .votingView: return [("current_config", .object(voters))]
    case .zabState: return zabMembers(status)
    // Connections of observers have no statistics that could be reset.
    default: return []
    }
  }

  private func leaderMembers(_ status: ReplicationStatus) -> [(String, JSONValue)] {
    guard status.mode != .standalone else {
      return [("error", .string("server is not initialized"))]
    }
    let leader = status.leader ?? -1
    let host = membership.servers.first { $0.id == leader }?.host ?? ""
    return [
      ("is_leader", .bool(status.mode == .leader)), ("leader_id", .integer(leader)),
      ("leader_ip", .string(host)),
    ]
  }

  private var voters: [(String, JSONValue)] {
    guard config.isEnsemble else { return [] }
    return membership.servers.filter { !$0.isObserver }.map { server in
      let view: [(String, JSONValue)] = [
        ("server_addresses", .array([.string("\(server.host):\(server.quorumPort)")])),
        ("election_addresses", .array([.string("\(server.host):\(server.electionPort)")])),
        ("client_address", .string(clientAddressText(of: server))),
        ("learner_type", .string("participant")),
      ]
      return ("\(server.id)", .object(view))
    }
  }

  /// Where a server takes clients, as far as it is known here.
  private func clientAddressText(of server: EnsembleServer) -> String {
    if let port = server.clientPort { return "\(server.clientHost ?? "0.0.0.0"):\(port)" }
    return server.id == config.serverID ? "\(config.clientHost):\(config.clientPort)" : ""
  }

  private func zabMembers(_ status: ReplicationStatus) -> [(String, JSONValue)] {
    guard status.mode != .standalone, let own = membership.server(config.serverID) else {
      return [("voting", .bool(false)), ("zabstate", .string(""))]
    }
    let last = database.lastZxid
    return [
      ("myid", .integer(config.serverID)),
      ("is_leader", .bool(status.mode == .leader)),
      ("quorum_address", Self.address(own.host, own.quorumPort)),
      ("election_address", Self.address(own.host, own.electionPort)),
      ("client_address", .string(clientAddressText(of: own))),
      ("voting", .bool(!own.isObserver)),
      ("last_zxid", .string("0x\(zxidText(last))")),
      ("zab_epoch", .integer(last >> 32 & 0xffff_ffff)),
      ("zab_counter", .integer(last & 0xffff_ffff)),
      ("zabstate", .string(zabState(status))),
    ]
  }

  /// The phase of the protocol: what stands behind the dash of `peer_state`.
  private func zabState(_ status: ReplicationStatus) -> String {
    let parts = (status.peerState ?? "").split(separator: "-")
    return parts.count == 2 ? String(parts[1].drop { $0 == " " }) : "election"
  }

  /// One address in the shape that ZooKeeper gives to a set of them.
  private static func address(_ host: String, _ port: UInt16) -> JSONValue {
    let text = JSONValue.string("\(host):\(port)")
    return .object([
      ("empty", .bool(false)),
      ("all_addresses", .array([text])),
      ("one", text),
      ("wildcard_addresses", .array([.string("0.0.0.0:\(port)")])),
      ("all_ports", .array([.integer(Int64(port))])),
      ("all_host_strings", .array([.string(host)])),
    ])
  }
}
