/// Changes of client quotas in ZooKeeper mode, which any broker writes (KIP-546): text values of
/// `/config/users`, `/config/clients`, `/config/users/U/clients` and `/config/ips`, beside what
/// else is kept there.
import Control
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

extension ConfigWriter {
  /// Carries out the entries one after the other; the answer comes on the session's loop.
  func alterQuotas(
    _ request: AlterClientQuotasRequest,
    _ completion: @escaping (AlterClientQuotasResponse) -> Void
  ) {
    alterNext(request.entries[...], [], [], request.validateOnly) { refusals in
      completion(
        .init {
          $0.entries = zip(request.entries, refusals).map {
            AlterClientQuotasRequest.result($0, $1)
          }
        })
    }
  }

  private func alterNext(
    _ entries: ArraySlice<AlterClientQuotasRequest.EntryData>, _ seen: Set<QuotaEntity>,
    _ results: [Refusal], _ validateOnly: Bool, _ completion: @escaping ([Refusal]) -> Void
  ) {
    guard let entry = entries.first else { return completion(results) }
    var seen = seen
    func goOn(_ result: Refusal) {
      alterNext(entries.dropFirst(), seen, results + [result], validateOnly, completion)
    }
    do throws(Refusal) {
      let entity = try AlterClientQuotasRequest.entity(entry)
      guard seen.insert(entity).inserted else {
        throw Refusal(.invalidRequest, "Ignoring duplicate entity \(entity)")
      }
      guard let path = ConfigEntity.quota(entity).path else {
        throw Refusal(.invalidRequest, "Invalid client quota entity")
      }
      alter(entry, entity, path, validateOnly, goOn)
    } catch {
      goOn(error)
    }
  }

  private func alter(
    _ entry: AlterClientQuotasRequest.EntryData, _ entity: QuotaEntity, _ path: String,
    _ validateOnly: Bool, _ completion: @escaping (Refusal) -> Void
  ) {
    // What is stored decides, not what this broker has heard of it.
    session.read([.data(ZnodePath.config(path), watch: false)]) { [self] results in
      var config: [String: String] = [:]
      if case .content(let content) = results[0] { config = ConfigZnode.decode(content.data) }
      do throws(Refusal) {
        let limits = config.compactMapValues { Double($0) }
        for change in try AlterClientQuotasRequest.changes(entry, of: entity, limits) {
          guard case .clientQuota(let record) = change else { continue }
          config[record.key] =
            record.remove ? nil : ConfigEntity.quotaText(record.value, record.key)
        }
      } catch {
        return completion(error)
      }
      if validateOnly { return completion(Refusal(.none)) }
      makeParents(of: path) { [self] in
        let writes = ZnodeWriter.configWrites(path, config, records: [])
        write(writes, ConfigResource(.unknown, path)) { [self] result in
          watcher.load([path]) {
            if case .failure(let refusal) = result { completion(refusal) } else {
              completion(Refusal(.none))
            }
          }
        }
      }
    }
  }

  /// `users/U/clients/C` needs `users/U` and `users/U/clients`.
  private func makeParents(of path: String, _ completion: @escaping () -> Void) {
    let parts = path.split(separator: "/").map(String.init)
    guard parts.count > 2 else { return completion() }
    let parents = (2..<parts.count).map { parts[..<$0].joined(separator: "/") }
    session.write(
      parents.map {
        ZnodeTransaction(
          [.create(path: ZnodePath.config($0), data: [])], tolerates: .nodeExists)
      }) { _ in completion() }
  }
}
