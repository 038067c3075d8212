import Values

// Who votes (KIP-853). With kraft.version 0 the set is configured and never changes; with 1 it is
// what the newest voters record of the log says, committed or not.

/// One voter, as a voters record has it.
public struct Voter: Hashable, Sendable {
  public var key: ReplicaKey
  /// By listener name, ascending.
  public private(set) var endpoints: [Endpoint]
  /// The kraft.version levels it can work with.
  public var kraftVersions: ClosedRange<Int16>

  public init(_ key: ReplicaKey, endpoints: [Endpoint], kraftVersions: ClosedRange<Int16> = 0...1) {
    self.key = key
    self.endpoints = endpoints.sorted()
    self.kraftVersions = kraftVersions
  }

  /// Where it listens under this listener name.
  public func node(listener: String) -> RaftNode? {
    endpoints.first { $0.listener == listener }.map {
      RaftNode(id: key.id, host: $0.host, port: $0.port)
    }
  }
}

/// A set of voters, ascending by id; no two have the same id.
public struct VoterSet: Hashable, Sendable {
  public private(set) var voters: [Voter]

  /// - Precondition: ids are unique.
  public init(_ voters: [Voter]) {
    self.voters = voters.sorted { $0.key.id < $1.key.id }
    precondition(zip(self.voters, self.voters.dropFirst()).allSatisfy { $0.key.id < $1.key.id })
  }

  public static let empty = VoterSet([])

  public var count: Int { voters.count }
  public var isEmpty: Bool { voters.isEmpty }
  public var ids: [BrokerID] { voters.map(\.key.id) }
  public var keys: [ReplicaKey] { voters.map(\.key) }
  /// How many voters decide: more than half.
  public var majority: Int { voters.count / 2 + 1 }

  public subscript(id: BrokerID) -> Voter? { voters.first { $0.key.id == id } }

  /// Whether this replica votes. A voter without directory id is matched by its node id alone.
  public func isVoter(_ key: ReplicaKey) -> Bool { self[key.id]?.key.means(key) ?? false }

  public func isOnlyVoter(_ key: ReplicaKey) -> Bool { count == 1 && isVoter(key) }

  /// Whether this voter is in the set, but with other endpoints or levels.
  public func needsUpdate(_ voter: Voter) -> Bool {
    guard let known = self[voter.key.id] else { return false }
    return known.key.means(voter.key) && known != voter
  }

  /// The endpoints of a voter; empty if it is none.
  public func endpoints(of id: BrokerID) -> [Endpoint] { self[id]?.endpoints ?? [] }

  // MARK: Changes, one voter at a time

  /// Nil if the id is taken, by whatever directory.
  public func adding(_ voter: Voter) -> VoterSet? {
    self[voter.key.id] == nil ? VoterSet(voters + [voter]) : nil
  }

  /// Nil if it is not a voter with exactly this key, or the last one.
  public func removing(_ key: ReplicaKey) -> VoterSet? {
    guard count > 1, self[key.id]?.key == key else { return nil }
    return VoterSet(voters.filter { $0.key != key })
  }

  /// Nil if it is no voter.
  public func updating(_ voter: Voter) -> VoterSet? {
    guard isVoter(voter.key) else { return nil }
    return VoterSet(voters.map { $0.key.id == voter.key.id ? voter : $0 })
  }

  /// Whether every majority of one meets every majority of the other: they differ by at most one
  /// voter.
  public func overlaps(_ other: VoterSet) -> Bool {
    let mine = Set(keys)
    let theirs = Set(other.keys)
    return mine.subtracting(theirs).count <= 1 && theirs.subtracting(mine).count <= 1
  }
}
