import Bytes
import KafkaProtocol
import KafkaRecords
import Values

/// A group's members, generation and offsets.
///
/// Members keep the order in which they joined: whatever Kafka leaves to chance (the next leader, a
/// tie of votes) goes to the one who came first, so that the same events give the same outcome.
struct Group: Sendable {
  let id: String
  private(set) var state: GroupState
  /// Nil in groups loaded from records that are too old to say.
  var stateTimestamp: WallTime?
  var generation: Int32 = 0
  var protocolType: String?
  var protocolName: String?
  var leaderID: String?

  private(set) var memberOrder: [String] = []
  private var members: [String: Member] = [:]
  /// Member ids by `group.instance.id`.
  private(set) var staticMembers: [String: String] = [:]
  /// Ids that were given to members who are to join again with them (KIP-394).
  var pendingMembers: Set<String> = []
  /// Members of this generation that have not asked for their assignment yet.
  var pendingSyncMembers: Set<String> = []
  /// Whether somebody joined since the initial delay was last extended.
  var newMemberAdded = false
  /// What is left for extending the initial delay; nil when the running rebalance is not a first.
  var initialDelayRemainingMs: Int64?
  /// What the members consume; nil when that is not known (not consumers, or not parseable).
  var subscribedTopics: Set<String>?

  var offsets = CommittedOffsets()

  init(id: String, at time: WallTime) {
    self.id = id
    state = .empty
    stateTimestamp = time
  }

  // MARK: Members

  var count: Int { memberOrder.count }
  var isEmpty: Bool { memberOrder.isEmpty }

  func has(_ memberID: String) -> Bool { members[memberID] != nil }
  func isLeader(_ memberID: String) -> Bool { leaderID == memberID }

  subscript(memberID: String) -> Member? { members[memberID] }

  /// In the order in which they joined.
  var allMembers: [Member] { memberOrder.compactMap { members[$0] } }

  var awaitingJoinCount: Int { memberOrder.count { members[$0]?.joinToken != nil } }

  /// Whether the rebalance has nobody left to wait for.
  var haveAllJoined: Bool {
    pendingMembers.isEmpty && members.values.allSatisfy { $0.joinToken != nil }
  }

  /// The longest any member asks for.
  var rebalanceTimeoutMs: Int64 {
    members.values.reduce(0) { max($0, Int64($1.rebalanceTimeoutMs)) }
  }

  mutating func add(_ member: Member) {
    if let instanceID = member.instanceID { staticMembers[instanceID] = member.id }
    if leaderID == nil { leaderID = member.id }
    if members.updateValue(member, forKey: member.id) == nil { memberOrder.append(member.id) }
    pendingMembers.remove(member.id)
  }

  @discardableResult
  mutating func remove(_ memberID: String) -> Member? {
    let removed = members.removeValue(forKey: memberID)
    if let removed {
      memberOrder.removeAll { $0 == memberID }
      if let instanceID = removed.instanceID, staticMembers[instanceID] == memberID {
        staticMembers[instanceID] = nil
      }
    }
    if isLeader(memberID) { leaderID = memberOrder.first }
    pendingMembers.remove(memberID)
    pendingSyncMembers.remove(memberID)
    return removed
  }

  /// Changes a member in place; nothing happens if it is gone.
  mutating func update(_ memberID: String, _ change: (inout Member) -> Void) {
    guard var member = members.removeValue(forKey: memberID) else { return }
    change(&member)
    members[memberID] = member
  }

  /// Gives a static member's place to a new id (KIP-345). The caller answers what the old one
  /// waited for.
  mutating func replaceStaticMember(_ instanceID: String, _ oldID: String, by newID: String) {
    guard var member = members.removeValue(forKey: oldID) else { return }
    member.id = newID
    member.joinToken = nil
    member.syncToken = nil
    members[newID] = member
    memberOrder = memberOrder.map { $0 == oldID ? newID : $0 }
    if isLeader(oldID) { leaderID = newID }
    staticMembers[instanceID] = newID
    // Whoever owed the old member's SyncGroup owes it still, under the new id.
    if pendingSyncMembers.remove(oldID) != nil { pendingSyncMembers.insert(newID) }
  }

  /// Makes sure that the leader is one who has joined this rebalance.
  /// - Returns: false if the group has no leader, or nobody has joined.
  mutating func electJoinedLeader() -> Bool {
    guard let leaderID, let leader = members[leaderID] else { return false }
    if leader.joinToken != nil { return true }
    guard let joined = memberOrder.first(where: { members[$0]?.joinToken != nil }) else {
      return false
    }
    self.leaderID = joined
    return true
  }

  // MARK: State

  mutating func transition(to state: GroupState, at time: WallTime) {
    self.state = state
    stateTimestamp = time
  }

  /// A rebalance can begin from any state but that of a rebalance that is gathering members.
  var canRebalance: Bool {
    state == .stable || state == .completingRebalance || state == .empty
  }

  mutating func startNextGeneration(at time: WallTime) {
    // Wraps as Kafka's does: two billion rebalances on, the first generations are long forgotten.
    generation &+= 1
    protocolName = isEmpty ? nil : selectProtocol()
    subscribedTopics = computeSubscribedTopics()
    transition(to: isEmpty ? .empty : .completingRebalance, at: time)
    pendingSyncMembers.removeAll()
  }

  // MARK: Protocols

  /// Protocols that every member knows.
  private var commonProtocols: Set<String> {
    var common: Set<String>?
    for member in members.values {
      let names = Set(member.protocols.map(\.name))
      common = common?.intersection(names) ?? names
    }
    return common ?? []
  }

  func supports(protocolType: String, protocols: [MemberProtocol]) -> Bool {
    if state == .empty { return !protocolType.isEmpty && !protocols.isEmpty }
    guard self.protocolType == protocolType else { return false }
    if isEmpty { return !protocols.isEmpty }
    let common = commonProtocols
    return protocols.contains { common.contains($0.name) }
  }

  /// The protocol with the most votes among those that every member knows.
  func selectProtocol() -> String? {
    let candidates = commonProtocols
    var votes: [(name: String, count: Int)] = []
    for member in allMembers {
      guard let vote = member.vote(among: candidates) else { continue }
      if let index = votes.firstIndex(where: { $0.name == vote }) {
        votes[index].count += 1
      } else {
        votes.append((vote, 1))
      }
    }
    var best = votes.first
    for candidate in votes where candidate.count > (best?.count ?? 0) { best = candidate }
    return best?.name
  }

  /// The topics that the members' subscriptions name, when they are consumers whose subscriptions
  /// can be read.
  func computeSubscribedTopics() -> Set<String>? {
    guard protocolType == "consumer" else { return nil }
    if isEmpty { return [] }
    guard let protocolName else { return nil }
    var topics: Set<String> = []
    for member in allMembers {
      guard let names = Self.topics(ofSubscription: member.metadata(for: protocolName)) else {
        return nil
      }
      topics.formUnion(names)
    }
    return topics
  }

  /// Reads the part of a subscription that every version begins with.
  private static func topics(ofSubscription bytes: [UInt8]) -> [String]? {
    var reader = ByteReader(bytes.span.bytes)
    guard let version = try? reader.readInt16(), version >= 0,
      let subscription = try? ConsumerProtocolSubscription(from: &reader, version: 0)
    else { return nil }
    return subscription.topics
  }

  /// Whether members consume the topic; true when that is not known, to be safe.
  func isSubscribed(to topic: String) -> Bool { subscribedTopics?.contains(topic) ?? true }

  // MARK: Stored form

  /// The group as it is stored once its members have these assignments.
  func record(assignments: [String: [UInt8]]) -> GroupRecord {
    var value = GroupMetadataValue()
    value.protocolType = protocolType ?? ""
    value.generation = generation
    value.protocol = protocolName
    value.leader = leaderID
    value.currentStateTimestamp = stateTimestamp?.milliseconds ?? -1
    value.members = allMembers.map { member in
      GroupMetadataValue.MemberMetadata {
        $0.memberID = member.id
        $0.groupInstanceID = member.instanceID
        $0.clientID = member.clientID
        $0.clientHost = member.clientHost
        $0.rebalanceTimeout = member.rebalanceTimeoutMs
        $0.sessionTimeout = member.sessionTimeoutMs
        $0.subscription = protocolName.map { member.metadata(for: $0) } ?? []
        $0.assignment = assignments[member.id] ?? []
      }
    }
    return .group(id: id, value)
  }

  /// A group as its stored form says it was.
  init(id: String, stored value: GroupMetadataValue, at time: WallTime) {
    self.init(id: id, at: time)
    generation = value.generation
    protocolType = value.protocolType.isEmpty ? nil : value.protocolType
    protocolName = value.protocol
    stateTimestamp =
      value.currentStateTimestamp == -1
      ? nil : WallTime(milliseconds: value.currentStateTimestamp)
    state = value.members.isEmpty ? .empty : .stable
    for stored in value.members {
      var member = Member(
        id: stored.memberID, instanceID: stored.groupInstanceID, clientID: stored.clientID,
        clientHost: stored.clientHost,
        // Version 0 has no rebalance timeout of its own.
        rebalanceTimeoutMs: stored.rebalanceTimeout == -1
          ? stored.sessionTimeout : stored.rebalanceTimeout,
        sessionTimeoutMs: stored.sessionTimeout,
        protocols: [MemberProtocol(name: value.protocol ?? "", metadata: stored.subscription)])
      member.assignment = stored.assignment
      add(member)
    }
    leaderID = value.leader ?? leaderID
    subscribedTopics = computeSubscribedTopics()
  }
}
