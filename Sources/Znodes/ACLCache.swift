// Access control lists, each kept once: nodes refer to them by number.

import ZooKeeperProtocol

/// Numbers for lists, counted by how many nodes use them. Numbers and lists go into snapshots.
struct ACLCache: Sendable {
  /// The list that is open to all has this number and is not kept.
  static let open: Int64 = -1
  /// What stands for a list that a damaged snapshot does not have: nobody is let in.
  private static let closed = [ACL(perms: [], id: .anyone)]

  private var lists: [Int64: (acl: [ACL], uses: Int)] = [:]
  private var numbers: [[ACL]: Int64] = [:]
  private var lastNumber: Int64 = 0

  subscript(number: Int64) -> [ACL] {
    number == Self.open ? ACL.openUnsafe : lists[number]?.acl ?? Self.closed
  }

  /// The number of a list, with one use more.
  mutating func use(_ acl: [ACL]) -> Int64 {
    if acl == ACL.openUnsafe { return Self.open }
    if let number = numbers[acl] {
      lists[number]?.uses += 1
      return number
    }
    lastNumber += 1
    lists[lastNumber] = (acl, 1)
    numbers[acl] = lastNumber
    return lastNumber
  }

  /// One use less; a list without uses is forgotten.
  mutating func release(_ number: Int64) {
    guard var entry = lists[number] else { return }
    entry.uses -= 1
    if entry.uses > 0 {
      lists[number] = entry
    } else {
      forget(number)
    }
  }

  private mutating func forget(_ number: Int64) {
    guard let entry = lists.removeValue(forKey: number) else { return }
    if numbers[entry.acl] == number { numbers[entry.acl] = nil }
  }

  // MARK: Snapshots

  /// All lists in the order of their numbers.
  var entries: [SnapshotFormat.ACLEntry] {
    lists.keys.sorted().map { SnapshotFormat.ACLEntry(id: $0, acl: self[$0]) }
  }

  /// Takes a list from a snapshot, before the nodes that use it.
  mutating func load(_ entry: SnapshotFormat.ACLEntry) {
    lists[entry.id] = (entry.acl, 0)
    numbers[entry.acl] = entry.id
    lastNumber = max(lastNumber, entry.id)
  }

  mutating func addUse(_ number: Int64) { lists[number]?.uses += 1 }

  /// After all nodes are there: forgets lists that none of them uses.
  mutating func purgeUnused() {
    for number in lists.keys.sorted() where lists[number]?.uses == 0 { forget(number) }
  }
}
