// What happens to the bytes of a link, and the table of all links.
import Synchronization
import Values

/// One direction between two members of a cluster: bytes that `source` sends to `target`.
public struct Link: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var source: String
  public var target: String

  public init(_ source: String, _ target: String) {
    self.source = source
    self.target = target
  }

  public var description: String { "\(source)→\(target)" }

  public static func < (a: Self, b: Self) -> Bool {
    (a.source, a.target) < (b.source, b.target)
  }
}

/// What a link does with what passes through it. TCP never loses bytes; a lossy network shows as
/// stalls (retransmission) and resets, and a cut as silence.
public struct LinkRule: Equatable, Sendable {
  /// Nothing passes; what was sent meanwhile arrives after healing, as retransmitted packets do.
  public var isCut = false
  /// Milliseconds that everything takes longer, and a random part on top.
  public var delayMs: Int64 = 0
  public var jitterMs: Int64 = 0
  /// Nil: as fast as it goes.
  public var bytesPerSecond: Int?
  /// How often a chunk stalls, from 0 to 1, and for how long.
  public var stallProbability = 0.0
  public var stallMs: Int64 = 200
  /// How often a chunk makes the connection break, from 0 to 1.
  public var resetProbability = 0.0

  public init() {}

  public static let clear = LinkRule()
  public static var cut: LinkRule {
    var rule = LinkRule()
    rule.isCut = true
    return rule
  }
  public static func slow(delayMs: Int64, jitterMs: Int64 = 0) -> LinkRule {
    var rule = LinkRule()
    rule.delayMs = delayMs
    rule.jitterMs = jitterMs
    return rule
  }
  public static func lossy(stalls: Double, stallMs: Int64 = 200, resets: Double) -> LinkRule {
    var rule = LinkRule()
    rule.stallProbability = stalls
    rule.stallMs = stallMs
    rule.resetProbability = resets
    return rule
  }
}

/// The rules of all links, shared by the proxies of a cluster. From any thread.
public final class LinkTable: Sendable {
  private struct State {
    var rules: [Link: LinkRule] = [:]
    var observers: [@Sendable () -> Void] = []
  }
  private let state = Mutex(State())

  public init() {}

  public func rule(_ link: Link) -> LinkRule { state.withLock { $0.rules[link] ?? .clear } }

  /// Links that are not clear, in order.
  public var disturbed: [Link] { state.withLock { $0.rules.keys.sorted() } }

  /// Changes several links at one moment.
  public func set(_ links: [Link], _ rule: LinkRule) {
    let observers = state.withLock { state in
      for link in links { state.rules[link] = rule == .clear ? nil : rule }
      return state.observers
    }
    for observer in observers { observer() }
  }

  /// Clears every link.
  public func heal() { set(disturbed, .clear) }

  func observe(_ observer: @escaping @Sendable () -> Void) {
    state.withLock { $0.observers.append(observer) }
  }

  // MARK: Patterns

  /// Both directions of every pair across the two groups.
  public static func between(_ left: [String], _ right: [String]) -> [Link] {
    oneWay(from: left, to: right) + oneWay(from: right, to: left)
  }

  /// What `left` sends to `right`.
  public static func oneWay(from left: [String], to right: [String]) -> [Link] {
    left.flatMap { source in
      right.filter { $0 != source }.map { Link(source, $0) }
    }
  }
}
