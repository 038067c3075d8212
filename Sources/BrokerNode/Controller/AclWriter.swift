/// Changes of access control entries in ZooKeeper mode, which any broker writes as AclAuthorizer
/// does: the whole list of a resource, at the version that was read.
import Control
import KafkaMessages
import KafkaProtocol
import Metadata
import Platform
import Values

/// Confined to the session's loop.
final class AclWriter {
  private typealias Failures = [AclZnode.Resource: Refusal]
  private let session: ZooKeeperSession
  private let services: BrokerServices
  private let watcher: AclWatcher

  init(session: ZooKeeperSession, services: BrokerServices, watcher: AclWatcher) {
    self.session = session
    self.services = services
    self.watcher = watcher
  }

  func create(
    _ request: CreateAclsRequest, _ completion: @escaping (CreateAclsResponse) -> Void
  ) {
    let entries = request.storable
    let valid = entries.compactMap { try? $0.get() }
    updateEach(Self.distinct(valid.map { AclZnode.Resource($0) })[...], [:], { list in
      for entry in valid where AclZnode.Resource(entry) == list.resource { list.add(entry) }
    }) { failures in
      completion(
        .init {
          $0.results = entries.map { entry in
            switch entry {
            case .success(let entry):
              CreateAclsRequest.result(failures[AclZnode.Resource(entry)] ?? Refusal(.none))
            case .failure(let refusal): CreateAclsRequest.result(refusal)
            }
          }
        })
    }
  }

  func delete(
    _ request: DeleteAclsRequest, _ completion: @escaping (DeleteAclsResponse) -> Void
  ) {
    let filters = request.filters.map { AclFilter($0) }
    let image = services.metadata.image.accessControl
    let known = image.ids.compactMap { image[$0] }.filter { entry in
      filters.contains { $0.isKnown && $0.matches(entry) }
    }
    // What others have stored and this broker has not heard of counts where a filter names it.
    let resources = Self.distinct(
      known.map { AclZnode.Resource($0) } + filters.flatMap(\.namedResources))
    var removed: [(entry: AccessControlEntry, filter: Int)] = []
    updateEach(resources[...], [:], { list in
      for found in list.remove(matching: filters) where !removed.contains(where: { $0 == found }) {
        // A second attempt may find a part of the work done, by this request or another.
        removed.append(found)
      }
    }) { failures in
      completion(
        request.response(
          removed.map { ($0.entry, $0.filter, failures[AclZnode.Resource($0.entry)]) }))
    }
  }

  private static func distinct(_ resources: [AclZnode.Resource]) -> [AclZnode.Resource] {
    var seen: Set<AclZnode.Resource> = []
    return resources.filter { seen.insert($0).inserted }
  }

  // MARK: Znodes

  /// Changes the lists of resources one after the other.
  private func updateEach(
    _ rest: ArraySlice<AclZnode.Resource>, _ failures: Failures,
    _ change: @escaping (inout StoredAcls) -> Void, _ completion: @escaping (Failures) -> Void
  ) {
    guard let resource = rest.first else { return completion(failures) }
    update(resource, retries: 0, change) { [self] refusal in
      var failures = failures
      failures[resource] = refusal
      updateEach(rest.dropFirst(), failures, change, completion)
    }
  }

  /// Reads a list, changes it and writes it, unless it stays as it is. Whoever asks this broker
  /// next shall find what was changed.
  private func update(
    _ resource: AclZnode.Resource, retries: Int, _ change: @escaping (inout StoredAcls) -> Void,
    _ completion: @escaping (Refusal?) -> Void
  ) {
    session.read([.data(resource.path, watch: false)]) { [self] results in
      do throws(Refusal) {
        var list = try StoredAcls(resource, results[0].content(at: resource.path))
        change(&list)
        guard let transaction = list.transaction else {
          return watcher.load([resource]) { _ in completion(nil) }
        }
        session.write([transaction]) { [self] outcomes in
          switch outcomes[0] {
          case .done: watcher.load([resource]) { _ in completion(nil) }
          case .failed(_, let failure):
            guard StoredAcls.isConflict(failure), retries < StoredAcls.maxRetries else {
              return completion(
                Refusal(
                  .unknownServerError, "Failed to update ACLs for \(resource.path): \(failure)"))
            }
            again(resource, retries: retries + 1, change, completion)
          }
        }
      } catch {
        completion(error)
      }
    }
  }

  /// After a while that is another for each broker.
  private func again(
    _ resource: AclZnode.Resource, retries: Int, _ change: @escaping (inout StoredAcls) -> Void,
    _ completion: @escaping (Refusal?) -> Void
  ) {
    var random = SystemRandom()
    let delay =
      StoredAcls.backoffMs + Int64.random(in: 0..<StoredAcls.backoffJitterMs, using: &random)
    session.loop.schedule(afterMs: delay) { [self] in
      guard !session.isClosed else { return completion(Refusal(.unknownServerError)) }
      update(resource, retries: retries, change, completion)
    }
  }
}
