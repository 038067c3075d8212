import KafkaMessages
import KafkaProtocol
import Values

/// What became of each of many things.
public typealias Outcomes<Key: Hashable, Value> = [Key: Result<Value, ClientError>]

/// Changes and describes a cluster. Every call finds the node that it has to ask, and asks again
/// while errors are of a passing kind, up to `default.api.timeout.ms`.
///
/// Calls about many things give one result for each of them.
public final class AdminClient: Sendable {
  public let cluster: KafkaCluster
  /// How long a call may take in all.
  public let timeoutMs: Int64

  /// - Parameter executor: as for `KafkaCluster`.
  public convenience init(
    _ properties: [String: String], executor: (any TaskExecutor)? = nil
  ) throws(ClientError) {
    try self.init(ClientConfig(properties, for: .admin), executor: executor)
  }

  public init(
    _ config: ClientConfig, executor: (any TaskExecutor)? = nil
  ) throws(ClientError) {
    cluster = try KafkaCluster(config, executor: executor)
    timeoutMs = config.integer("default.api.timeout.ms")
  }

  /// Calls over a connection that somebody else has, and closes.
  public init(over cluster: KafkaCluster, timeoutMs: Int64) {
    self.cluster = cluster
    self.timeoutMs = timeoutMs
  }

  public func close() async { await cluster.close() }

  /// The time-out that requests carry.
  var requestTimeoutMs: Int32 { Int32(clamping: cluster.requestTimeoutMs) }

  /// Sends to whichever node is at hand, again while that fails in passing. Among controllers only
  /// the active one has the answers.
  func sendToAny<Request: KafkaRequest>(
    _ request: Request, maxVersion: Int16? = nil, code: (Request.Response) -> ErrorCode
  ) async throws(ClientError) -> Request.Response {
    if cluster.isOfControllers {
      return try await cluster.sendToController(request, timeoutMs: timeoutMs, code: code)
    }
    return try await cluster.retrying(timeoutMs: timeoutMs) { () throws(ClientError) in
      let response = try await cluster.send(request, to: .any, maxVersion: maxVersion)
      let code = code(response)
      if code.isRetriable { throw ClientError(code) }
      return response
    }
  }

  /// Sends to one node, again while that fails in passing.
  func sendToNode<Request: KafkaRequest>(
    _ request: Request, _ node: Int32, code: (Request.Response) -> ErrorCode
  ) async throws(ClientError) -> Request.Response {
    if cluster.metadata.nodes[node] == nil {
      _ = try await cluster.updateMetadataRetrying(timeoutMs: timeoutMs)
    }
    return try await cluster.retrying(timeoutMs: timeoutMs) { () throws(ClientError) in
      let response = try await cluster.send(request, to: .node(node))
      let code = code(response)
      if code.isRetriable { throw ClientError(code) }
      return response
    }
  }

  /// Throws what a whole response says.
  func check(_ code: Int16, _ message: String? = nil) throws(ClientError) {
    if code != 0 { throw ClientError(ErrorCode(code), message) }
  }

  /// One thing's result.
  func result<Value>(
    _ code: Int16, _ message: String?, _ value: @autoclosure () -> Value
  ) -> Result<Value, ClientError> {
    code == 0 ? .success(value()) : .failure(ClientError(ErrorCode(code), message))
  }
}
