import KafkaMessages
import KafkaProtocol
import Values

extension KafkaCluster {
  /// What a coordinator coordinates, numbered as FindCoordinator numbers it.
  public enum CoordinatorKind: Int8, Sendable {
    case group = 0
    case transaction = 1
  }

  /// The node that coordinates a group or a transactional id; asked for until there is one.
  public func coordinator(
    of key: String, _ kind: CoordinatorKind, timeoutMs: Int64 = 60_000
  ) async throws(ClientError) -> Int32 {
    try await retrying(timeoutMs: timeoutMs, refresh: false) { () throws(ClientError) in
      try await onLoop { [self] completion in findCoordinator(of: key, kind, completion) }
    }
  }

  /// - Precondition: on `loop`.
  func findCoordinator(
    of key: String, _ kind: CoordinatorKind,
    _ completion: @escaping (Result<Int32, ClientError>) -> Void
  ) {
    let request = FindCoordinatorRequest {
      $0.key = key
      $0.keyType = kind.rawValue
    }
    // Version 4 asks for many keys at once; one key needs the older form only.
    send(request, to: .any, maxVersion: 3) { [self] result in
      completion(
        result.flatMap { response in
          let code = ErrorCode(response.errorCode)
          guard code == .none else { return .failure(ClientError(code, response.errorMessage)) }
          learn(
            ClusterMetadata.Node(id: response.nodeID, host: response.host, port: response.port))
          return .success(response.nodeID)
        })
    }
  }

  /// A node that metadata has not named yet.
  private func learn(_ node: ClusterMetadata.Node) {
    snapshot.withLock { if $0.nodes[node.id] == nil { $0.nodes[node.id] = node } }
  }

  /// Sends to a coordinator, and finds it anew when it has moved.
  public func sendToCoordinator<Request: KafkaRequest>(
    of key: String, _ kind: CoordinatorKind, _ request: Request, maxVersion: Int16? = nil,
    timeoutMs: Int64, code: (Request.Response) -> ErrorCode
  ) async throws(ClientError) -> Request.Response {
    try await retrying(timeoutMs: timeoutMs, refresh: false) { () throws(ClientError) in
      let node = try await coordinator(of: key, kind, timeoutMs: timeoutMs)
      let response = try await send(request, to: .node(node), maxVersion: maxVersion)
      let code = code(response)
      if code.isRetriable { throw ClientError(code) }
      return response
    }
  }
}
