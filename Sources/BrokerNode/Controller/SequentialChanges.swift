/// Sequential znodes that announce changes: each is read once, in the order of its number, by every
/// broker, and removed when all had time to see it.
import Control
import Values
import ZooKeeperClient

/// Confined to the session's loop.
final class SequentialChanges {
  private let session: ZooKeeperSession
  let path: String
  private let prefix: String
  /// Given the contents of what is new; calls its argument when it is done with them.
  private let announced: ([[UInt8]], @escaping () -> Void) -> Void
  private var lastSeen: Int64 = -1
  private var isReading = false
  private var isAgain = false
  /// How long a change stays to be seen by all.
  private static let expiryMs: Int64 = 15 * 60 * 1000

  /// - Parameter prefix: `acl_changes_`; the server appends ten digits.
  init(
    _ path: String, prefix: String, session: ZooKeeperSession,
    _ announced: @escaping ([[UInt8]], @escaping () -> Void) -> Void
  ) {
    self.path = path
    self.prefix = prefix
    self.session = session
    self.announced = announced
  }

  /// Reads what is new, and watches for more.
  ///
  /// - Parameter silently: what is there is known to be part of what is read next.
  func read(silently: Bool = false, _ completion: @escaping () -> Void = {}) {
    if isReading {
      isAgain = true
      return completion()
    }
    isReading = true
    session.read([.children(path, watch: true)]) { [self] results in
      guard case .children(let names) = results[0] else { return finish(completion) }
      let new = names.compactMap { name in number(name).map { (number: $0, name: name) } }
        .filter { $0.number > lastSeen }.sorted { $0.number < $1.number }
      // Numbers rise for ever, so the last one seen separates old from new.
      lastSeen = new.last?.number ?? lastSeen
      if silently { return finish(completion) }
      session.read(new.map { .data("\(path)/\($0.name)", watch: false) }) { [self] results in
        let contents = results.compactMap { result -> [UInt8]? in
          if case .content(let content) = result { return content.data }
          return nil
        }
        removeLater(new.map(\.name))
        announced(contents) { [self] in finish(completion) }
      }
    }
  }

  private func finish(_ completion: () -> Void) {
    isReading = false
    completion()
    if isAgain {
      isAgain = false
      read()
    }
  }

  private func number(_ name: String) -> Int64? {
    name.hasPrefix(prefix) ? Int64(name.dropFirst(prefix.count)) : nil
  }

  /// Whoever sees a change takes care that it does not stay for ever.
  private func removeLater(_ names: [String]) {
    guard !names.isEmpty else { return }
    session.loop.schedule(afterMs: Self.expiryMs) { [session, path] in
      guard !session.isClosed else { return }
      session.write(
        names.map {
          ZnodeTransaction([.delete(path: "\(path)/\($0)", version: -1)], tolerates: .noNode)
        }) { _ in }
    }
  }
}
