// Where `jackdaw acls` reads and changes entries: asked of a broker, or in the znodes themselves.
import Authorization
import Control
import KafkaClient
import KafkaMessages
import KafkaProtocol
import Metadata
import Settings
import Values
import ZooKeeperClient
import ZooKeeperProtocol

protocol AclStore: Sendable {
  func describeAcls(
    _ filter: DescribeAclsRequest
  ) async throws -> [DescribeAclsResponse.DescribeAclsResource]
  func createAcls(
    _ creations: [CreateAclsRequest.AclCreation]
  ) async throws -> [Result<Void, ClientError>]
  func deleteAcls(
    _ filters: [DeleteAclsRequest.DeleteAclsFilter]
  ) async throws -> [Result<[DeleteAclsResponse.DeleteAclsMatchingAcl], ClientError>]
}

extension AdminClient: AclStore {}

/// Entries in znodes, changed as AclAuthorizer changes them: no broker has to run, and none judges.
struct ZnodeAcls: AclStore {
  private let client: ZooKeeperClient

  /// Runs `body` with a session of its own, which is closed afterwards, whatever happens.
  static func with(
    _ connect: ConnectString, _ line: ParsedCommandLine, _ console: Console,
    _ body: (ZnodeAcls) async throws -> Void
  ) async throws {
    let session = try ShellSession(
      connect, timeoutMs: 18_000, limitMs: 30_000,
      tls: try ZooKeeperShellTool.tls(
        line.value("--zk-tls-config-file"), flag: "--zk-tls-config-file"), console)
    do {
      try await session.connect()
      let store = ZnodeAcls(client: try session.client())
      try await store.makePaths()
      try await body(store)
      await session.close()
    } catch {
      await session.close()
      throw error
    }
  }

  /// What the flags `--authorizer`, `--authorizer-properties` and `--zk-tls-config-file` ask for.
  /// - Returns: nil when entries are to be changed through a broker.
  static func connectString(
    _ line: ParsedCommandLine
  ) throws(SettingsError) -> ConnectString? {
    let properties = line.all("--authorizer-properties")
    guard !properties.isEmpty else {
      for flag in ["--authorizer", "--zk-tls-config-file"] where line.has(flag) {
        throw SettingsError("needs --authorizer-properties zookeeper.connect=…", key: flag)
      }
      return nil
    }
    for flag in ["--bootstrap-server", "--command-config"] where line.value(flag) != nil {
      throw SettingsError("cannot be given with --authorizer-properties", key: flag)
    }
    let name = BrokerConfig.Authorization.aclAuthorizer
    if let asked = line.value("--authorizer"), asked != name {
      throw SettingsError("there is only \(name)", key: "--authorizer", value: asked)
    }
    var found: ConnectString?
    for property in properties {
      guard property.hasPrefix("zookeeper.connect=") else {
        throw SettingsError(
          "only zookeeper.connect=HOST:PORT,… is known", key: "--authorizer-properties",
          value: property)
      }
      do throws(ConnectString.Invalid) {
        found = try ConnectString(String(property.dropFirst("zookeeper.connect=".utf8.count)))
      } catch {
        throw SettingsError("\(error)", key: "--authorizer-properties", value: property)
      }
    }
    return found
  }

  /// The paths of a cluster that no authorizer has been started in.
  private func makePaths() async throws {
    for path in AclZnode.paths {
      if try await client.exists(path) != nil { continue }
      let failure = try await client.multi([
        .create(path, nil, mode: .persistent, acl: ACL.openUnsafe)
      ]).firstFailure?.error
      if let failure, failure != .nodeExists { throw failure }
    }
  }

  // MARK: Reading

  func describeAcls(
    _ filter: DescribeAclsRequest
  ) async throws -> [DescribeAclsResponse.DescribeAclsResource] {
    var image = MetadataImage()
    for (place, entry) in try await everything().flatMap(\.entries).enumerated() {
      var record = entry.record
      record.id = Uuid(high: 0, low: UInt64(place) + 1)
      image.apply(.accessControlEntry(record))
    }
    let answer = filter.answer(from: image.accessControl)
    guard answer.errorCode == 0 else { throw ToolFailure(answer.errorMessage ?? "") }
    return answer.resources
  }

  private func everything() async throws -> [StoredAcls] {
    var lists: [StoredAcls] = []
    for root in AclZnode.resourceRoots {
      for name in try await client.getChildren(root).children.sorted() {
        guard let resource = AclZnode.Resource(path: "\(root)/\(name)") else { continue }
        lists.append(try await read(resource))
      }
    }
    return lists
  }

  private func read(_ resource: AclZnode.Resource) async throws -> StoredAcls {
    try Self.parse(resource, try await content(of: resource.path))
  }

  /// Nil where there is no znode.
  private func content(of path: String) async throws -> ZnodeContent? {
    do {
      let found = try await client.getData(path)
      return ZnodeContent(
        data: found.data ?? [], version: found.stat.version, createdZxid: found.stat.czxid)
    } catch ZooKeeperError.noNode {
      return nil
    }
  }

  private static func parse(
    _ resource: AclZnode.Resource, _ content: ZnodeContent?
  ) throws -> StoredAcls {
    do throws(Refusal) {
      return try StoredAcls(resource, content)
    } catch {
      throw ToolFailure(error.message ?? "\(error.code)")
    }
  }

  // MARK: Changing

  func createAcls(
    _ creations: [CreateAclsRequest.AclCreation]
  ) async throws -> [Result<Void, ClientError>] {
    for result in CreateAclsRequest({ $0.creations = creations }).storable {
      switch result {
      case .failure(let refusal): throw ToolFailure(refusal.message ?? "\(refusal.code)")
      case .success(let entry): try await update(AclZnode.Resource(entry)) { $0.add(entry) }
      }
    }
    return creations.map { _ in .success(()) }
  }

  func deleteAcls(
    _ filters: [DeleteAclsRequest.DeleteAclsFilter]
  ) async throws -> [Result<[DeleteAclsResponse.DeleteAclsMatchingAcl], ClientError>] {
    let wanted = filters.map { AclFilter($0) }
    var removed: [(entry: AccessControlEntry, filter: Int, failure: Refusal?)] = []
    for list in try await everything() {
      for found in try await update(list.resource, { $0.remove(matching: wanted) }) {
        removed.append((found.entry, found.filter, nil))
      }
    }
    let answer = DeleteAclsRequest({ $0.filters = filters }).response(removed)
    return answer.filterResults.map { .success($0.matchingAcls) }
  }

  /// Reads a list, changes it and writes it; again when somebody else has written in between.
  private func update<Outcome>(
    _ resource: AclZnode.Resource, _ change: (inout StoredAcls) -> Outcome
  ) async throws -> Outcome {
    for _ in 0...StoredAcls.maxRetries {
      var list = try await read(resource)
      let outcome = change(&list)
      guard let transaction = list.transaction else { return outcome }
      let failure = try await client.multi(transaction.ops.map(Self.operation)).firstFailure?.error
      guard let failure else { return outcome }
      guard [.badVersion, .noNode, .nodeExists].contains(failure) else { throw failure }
      try await Task.sleep(for: .milliseconds(StoredAcls.backoffMs))
    }
    throw ToolFailure("Failed to update ACLs for \(resource.path): others keep changing them")
  }

  private static func operation(_ op: ZnodeOp) -> MultiOperation {
    switch op {
    case .check(let path, let version): .check(path, version: version)
    case .create(let path, let data, let mode):
      .create(
        path, data, mode: mode == .persistentSequential ? .persistentSequential : .persistent,
        acl: ACL.openUnsafe)
    case .setData(let path, let data, let version): .setData(path, data, version: version)
    case .delete(let path, let version): .delete(path, version: version)
    }
  }
}
