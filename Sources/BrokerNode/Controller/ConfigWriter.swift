/// Changes of dynamic configuration, which any broker of a ZooKeeper-mode cluster writes.
import Control
import KafkaProtocol
import Metadata
import MetadataLog
import Settings
import Values

/// Confined to the session's loop.
final class ConfigWriter: @unchecked Sendable {  // confined to the session's loop
  let session: ZooKeeperSession
  private let services: BrokerServices
  let watcher: ConfigWatcher

  init(session: ZooKeeperSession, services: BrokerServices, watcher: ConfigWatcher) {
    self.session = session
    self.services = services
    self.watcher = watcher
  }

  /// Checks and carries out changes, each on its own; the results come in their order, on the loop.
  func alter(
    _ changes: [AlterConfig], validateOnly: Bool,
    _ completion: @escaping ([Result<Void, Refusal>]) -> Void
  ) {
    alterNext(changes[...], validateOnly, [], completion)
  }

  private func alterNext(
    _ changes: ArraySlice<AlterConfig>, _ validateOnly: Bool, _ results: [Result<Void, Refusal>],
    _ completion: @escaping ([Result<Void, Refusal>]) -> Void
  ) {
    guard let change = changes.first else { return completion(results) }
    alterOne(change, validateOnly) { [self] result in
      alterNext(changes.dropFirst(), validateOnly, results + [result], completion)
    }
  }

  private func alterOne(
    _ change: AlterConfig, _ validateOnly: Bool,
    _ completion: @escaping (Result<Void, Refusal>) -> Void
  ) {
    let entity = ConfigEntity.resource(change.resource)
    if let refusal = foreignBroker(change.resource) { return completion(.failure(refusal)) }
    guard let path = entity.path else {
      return completion(
        .failure(
          Refusal(
            .invalidRequest,
            "AlterConfigs is only supported for topics and brokers, but resource type is "
              + "\(change.resource.type)")))
    }
    // What is stored decides, not what this broker has heard of it.
    session.read([.data(ZnodePath.config(path), watch: false)]) { [self] results in
      var image = services.metadata.image
      if case .content(let content) = results[0] {
        for record in entity.records(for: ConfigZnode.decode(content.data), in: image) {
          image.apply(record)
        }
      }
      // The same rules as the controller's, over what is stored now.
      let control = Controller(image: image, options: services.controllerOptions)
      do throws(Refusal) {
        let decision = try control.decide(change)
        if validateOnly { return completion(.success(())) }
        let writes = ZnodeWriter.configWrites(path, decision.reply, records: [])
        write(writes, change.resource) { [self] result in
          // Whoever asks this broker next shall find what was changed.
          watcher.load([path]) { completion(result) }
        }
      } catch {
        completion(.failure(error))
      }
    }
  }

  func write(
    _ writes: [ZnodeTransaction], _ resource: ConfigResource,
    _ completion: @escaping (Result<Void, Refusal>) -> Void
  ) {
    session.write([writes[0]]) { [self] outcomes in
      let rest = Array(writes.dropFirst())
      switch outcomes[0] {
      case .done: announce(rest, completion)
      case .failed(_, let failure):
        guard let fallback = writes[0].fallback, fallback.on == failure else {
          return completion(.failure(Self.refusal(resource, failure)))
        }
        session.write([ZnodeTransaction(fallback.ops)]) { outcomes in
          if case .failed(_, let failure) = outcomes[0] {
            completion(.failure(Self.refusal(resource, failure)))
          } else {
            self.announce(rest, completion)
          }
        }
      }
    }
  }

  private func announce(
    _ writes: [ZnodeTransaction], _ completion: @escaping (Result<Void, Refusal>) -> Void
  ) {
    session.write(writes) { _ in completion(.success(())) }
  }

  private static func refusal(_ resource: ConfigResource, _ failure: ZnodeFailure) -> Refusal {
    Refusal(.unknownServerError, "The configuration of \(resource) cannot be written: \(failure)")
  }

  /// A broker's own settings are checked by that broker alone: it knows what fits them.
  private func foreignBroker(_ resource: ConfigResource) -> Refusal? {
    guard resource.type == .broker, !resource.name.isEmpty, let id = Int32(resource.name),
      id != services.brokerID.rawValue
    else { return nil }
    return Refusal(
      .invalidRequest,
      "Unexpected broker id, expected \(services.brokerID.rawValue), but received "
        + "\(resource.name)")
  }
}

extension BrokerServices {
  /// What the controller decides by, from the settings as they are now.
  var controllerOptions: ControllerOptions { ControllerOptions(currentConfig) }
}
