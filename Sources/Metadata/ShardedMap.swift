/// Maps of the metadata image: thousands of entries, of which one delta changes a few.
///
/// The entries lie in a fixed number of dictionaries, each copied on write. A new image therefore
/// shares all shards with the one before, except those a delta touched: changing one topic among
/// 100,000 copies some 200 entries, and both images stay immutable values.

/// A key that can say which shard it belongs to. Unlike `Hashable`, whose seed differs from process
/// to process, the answer is always the same.
public protocol ShardKey: Hashable, Comparable, Sendable {
  var shardHash: UInt64 { get }
}

extension String: ShardKey {
  /// FNV-1a over the UTF-8 bytes.
  public var shardHash: UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash ^ (hash >> 32)
  }
}

public struct ShardedMap<Key: ShardKey, Value: Sendable>: Sendable {
  private static var shardCount: Int { 256 }

  private var shards: [[Key: Value]]
  public private(set) var count = 0

  public init() { shards = [] }

  public var isEmpty: Bool { count == 0 }

  private static func index(_ key: Key) -> Int { Int(key.shardHash % UInt64(shardCount)) }

  public subscript(key: Key) -> Value? {
    get { shards.isEmpty ? nil : shards[Self.index(key)][key] }
    set {
      if shards.isEmpty {
        guard newValue != nil else { return }
        shards = Array(repeating: [:], count: Self.shardCount)
      }
      let index = Self.index(key)
      let before = shards[index].count
      shards[index][key] = newValue
      count += shards[index].count - before
    }
  }

  /// Changes the value of `key` in place, without copying it out; false if there is none.
  @discardableResult
  public mutating func update(_ key: Key, _ change: (inout Value) -> Void) -> Bool {
    guard !shards.isEmpty else { return false }
    let index = Self.index(key)
    guard let position = shards[index].index(forKey: key) else { return false }
    change(&shards[index].values[position])
    return true
  }

  /// The keys in ascending order: the only order in which the map can be walked.
  public var sortedKeys: [Key] {
    var keys: [Key] = []
    keys.reserveCapacity(count)
    for shard in shards { keys.append(contentsOf: shard.keys) }
    keys.sort()
    return keys
  }

  /// Visits every entry in ascending order of keys.
  public func forEach<E: Error>(_ body: (Key, Value) throws(E) -> Void) throws(E) {
    for key in sortedKeys {
      if let value = self[key] { try body(key, value) }
    }
  }
}

extension ShardedMap: Equatable where Value: Equatable {
  /// Empty shards of a map that was never filled equal those of one that was emptied.
  public static func == (a: Self, b: Self) -> Bool {
    guard a.count == b.count else { return false }
    return a.count == 0 || a.shards == b.shards
  }
}
