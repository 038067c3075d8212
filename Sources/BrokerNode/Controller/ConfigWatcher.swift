/// Keeps this broker's view of `/config`: topic and broker settings, quotas, credentials. Changes
/// are announced by sequential nodes, which carry the entity and no content.
import Control
import Metadata
import Platform
import Telemetry
import Values
import ZooKeeperClient

/// Confined to the session's loop.
final class ConfigWatcher: @unchecked Sendable {  // confined to the session's loop
  private let session: ZooKeeperSession
  /// Called on the loop with the complete configuration of an entity, when loaded and when changed.
  private let changed: (ConfigEntity, [String: String]) -> Void
  private var lastSeen: Int64 = -1
  private var isReading = false
  private var isAgain = false
  private static let log = Log("config")

  init(
    session: ZooKeeperSession, changed: @escaping (ConfigEntity, [String: String]) -> Void
  ) {
    self.session = session
    self.changed = changed
  }

  /// Loads everything, then watches. Called again in a new session: what was missed is loaded.
  func start(_ completion: @escaping () -> Void) {
    // The watch first: a change after it is announced, one before it is loaded.
    readChanges(silently: true) { [self] in loadAll(completion) }
  }

  func watchFired(_ path: String) {
    if path == ZnodePath.configChanges { readChanges(silently: false) {} }
  }

  // MARK: Loading

  private func loadAll(_ completion: @escaping () -> Void) {
    let roots = ["topics", "brokers", "users", "clients", "ips"]
    session.read(roots.map { .children(ZnodePath.config($0), watch: false) }) { [self] results in
      var entities: [String] = []
      var users: [String] = []
      for (root, result) in zip(roots, results) {
        guard case .children(let names) = result else { continue }
        entities += names.sorted().map { "\(root)/\($0)" }
        if root == "users" { users = names.sorted() }
      }
      let clients = users.map { "users/\($0)/clients" }
      session.read(clients.map { .children(ZnodePath.config($0), watch: false) }) { results in
        for (parent, result) in zip(clients, results) {
          guard case .children(let names) = result else { continue }
          entities += names.sorted().map { "\(parent)/\($0)" }
        }
        self.load(entities, completion)
      }
    }
  }

  /// Reads entities and hands them on, those without content as empty.
  func load(_ entities: [String], _ completion: @escaping () -> Void) {
    session.read(entities.map { .data(ZnodePath.config($0), watch: false) }) { [self] results in
      for (path, result) in zip(entities, results) {
        guard let entity = ConfigEntity(path: path) else { continue }
        switch result {
        case .content(let content): changed(entity, ConfigZnode.decode(content.data))
        case .missing: changed(entity, [:])
        case .failed, .children: break
        }
      }
      completion()
    }
  }

  // MARK: Changes

  private func readChanges(silently: Bool, _ completion: @escaping () -> Void) {
    if isReading {
      isAgain = true
      return completion()
    }
    isReading = true
    session.read([.children(ZnodePath.configChanges, watch: true)]) { [self] results in
      guard case .children(let names) = results[0] else { return finish(completion) }
      let new = names.compactMap { name in Self.number(name).map { (number: $0, name: name) } }
        .filter { $0.number > lastSeen }.sorted { $0.number < $1.number }
      // Numbers rise for ever, so the last one seen separates old from new.
      lastSeen = new.last?.number ?? lastSeen
      if silently { return finish(completion) }
      let reads = new.map { ZnodeRead.data("\(ZnodePath.configChanges)/\($0.name)", watch: false) }
      session.read(reads) { results in
        var entities: [String] = []
        for case .content(let content) in results {
          guard let entity = ConfigChangeZnode.decode(content.data) else { continue }
          if !entities.contains(entity) { entities.append(entity) }
        }
        self.load(entities) { self.finish(completion) }
        self.removeOld(new.map(\.name))
      }
    }
  }

  private func finish(_ completion: () -> Void) {
    isReading = false
    completion()
    if isAgain {
      isAgain = false
      readChanges(silently: false) {}
    }
  }

  private static func number(_ name: String) -> Int64? {
    guard name.hasPrefix("config_change_") else { return nil }
    return Int64(name.dropFirst("config_change_".count))
  }

  /// How long a change stays to be seen by all.
  private static let expiryMs: Int64 = 15 * 60 * 1000

  /// Whoever sees a change takes care that it does not stay for ever.
  private func removeOld(_ names: [String]) {
    session.loop.schedule(afterMs: Self.expiryMs) { [weak self] in
      guard let self, !session.isClosed else { return }
      let writes = names.map {
        ZnodeTransaction(
          [.delete(path: "\(ZnodePath.configChanges)/\($0)", version: -1)], tolerates: .noNode)
      }
      session.write(writes) { _ in }
    }
  }
}
