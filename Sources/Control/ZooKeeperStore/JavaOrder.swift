/// The order in which Kafka's maps come out, and with it the order of fields in its znodes.
///
/// Nobody may rely on that order, but it is deterministic, and keeping it makes what we write equal
/// to what Kafka writes, byte for byte: golden files can be compared, and a rewrite by the other
/// implementation changes nothing. Orders of maps with fixed keys are written out where they are
/// used; these are for maps whose keys are data.
enum JavaOrder {
  /// `String.hashCode` of Java, over UTF-16.
  static func hash(_ text: String) -> UInt32 {
    text.utf16.reduce(0) { $0 &* 31 &+ UInt32($1) }
  }

  private static func spread(_ text: String) -> UInt32 {
    let hash = hash(text)
    return hash ^ (hash >> 16)
  }

  /// The order of a Scala mutable map that was filled one by one from empty: buckets in order, and
  /// within a bucket ascending hashes. The table doubles when it is three quarters full.
  // The number of buckets depends on the number of entries only, because none is ever removed.
  static func scalaMap(_ keys: [String]) -> [String] {
    var buckets: UInt32 = 16
    while keys.count >= Int(buckets) * 3 / 4 { buckets *= 2 }
    return keys.map { (key: $0, hash: spread($0)) }.sorted { a, b in
      let left = a.hash & (buckets - 1)
      let right = b.hash & (buckets - 1)
      if left != right { return left < right }
      let signed = (Int32(bitPattern: a.hash), Int32(bitPattern: b.hash))
      return signed.0 == signed.1 ? a.key < b.key : signed.0 < signed.1
    }.map(\.key)
  }

  /// The order of Java's `Properties`: buckets in order; within a bucket we take the order of keys,
  /// Kafka the order of insertion.
  static func properties(_ keys: some Sequence<String>) -> [String] {
    let sorted = keys.sorted()
    var buckets: UInt32 = 16
    while sorted.count >= Int(buckets) * 3 / 4 { buckets *= 2 }
    return sorted.enumerated().map { (index: $0.offset, key: $0.element, hash: spread($0.element)) }
      .sorted { a, b in
        let left = a.hash & (buckets - 1)
        let right = b.hash & (buckets - 1)
        return left == right ? a.index < b.index : left < right
      }.map(\.key)
  }
}
