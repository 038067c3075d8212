import Values

/// A member as the group's leader sees it.
struct GroupMember: Sendable {
  var id: String
  var instanceID: String?
  var topics: [String]
  /// What it read before the rebalance, if it has not given that up.
  var owned: [TopicPartition] = []
  var generationID: Int32 = -1

  /// Static members keep their place in the order through restarts.
  var sortKey: (Int, String) { instanceID.map { (0, $0) } ?? (1, id) }
}

/// Shares partitions out among the members of a group.
protocol Assignor: Sendable {
  /// As the group protocol has it: `range`.
  var name: String { get }
  var isCooperative: Bool { get }
  /// - Parameter counts: partitions per topic; 0 for topics that do not exist.
  func assign(_ members: [GroupMember], _ counts: [String: Int]) -> [String: [TopicPartition]]
}

enum Assignors {
  /// By the protocol's name or by the Java class that `partition.assignment.strategy` names.
  static func named(_ name: String) -> (any Assignor)? {
    let short = name.split(separator: ".").last.map(String.init) ?? name
    switch short {
    case "range", "RangeAssignor": return RangeAssignor()
    case "roundrobin", "RoundRobinAssignor": return RoundRobinAssignor()
    case "sticky", "StickyAssignor": return StickyAssignor(isCooperative: false)
    case "cooperative-sticky", "CooperativeStickyAssignor":
      return StickyAssignor(isCooperative: true)
    default: return nil
    }
  }

  static func sorted(_ members: [GroupMember]) -> [GroupMember] {
    members.sorted { $0.sortKey < $1.sortKey }
  }
}

/// For each topic a run of neighbouring partitions per member, the first members getting one more.
struct RangeAssignor: Assignor {
  let name = "range"
  let isCooperative = false

  func assign(_ members: [GroupMember], _ counts: [String: Int]) -> [String: [TopicPartition]] {
    var assignment: [String: [TopicPartition]] = [:]
    for topic in counts.keys.sorted() {
      let readers = Assignors.sorted(members).filter { $0.topics.contains(topic) }
      let count = counts[topic] ?? 0
      guard !readers.isEmpty, count > 0 else { continue }
      var next = 0
      for (place, reader) in readers.enumerated() {
        let share = count / readers.count + (place < count % readers.count ? 1 : 0)
        for index in next..<(next + share) {
          assignment[reader.id, default: []].append(TopicPartition(topic, Int32(index)))
        }
        next += share
      }
    }
    return assignment
  }
}

/// All partitions in order, dealt out in turn.
struct RoundRobinAssignor: Assignor {
  let name = "roundrobin"
  let isCooperative = false

  func assign(_ members: [GroupMember], _ counts: [String: Int]) -> [String: [TopicPartition]] {
    let readers = Assignors.sorted(members)
    guard !readers.isEmpty else { return [:] }
    var assignment: [String: [TopicPartition]] = [:]
    var turn = 0
    for topic in counts.keys.sorted() {
      guard readers.contains(where: { $0.topics.contains(topic) }) else { continue }
      for index in 0..<max(0, counts[topic] ?? 0) {
        while !readers[turn % readers.count].topics.contains(topic) { turn += 1 }
        let reader = readers[turn % readers.count]
        assignment[reader.id, default: []].append(TopicPartition(topic, Int32(index)))
        turn += 1
      }
    }
    return assignment
  }
}

/// As even as can be, and otherwise as it was (KIP-54); the cooperative form withholds what its
/// former owner has yet to give up (KIP-429).
struct StickyAssignor: Assignor {
  let isCooperative: Bool
  var name: String { isCooperative ? "cooperative-sticky" : "sticky" }

  func assign(_ members: [GroupMember], _ counts: [String: Int]) -> [String: [TopicPartition]] {
    let members = Assignors.sorted(members)
    let owners = currentOwners(members, counts)
    var assignment: [String: [TopicPartition]] = [:]
    for member in members { assignment[member.id] = [] }
    for partition in owners.keys.sorted() {
      if let owner = owners[partition] { assignment[owner, default: []].append(partition) }
    }
    for topic in counts.keys.sorted() {
      let readers = members.filter { $0.topics.contains(topic) }
      for index in 0..<max(0, counts[topic] ?? 0) {
        let partition = TopicPartition(topic, Int32(index))
        guard owners[partition] == nil, let least = least(readers, assignment) else { continue }
        assignment[least, default: []].append(partition)
      }
    }
    balance(members, &assignment)
    if isCooperative {
      for member in members {
        assignment[member.id]?.removeAll { owners[$0] != nil && owners[$0] != member.id }
      }
    }
    return assignment.mapValues { $0.sorted() }
  }

  /// Who reads each partition now: the claim of the latest generation counts, and two claims of
  /// the same generation count for nobody.
  private func currentOwners(
    _ members: [GroupMember], _ counts: [String: Int]
  ) -> [TopicPartition: String] {
    var claims: [TopicPartition: (member: String?, generation: Int32)] = [:]
    for member in members {
      for partition in member.owned {
        guard member.topics.contains(partition.topic), partition.partition >= 0,
          Int(partition.partition) < counts[partition.topic] ?? 0
        else { continue }
        if let claim = claims[partition], claim.generation >= member.generationID {
          if claim.generation == member.generationID { claims[partition]?.member = nil }
        } else {
          claims[partition] = (member.id, member.generationID)
        }
      }
    }
    return claims.compactMapValues(\.member)
  }

  private func least(
    _ readers: [GroupMember], _ assignment: [String: [TopicPartition]]
  ) -> String? {
    readers.min { (assignment[$0.id]?.count ?? 0) < (assignment[$1.id]?.count ?? 0) }?.id
  }

  /// Moves partitions from members with more to members with fewer, while that makes it more even.
  private func balance(_ members: [GroupMember], _ assignment: inout [String: [TopicPartition]]) {
    var hasMoved = true
    while hasMoved {
      hasMoved = false
      for member in members {
        while let move = improvement(from: member.id, members, assignment) {
          assignment[member.id]?.remove(at: move.place)
          assignment[move.to, default: []].append(move.partition)
          hasMoved = true
        }
      }
    }
  }

  private func improvement(
    from giver: String, _ members: [GroupMember], _ assignment: [String: [TopicPartition]]
  ) -> (place: Int, partition: TopicPartition, to: String)? {
    let own = assignment[giver] ?? []
    for (place, partition) in own.enumerated().reversed() {
      let readers = members.filter { $0.id != giver && $0.topics.contains(partition.topic) }
      guard let taker = least(readers, assignment) else { continue }
      if (assignment[taker]?.count ?? 0) + 1 < own.count { return (place, partition, taker) }
    }
    return nil
  }
}
