import Values

/// Selects the replica that a consumer should read from (KIP-392).
public enum ReplicaSelection {
  public struct Candidate: Equatable, Sendable {
    public var broker: BrokerID
    public var rack: String
    public var logStartOffset: Offset
    public var logEndOffset: Offset
    public var lastCaughtUp: Instant?
    public init(
      broker: BrokerID, rack: String, logStartOffset: Offset, logEndOffset: Offset,
      lastCaughtUp: Instant?
    ) {
      self.broker = broker
      self.rack = rack
      self.logStartOffset = logStartOffset
      self.logEndOffset = logEndOffset
      self.lastCaughtUp = lastCaughtUp
    }
  }

  /// The rack-aware rule: the leader when it is in the client's rack, otherwise the most caught-up
  /// replica there that holds the wanted offset, otherwise the leader.
  ///
  /// - Parameters:
  ///   - followers: members of the ISR only; a replica outside it may never learn a high watermark.
  ///   - offset: what the consumer asks for.
  /// - Returns: nil when the consumer should stay with the leader.
  public static func preferred(
    rack: String, offset: Offset, leaderRack: String?, followers: [Candidate]
  ) -> BrokerID? {
    if rack.isEmpty || rack == leaderRack { return nil }
    var best: Candidate?
    for candidate in followers where candidate.rack == rack {
      guard candidate.logStartOffset <= offset, candidate.logEndOffset >= offset else { continue }
      guard let current = best else {
        best = candidate
        continue
      }
      // Fresher first; the broker id makes the choice the same everywhere.
      let newer = (candidate.logEndOffset, candidate.lastCaughtUp ?? .zero)
      let older = (current.logEndOffset, current.lastCaughtUp ?? .zero)
      if newer > older || (newer == older && candidate.broker < current.broker) {
        best = candidate
      }
    }
    return best?.broker
  }
}
