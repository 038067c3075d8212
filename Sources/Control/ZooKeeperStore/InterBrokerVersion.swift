/// `inter.broker.protocol.version`: what all brokers of a ZooKeeper-mode cluster speak with each
/// other. Nobody asks; every version of a request between brokers follows from it.
// Versions among brokers. The table is that of 3.9; what a release added stands where its first
// step is compared.
public struct InterBrokerVersion: Comparable, Sendable, CustomStringConvertible {
  public var major: Int
  public var minor: Int
  /// The step within a release that changed something between brokers (`-IV1`).
  public var step: Int

  public init(_ major: Int, _ minor: Int, _ step: Int = 0) {
    self.major = major
    self.minor = minor
    self.step = step
  }

  /// Of 3.9.0.
  public static let latest = InterBrokerVersion(3, 9, 0)

  /// Reads `3.9-IV0`, `3.9` (its last step), `3.9.1` and the like. Nil below 1.0 and for other
  /// text.
  public init?(_ text: String) {
    let parts = text.split(separator: "-", maxSplits: 1)
    guard let first = parts.first else { return nil }
    let numbers = first.split(separator: ".").map { Int($0) }
    guard numbers.count >= 2, let major = numbers[0], let minor = numbers[1], major >= 1 else {
      return nil
    }
    self.init(major, minor, Self.lastStep(major, minor))
    guard parts.count == 2 else { return }
    guard parts[1].hasPrefix("IV"), let step = Int(parts[1].dropFirst(2)), step <= self.step else {
      return nil
    }
    self.step = step
  }

  private static func lastStep(_ major: Int, _ minor: Int) -> Int {
    switch (major, minor) {
    case (3, 7): 4
    case (3, 3): 3
    case (2, 1), (2, 7), (3, 5), (3, 6): 2
    case (2, 0), (2, 2), (2, 3), (2, 4), (2, 8), (3, 0): 1
    default: 0
    }
  }

  public static func < (a: Self, b: Self) -> Bool {
    (a.major, a.minor, a.step) < (b.major, b.minor, b.step)
  }

  public var description: String { "\(major).\(minor)-IV\(step)" }

  // MARK: What follows from it

  public var leaderAndIsrVersion: Int16 {
    switch self {
    case Self(3, 4)...: 7
    case Self(3, 2)...: 6
    case Self(2, 8, 1)...: 5
    case Self(2, 4, 1)...: 4
    case Self(2, 4)...: 3
    case Self(2, 2)...: 2
    default: 1
    }
  }

  public var updateMetadataVersion: Int16 {
    switch self {
    case Self(3, 4)...: 8
    case Self(2, 8, 1)...: 7
    case Self(2, 4, 1)...: 6
    case Self(2, 2)...: 5
    default: 4
    }
  }

  public var stopReplicaVersion: Int16 {
    switch self {
    case Self(3, 4)...: 4
    case Self(2, 6)...: 3
    case Self(2, 4, 1)...: 2
    case Self(2, 2)...: 1
    default: 0
    }
  }

  /// Topics have ids (KIP-516).
  public var usesTopicIDs: Bool { self >= Self(2, 8) }
  /// Leaders ask the controller to change the ISR instead of writing the znode (KIP-497).
  public var usesAlterPartition: Bool { self >= Self(2, 7, 2) }
  /// An unclean leader reports that it has recovered (KIP-704).
  public var usesLeaderRecovery: Bool { self >= Self(3, 2) }
  /// The version of registration znodes.
  public var brokerZnodeVersion: Int64 { self >= Self(2, 7) ? 5 : 4 }
  public var featureZnodeVersion: Int64 { self >= Self(3, 3) ? 2 : 1 }
  /// Whether `/feature` is enabled.
  public var usesFeatures: Bool { self >= Self(2, 7) }
}
