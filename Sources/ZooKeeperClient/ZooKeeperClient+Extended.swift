import ZooKeeperProtocol

// Operations that came after 3.4: watches that stay, TTL znodes, questions about a whole subtree,
// the ensemble's membership.

extension ZooKeeperClient {
  /// The znode that holds the ensemble's membership; no chroot hides it.
  private static let configPath = "/zookeeper/config"

  /// A watch that stays: on the path's data and children, or on everything below it, too.
  public func addWatch(
    _ path: String, mode: AddWatchMode, _ completion: @escaping Completion<Void>
  ) {
    let path = serverPath(path)
    request(
      .addWatch, PathKindRequest(path: path, kind: mode.rawValue), answer: Nothing.self
    ) { [weak self] result in
      if case .success = result { self?.watches.add(path, mode) }
      completion(result.map { _ in })
    }
  }

  /// Takes watches off a path. `noWatcher` when there was none.
  ///
  /// - Parameter isLocal: Whether they are also forgotten when no server can be asked.
  public func removeWatches(
    _ path: String, type: WatcherType = .any, isLocal: Bool = false,
    _ completion: @escaping Completion<Void>
  ) {
    let path = serverPath(path)
    onLoop { [self] in
      guard watches.contains(path, type) else { return completion(.failure(.noWatcher)) }
      if isLocal, state != .connected {
        watches.remove(path, type)
        return completion(.success(()))
      }
      request(
        .removeWatches, PathKindRequest(path: path, kind: type.rawValue), answer: Nothing.self
      ) { [weak self] result in
        if case .success = result { self?.watches.remove(path, type) }
        completion(result.map { _ in })
      }
    }
  }

  /// Creates a znode that goes when it has had no change and no child for `ttlMs` milliseconds.
  public func create(
    _ path: String, _ data: [UInt8]?, ttlMs: Int64, isSequential: Bool = false,
    acl: [ACL] = ACL.openUnsafe, _ completion: @escaping Completion<Create2Response>
  ) {
    let mode: CreateMode = isSequential ? .persistentSequentialWithTTL : .persistentWithTTL
    let body = CreateTTLRequest(
      create: CreateRequest(path: serverPath(path), data: data, acl: acl, mode: mode), ttl: ttlMs)
    request(.createTTL, body, answer: Create2Response.self) { [connectString] result in
      completion(
        result.map {
          Create2Response(path: connectString.clientPath($0.path), stat: $0.stat)
        })
    }
  }

  /// The session's ephemeral znodes whose paths begin so.
  public func getEphemerals(
    _ prefix: String = "/", _ completion: @escaping Completion<[String]>
  ) {
    request(
      .getEphemerals, PathRecord(path: serverPath(prefix)), answer: GetChildrenResponse.self
    ) { [connectString] result in
      completion(result.map { $0.children.map(connectString.clientPath) })
    }
  }

  /// How many znodes there are below a path.
  public func getAllChildrenNumber(_ path: String, _ completion: @escaping Completion<Int32>) {
    request(
      .getAllChildrenNumber, PathRecord(path: serverPath(path)), answer: IntRecord.self
    ) { completion($0.map(\.value)) }
  }

  /// The identities that the server knows of this connection.
  public func whoAmI(_ completion: @escaping Completion<[AuthID]>) {
    request(.whoAmI, Nothing(), answer: WhoAmIResponse.self) {
      completion($0.map(\.clientInfo))
    }
  }

  /// The ensemble's membership as text.
  public func getConfig(
    watch: Bool = false, _ completion: @escaping Completion<GetDataResponse>
  ) {
    request(
      .getData, PathWatchRequest(path: Self.configPath, watch: watch),
      answer: GetDataResponse.self, watching: watch ? Self.configPath : nil, completion)
  }

  /// Changes the ensemble's membership; answers the new one.
  public func reconfigure(
    _ change: ReconfigRequest, _ completion: @escaping Completion<GetDataResponse>
  ) {
    request(.reconfig, change, answer: GetDataResponse.self, completion)
  }
}

// The same for asynchronous callers.

extension ZooKeeperClient {
  public func addWatch(_ path: String, mode: AddWatchMode) async throws(ZooKeeperError) {
    try await answer { addWatch(path, mode: mode, $0) }
  }

  public func removeWatches(
    _ path: String, type: WatcherType = .any, isLocal: Bool = false
  ) async throws(ZooKeeperError) {
    try await answer { removeWatches(path, type: type, isLocal: isLocal, $0) }
  }

  @discardableResult
  public func create(
    _ path: String, _ data: [UInt8]?, ttlMs: Int64, isSequential: Bool = false,
    acl: [ACL] = ACL.openUnsafe
  ) async throws(ZooKeeperError) -> Create2Response {
    try await answer { create(path, data, ttlMs: ttlMs, isSequential: isSequential, acl: acl, $0) }
  }

  public func getEphemerals(_ prefix: String = "/") async throws(ZooKeeperError) -> [String] {
    try await answer { getEphemerals(prefix, $0) }
  }

  public func getAllChildrenNumber(_ path: String) async throws(ZooKeeperError) -> Int32 {
    try await answer { getAllChildrenNumber(path, $0) }
  }

  public func whoAmI() async throws(ZooKeeperError) -> [AuthID] { try await answer { whoAmI($0) } }

  public func getConfig(watch: Bool = false) async throws(ZooKeeperError) -> GetDataResponse {
    try await answer { getConfig(watch: watch, $0) }
  }

  public func reconfigure(
    _ change: ReconfigRequest
  ) async throws(ZooKeeperError) -> GetDataResponse {
    try await answer { reconfigure(change, $0) }
  }
}
