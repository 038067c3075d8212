import ZooKeeperProtocol

// The operations for asynchronous callers: the control plane, tools and tests.

extension ZooKeeperClient {
  func answer<Answer: Sendable>(
    _ body: (@escaping Completion<Answer>) -> Void
  ) async throws(ZooKeeperError) -> Answer {
    let result: Result<Answer, ZooKeeperError> = await withCheckedContinuation { continuation in
      body { continuation.resume(returning: $0) }
    }
    return try result.get()
  }

  /// Creates a znode and returns its path, a sequential one's with its number.
  @discardableResult
  public func create(
    _ path: String, _ data: [UInt8]?, mode: CreateMode = .persistent, acl: [ACL] = ACL.openUnsafe
  ) async throws(ZooKeeperError) -> Create2Response {
    try await answer { create(path, data, mode: mode, acl: acl, $0) }
  }

  public func delete(_ path: String, version: Int32 = -1) async throws(ZooKeeperError) {
    try await answer { delete(path, version: version, $0) }
  }

  public func exists(_ path: String, watch: Bool = false) async throws(ZooKeeperError) -> Stat? {
    try await answer { exists(path, watch: watch, $0) }
  }

  public func getData(
    _ path: String, watch: Bool = false
  ) async throws(ZooKeeperError) -> GetDataResponse {
    try await answer { getData(path, watch: watch, $0) }
  }

  @discardableResult
  public func setData(
    _ path: String, _ data: [UInt8]?, version: Int32 = -1
  ) async throws(ZooKeeperError) -> Stat {
    try await answer { setData(path, data, version: version, $0) }
  }

  public func getACL(_ path: String) async throws(ZooKeeperError) -> GetACLResponse {
    try await answer { getACL(path, $0) }
  }

  @discardableResult
  public func setACL(
    _ path: String, _ acl: [ACL], version: Int32 = -1
  ) async throws(ZooKeeperError) -> Stat {
    try await answer { setACL(path, acl, version: version, $0) }
  }

  public func getChildren(
    _ path: String, watch: Bool = false
  ) async throws(ZooKeeperError) -> GetChildren2Response {
    try await answer { getChildren(path, watch: watch, $0) }
  }

  public func sync(_ path: String = "/") async throws(ZooKeeperError) {
    try await answer { sync(path, $0) }
  }

  /// The server's results; see `firstFailure`.
  public func multi(
    _ operations: [MultiOperation]
  ) async throws(ZooKeeperError) -> [MultiResult] {
    try await answer { multi(operations, $0) }
  }

  public func addAuth(scheme: String, _ auth: [UInt8]) async throws(ZooKeeperError) {
    try await answer { addAuth(scheme: scheme, auth, $0) }
  }

  /// Ends the session and the connection.
  public func close() async {
    await withCheckedContinuation { continuation in close { continuation.resume() } }
  }
}
