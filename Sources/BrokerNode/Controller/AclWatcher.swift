/// Keeps this broker's view of the access control entries that AclAuthorizer keeps in znodes:
/// `/kafka-acl` for names, `/kafka-acl-extended/prefixed` for prefixes of names (KIP-290).
import Control
import KafkaProtocol
import Metadata
import Telemetry
import Values
import ZooKeeperClient

/// Confined to the session's loop.
final class AclWatcher {
  private let session: ZooKeeperSession
  /// Called with all entries about resources, when loaded and when changed.
  private let changed: ([StoredAcls]) -> Void
  private var feeds: [SequentialChanges] = []
  /// About which there were entries when they were read last.
  private var known: Set<AclZnode.Resource> = []
  private static let log = Log("kafka.security.authorizer.AclAuthorizer")

  init(
    session: ZooKeeperSession, changed: @escaping ([StoredAcls]) -> Void
  ) {
    self.session = session
    self.changed = changed
    feeds = AclZnode.changeRoots.map { root in
      SequentialChanges(root, prefix: AclZnode.changePrefix, session: session) {
        [unowned self] contents, done in
        var resources: [AclZnode.Resource] = []
        for resource in contents.compactMap(AclZnode.decodeChange)
        where !resources.contains(resource) {
          resources.append(resource)
        }
        load(resources) { _ in done() }
      }
    }
  }

  func watchFired(_ path: String) {
    for feed in feeds where feed.path == path { feed.read() }
  }

  /// Makes the paths, loads everything, then watches. Called again in a new session.
  ///
  /// The completion gets an error when entries cannot be read: without them nobody can be judged.
  func start(_ completion: @escaping (StartupError?) -> Void) {
    let writes = AclZnode.paths.map {
      ZnodeTransaction([.create(path: $0, data: nil)], tolerates: .nodeExists)
    }
    session.write(writes) { [self] outcomes in
      for (path, outcome) in zip(AclZnode.paths, outcomes) {
        guard case .failed(_, let failure) = outcome, failure != .nodeExists else { continue }
        return completion(StartupError("cannot create \(path): \(failure)"))
      }
      // The watch first: a change after it is announced, one before it is loaded.
      readFeeds(feeds[...]) { [self] in loadAll(completion) }
    }
  }

  private func readFeeds(_ rest: ArraySlice<SequentialChanges>, _ done: @escaping () -> Void) {
    guard let feed = rest.first else { return done() }
    feed.read(silently: true) { [self] in readFeeds(rest.dropFirst(), done) }
  }

  private func loadAll(_ completion: @escaping (StartupError?) -> Void) {
    let roots = AclZnode.resourceRoots
    session.read(roots.map { .children($0, watch: false) }) { [self] results in
      var found: [AclZnode.Resource] = []
      for (root, result) in zip(roots, results) {
        guard case .children(let names) = result else {
          return completion(StartupError("\(root) cannot be read"))
        }
        found += names.sorted().compactMap { AclZnode.Resource(path: "\(root)/\($0)") }
      }
      let gone = known.subtracting(found).sorted { $0.path < $1.path }
      load(found + gone) { failed in
        completion(failed.first.map { StartupError("\($0.path) cannot be understood") })
      }
    }
  }

  /// Reads the entries about resources and hands them on, those without znode as none.
  ///
  /// The completion gets the resources whose entries cannot be read or understood: about them what
  /// was known before stays in force.
  func load(
    _ resources: [AclZnode.Resource], _ completion: @escaping ([AclZnode.Resource]) -> Void
  ) {
    session.read(resources.map { .data($0.path, watch: false) }) { [self] results in
      var lists: [StoredAcls] = []
      var failed: [AclZnode.Resource] = []
      for (resource, result) in zip(resources, results) {
        do throws(Refusal) {
          lists.append(try StoredAcls(resource, result.content(at: resource.path)))
        } catch {
          Self.log.error("\(error.message ?? ""); entries known before stay in force")
          failed.append(resource)
        }
      }
      for list in lists {
        if list.entries.isEmpty { known.remove(list.resource) } else { known.insert(list.resource) }
      }
      changed(lists)
      completion(failed)
    }
  }
}

extension ZnodeReadResult {
  /// What was read; nil where there is no znode.
  /// - Throws: UNKNOWN_SERVER_ERROR where nothing can be said.
  func content(at path: String) throws(Refusal) -> ZnodeContent? {
    switch self {
    case .content(let content): return content
    case .missing: return nil
    case .failed, .children: throw Refusal(.unknownServerError, "\(path) cannot be read")
    }
  }
}
