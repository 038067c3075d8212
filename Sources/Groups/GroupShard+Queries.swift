import KafkaProtocol
import Values

/// A group as ListGroups shows it.
public struct GroupListing: Hashable, Sendable {
  public var id: String
  public var protocolType: String
  public var state: GroupState
  /// `classic`: the only type here.
  public var type: String { "classic" }
}

/// A group as DescribeGroups shows it.
public struct GroupSummary: Hashable, Sendable {
  public struct Member: Hashable, Sendable {
    public var id: String
    public var instanceID: String?
    public var clientID: String
    public var clientHost: String
    /// Empty unless the group is stable.
    public var metadata: [UInt8]
    public var assignment: [UInt8]
  }

  public var state: GroupState
  public var protocolType: String
  /// Empty unless the group is stable.
  public var protocolName: String
  public var members: [Member]

  /// A group that is not there.
  public static let dead = GroupSummary(
    state: .dead, protocolType: "", protocolName: "", members: [])
}

/// One partition of OffsetFetch.
public struct FetchedOffset: Hashable, Sendable {
  public var partition: TopicPartition
  /// -1 when nothing is committed.
  public var offset: Offset
  public var leaderEpoch: Int32
  public var metadata: String
  public var error: ErrorCode

  public init(
    partition: TopicPartition, offset: Offset, leaderEpoch: Int32, metadata: String,
    error: ErrorCode
  ) {
    self.partition = partition
    self.offset = offset
    self.leaderEpoch = leaderEpoch
    self.metadata = metadata
    self.error = error
  }
}

extension GroupShard {
  public var groupCount: Int { groups.count }
  public var offsetCount: Int { groups.values.reduce(0) { $0 + $1.offsets.entries.count } }

  /// How many groups are in a state.
  public func count(in state: GroupState) -> Int { groups.values.count { $0.state == state } }

  /// Every group, by id.
  /// - Parameters:
  ///   - states: names of states, in any case; empty for all.
  ///   - types: names of types, in any case; empty for all.
  public func list(states: [String] = [], types: [String] = []) -> [GroupListing] {
    let wanted = Set(states.map { $0.lowercased() })
    guard types.isEmpty || types.contains(where: { $0.lowercased() == "classic" }) else {
      return []
    }
    return groups.keys.sorted().compactMap { id in
      guard let group = groups[id],
        wanted.isEmpty || wanted.contains(group.state.rawValue.lowercased())
      else { return nil }
      return GroupListing(id: id, protocolType: group.protocolType ?? "", state: group.state)
    }
  }

  public func describe(_ groupID: String) -> GroupSummary {
    guard let group = groups[groupID] else { return .dead }
    let isStable = group.state == .stable
    let protocolName = isStable ? group.protocolName ?? "" : ""
    return GroupSummary(
      state: group.state, protocolType: group.protocolType ?? "", protocolName: protocolName,
      members: group.allMembers.map { member in
        GroupSummary.Member(
          id: member.id, instanceID: member.instanceID, clientID: member.clientID,
          clientHost: member.clientHost,
          metadata: isStable ? member.metadata(for: protocolName) : [],
          assignment: isStable ? member.assignment : [])
      })
  }

  /// The generation a group is in; nil when it is not there.
  public func generation(of groupID: String) -> Int32? { groups[groupID]?.generation }

  /// Committed offsets, whatever state the group is in.
  /// - Parameters:
  ///   - partitions: nil for all that have one, in order.
  ///   - requireStable: whether offsets whose commit is under way are refused (KIP-447).
  public func fetchOffsets(
    _ groupID: String, _ partitions: [TopicPartition]?, requireStable: Bool
  ) -> [FetchedOffset] {
    let offsets = groups[groupID]?.offsets
    return (partitions ?? offsets?.partitions ?? []).map { partition in
      if requireStable, offsets?.isUnstable(partition) == true {
        return FetchedOffset(
          partition: partition, offset: -1, leaderEpoch: -1, metadata: "",
          error: .unstableOffsetCommit)
      }
      let value = offsets?[partition]
      return FetchedOffset(
        partition: partition, offset: value?.offset ?? -1, leaderEpoch: value?.leaderEpoch ?? -1,
        metadata: value?.metadata ?? "", error: .none)
    }
  }
}
