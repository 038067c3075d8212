// What happened when, as the report tells it.
import Platform
import Synchronization
import Values

/// A mark on a run's time line.
public struct TimelineEvent: Sendable, Equatable {
  public enum Kind: String, Sendable, Codable, CaseIterable {
    /// The run went into another phase.
    case phase
    /// Something was broken.
    case fault
    /// The cluster noticed: leadership left the broken member, or nobody leads.
    case detected
    /// Somebody else leads.
    case elected
    /// The first write that began after the fault was acknowledged.
    case firstWrite
    /// What was broken was put right.
    case healed
    /// Every partition has its full ISR again.
    case fullISR
    /// Anything else that is worth a line.
    case note
  }

  public var kind: Kind
  public var at: Instant
  public var text: String

  public init(_ kind: Kind, at: Instant, _ text: String) {
    self.kind = kind
    self.at = at
    self.text = text
  }
}

/// The marks of a run, added from any thread.
public final class Timeline: Sendable {
  public let start: Instant
  private let marks = Mutex<[TimelineEvent]>([])
  private let onMark: @Sendable (TimelineEvent) -> Void

  /// - Parameter onMark: hears of every mark as it is made, on the thread that makes it.
  public init(start: Instant = Clock.now(), onMark: @escaping @Sendable (TimelineEvent) -> Void) {
    self.start = start
    self.onMark = onMark
  }

  public func mark(_ kind: TimelineEvent.Kind, _ text: String, at: Instant = Clock.now()) {
    let event = TimelineEvent(kind, at: at, text)
    marks.withLock { $0.append(event) }
    onMark(event)
  }

  /// In the order of time.
  public var events: [TimelineEvent] {
    marks.withLock { $0 }.enumerated()
      .sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
  }

  public func first(_ kind: TimelineEvent.Kind) -> Instant? {
    events.first { $0.kind == kind }?.at
  }
}
