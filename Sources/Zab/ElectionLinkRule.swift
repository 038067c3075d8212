/// Which of two election connections between the same servers stays.
///
/// Both sides may connect at once. The rule needs no message: only connections opened by the higher
/// server carry notifications, whoever noticed the need first.
public enum ElectionLinkRule {
  /// What to do with a connection that `peer` has opened to us.
  public enum Incoming: Hashable, Sendable {
    /// Keep it, in place of any older connection to that server.
    case keep
    /// Close it and connect to the peer ourselves.
    case closeAndConnect
    /// It claims to be ourselves: a mistake in someone's configuration.
    case refuse
  }

  public static func incoming(from peer: ServerID, to own: ServerID) -> Incoming {
    if peer == own { return .refuse }
    return peer > own ? .keep : .closeAndConnect
  }

  /// Whether a connection we opened to `peer` carries notifications; otherwise it only announces
  /// us, and the peer connects back.
  public static func keepsOutgoing(to peer: ServerID, from own: ServerID) -> Bool { peer < own }
}
