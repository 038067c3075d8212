/// A level of what brokers speak among themselves and keep in their metadata: the values of
/// `inter.broker.protocol.version`, and of the feature `metadata.version` from 3.0-IV1 on.
public struct MetadataVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Its place in the order of all versions.
  let rank: Int

  /// The version that a text names.
  ///
  /// A release without `-IV` means the last level in it, and anything after its second number (its
  /// third below 1.0) is left out: `3.9.1` is 3.9-IV0.
  public init?(_ text: String) {
    if let rank = Self.names.firstIndex(of: text) {
      self.rank = rank
      return
    }
    let numbers = text.split(separator: ".", omittingEmptySubsequences: false)
    let release = numbers.prefix(text.hasPrefix("0.") ? 3 : 2).joined(separator: ".")
    let matches: (String) -> Bool = { $0 == release || $0.hasPrefix(release + "-IV") }
    guard !release.isEmpty, let rank = Self.names.lastIndex(where: matches) else { return nil }
    self.rank = rank
  }

  /// The version of a level of the feature `metadata.version`; nil for one that does not exist.
  public init?(featureLevel: Int16) {
    let rank = Self.firstFeature + Int(featureLevel) - 1
    guard featureLevel >= 1, rank < Self.names.count else { return nil }
    self.rank = rank
  }

  private init(known name: StaticString) {
    guard let version = MetadataVersion("\(name)") else { preconditionFailure("\(name)") }
    self = version
  }

  /// With its level: `3.9-IV0`.
  public var description: String { Self.names[rank] }

  /// Without its level: `3.9`.
  public var release: String {
    String(description.prefix { $0 != "-" })
  }

  /// Its level of the feature `metadata.version`; nil before 3.0-IV1.
  public var featureLevel: Int16? {
    rank >= Self.firstFeature ? Int16(rank - Self.firstFeature + 1) : nil
  }

  public static func < (a: Self, b: Self) -> Bool { a.rank < b.rank }

  public static let latest = MetadataVersion(known: "3.9-IV0")
  public static let v2_1 = MetadataVersion(known: "2.1-IV0")
  public static let v2_1_IV1 = MetadataVersion(known: "2.1-IV1")
  public static let v2_3 = MetadataVersion(known: "2.3-IV0")
  public static let v2_8 = MetadataVersion(known: "2.8-IV0")
  public static let v3_0 = MetadataVersion(known: "3.0-IV1")

  private static let names: [String] = """
    0.8.0 0.8.1 0.8.2 0.9.0 0.10.0-IV0 0.10.0-IV1 0.10.1-IV0 0.10.1-IV1 0.10.1-IV2 0.10.2-IV0 \
    0.11.0-IV0 0.11.0-IV1 0.11.0-IV2 1.0-IV0 1.1-IV0 2.0-IV0 2.0-IV1 2.1-IV0 2.1-IV1 2.1-IV2 \
    2.2-IV0 2.2-IV1 2.3-IV0 2.3-IV1 2.4-IV0 2.4-IV1 2.5-IV0 2.6-IV0 2.7-IV0 2.7-IV1 2.7-IV2 \
    2.8-IV0 2.8-IV1 3.0-IV0 3.0-IV1 3.1-IV0 3.2-IV0 3.3-IV0 3.3-IV1 3.3-IV2 3.3-IV3 3.4-IV0 \
    3.5-IV0 3.5-IV1 3.5-IV2 3.6-IV0 3.6-IV1 3.6-IV2 3.7-IV0 3.7-IV1 3.7-IV2 3.7-IV3 3.7-IV4 \
    3.8-IV0 3.9-IV0
    """.split(separator: " ").map(String.init)
  private static let firstFeature = names.firstIndex(of: "3.0-IV1") ?? 0
}
