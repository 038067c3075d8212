// The configuration in force, and the one that is to come.

import Bytes
import ZooKeeperProtocol

/// What a server knows of the ensemble's configuration.
///
/// While a newer configuration is proposed and not known to be agreed on, whatever needs a quorum
/// needs one of both: the old members cannot go on without the new ones, nor the new ones without
/// what the old ones have committed.
public struct Membership: Sendable {
  /// The configuration that was agreed on.
  public private(set) var current: EnsembleConfig
  /// A newer one that this server has seen a proposal of.
  public private(set) var next: EnsembleConfig?
  /// `reconfigEnabled`: without it, what others say of configurations is not listened to.
  public let isChangeable: Bool
  public private(set) var ensemble: Ensemble
  private var nextEnsemble: Ensemble?

  public init(_ current: EnsembleConfig, next: EnsembleConfig? = nil, isChangeable: Bool = false) {
    self.current = current
    self.isChangeable = isChangeable
    ensemble = current.ensemble
    if let next { see(next) }
  }

  struct Versions: Equatable, Sendable {
    var current: Int64
    var lastSeen: Int64
  }

  /// Tells two memberships of one server apart.
  var versions: Versions { Versions(current: current.version, lastSeen: lastSeen.version) }

  /// The newest configuration this server knows of.
  public var lastSeen: EnsembleConfig { next ?? current }

  /// From this transaction on two quorums are needed.
  var nextZxid: Zxid? { next.map { Zxid(rawValue: $0.version) } }

  /// A configuration has been proposed; false if it is nothing new.
  @discardableResult
  mutating func see(_ config: EnsembleConfig) -> Bool {
    guard isChangeable, config.version > lastSeen.version else { return false }
    next = config
    nextEnsemble = config.ensemble
    return true
  }

  /// A configuration has been agreed on; false if it is nothing new.
  mutating func activate(_ config: EnsembleConfig) -> Bool {
    guard isChangeable, config.version > current.version else { return false }
    current = config
    ensemble = config.ensemble
    if let waiting = next, waiting.version <= config.version {
      next = nil
      nextEnsemble = nil
    }
    return true
  }

  // MARK: Quorums

  /// Whether the voters for which `supports` holds are a quorum, of both configurations if there
  /// are two.
  func isQuorum(where supports: (ServerID) -> Bool) -> Bool {
    ensemble.isQuorum(where: supports) && nextEnsemble?.isQuorum(where: supports) != false
  }

  func isQuorum(_ servers: Set<ServerID>) -> Bool { isQuorum { servers.contains($0) } }

  /// The same for one transaction: those from before the change need no quorum of the new members.
  func isQuorum(for zxid: Zxid, where supports: (ServerID) -> Bool) -> Bool {
    guard let nextZxid, zxid >= nextZxid else { return ensemble.isQuorum(where: supports) }
    return isQuorum(where: supports)
  }

  /// Whether a server votes in any of the configurations.
  func isVoter(_ server: ServerID) -> Bool {
    ensemble.isVoter(server) || nextEnsemble?.isVoter(server) == true
  }

  func contains(_ server: ServerID) -> Bool {
    ensemble.contains(server) || nextEnsemble?.contains(server) == true
  }

  /// Who votes in any of the configurations, ascending.
  var voters: [ServerID] {
    guard let nextEnsemble else { return ensemble.voters }
    return Set(ensemble.voters + nextEnsemble.voters).sorted()
  }

  /// Whether a server only watches. One that is in no configuration follows without a vote.
  func isObserver(_ server: ServerID) -> Bool { ensemble.observers.contains(server) }
}

extension EnsembleConfig {
  /// The votes and their weights.
  public var ensemble: Ensemble {
    Ensemble(
      voters: servers.filter { !$0.isObserver }.map { ServerID($0.id) },
      observers: servers.filter(\.isObserver).map { ServerID($0.id) },
      weights: Dictionary(uniqueKeysWithValues: weights.map { (ServerID($0.key), $0.value) }),
      groups: groups.keys.sorted().map { (groups[$0] ?? []).map { ServerID($0) } })
  }

  /// What `/zookeeper/config` shows, and NEWLEADER and votes carry.
  public var bytes: [UInt8] { Array(text.utf8) }

  /// Whether a server is reached at the same place in both.
  func hasSameAddress(of server: ServerID, as other: EnsembleConfig) -> Bool {
    guard let here = self.server(server.rawValue), let there = other.server(server.rawValue),
      !here.isObserver, !there.isObserver
    else { return false }
    return here.host == there.host && here.quorumPort == there.quorumPort
  }
}

extension Proposal {
  /// Where a transaction's header has its time and its type.
  private static let timeOffset = 20
  private static let typeOffset = 28

  /// When the leader made it, in milliseconds of its clock; nil for what is no transaction.
  public var time: Int64? {
    guard data.count >= Self.typeOffset + 4 else { return nil }
    var reader = ByteReader(data.span.bytes)
    guard (try? reader.skip(Self.timeOffset)) != nil else { return nil }
    return try? reader.readInt64()
  }

  /// The configuration that a reconfiguration brings; nil for all other transactions.
  public var newConfig: EnsembleConfig? {
    guard data.count >= Self.typeOffset + 4 else { return nil }
    var reader = ByteReader(data.span.bytes)
    guard (try? reader.skip(Self.typeOffset)) != nil,
      (try? reader.readInt32()) == OpCode.reconfig.rawValue,
      let txn = try? Txn(decoding: data), case .setData(_, let text?, _) = txn.body
    else { return nil }
    return try? EnsembleConfig(text: String(decoding: text, as: UTF8.self))
  }
}
