import KafkaProtocol
import Platform
import Values

extension KafkaCluster {
  /// Runs `body` until it succeeds, fails for good, or the time is up; between two tries it waits
  /// `retry.backoff.ms`, doubled each time up to `retry.backoff.max.ms`.
  ///
  /// - Parameter refresh: asks for new metadata before another try after an error that says that
  ///   what is known is stale.
  public func retrying<Value: Sendable>(
    timeoutMs: Int64, refresh: Bool = true,
    _ body: () async throws(ClientError) -> Value
  ) async throws(ClientError) -> Value {
    let deadline = Clock.now().advanced(milliseconds: timeoutMs)
    var wait = max(1, retryBackoffMs)
    while true {
      let failure: ClientError
      do {
        return try await body()
      } catch {
        failure = error
      }
      guard failure.isRetriable, Clock.now().advanced(milliseconds: wait) < deadline else {
        throw failure
      }
      await pause(wait)
      wait = min(wait * 2, max(wait, retryBackoffMaxMs))
      if refresh, failure.wantsMetadata { _ = try? await updateMetadata(topics: []) }
    }
  }

  /// Waits without holding a thread; less when the client is closed.
  public func pause(_ milliseconds: Int64) async {
    if isEnding.load(ordering: .acquiring) { return }
    await withCheckedContinuation { continuation in
      loop.execute { [self] in
        if isClosed { return continuation.resume() }
        pauseCount += 1
        let number = pauseCount
        pauses[number] = continuation
        loop.schedule(afterMs: milliseconds) { [weak self] in
          self?.pauses.removeValue(forKey: number)?.resume()
        }
      }
    }
  }

  /// Sends to the active controller, finding it anew when it has moved.
  public func sendToController<Request: KafkaRequest>(
    _ request: Request, maxVersion: Int16? = nil, timeoutMs: Int64,
    code: (Request.Response) -> ErrorCode
  ) async throws(ClientError) -> Request.Response {
    if metadata.controllerID < 0 { _ = try await updateMetadataRetrying(timeoutMs: timeoutMs) }
    return try await retrying(timeoutMs: timeoutMs) { () throws(ClientError) in
      let response = try await send(request, to: .controller, maxVersion: maxVersion)
      let code = code(response)
      if code.isRetriable { throw ClientError(code) }
      return response
    }
  }

  /// Nodes and controller, asked for until some broker answers.
  public func updateMetadataRetrying(timeoutMs: Int64) async throws(ClientError) -> ClusterMetadata
  {
    try await retrying(timeoutMs: timeoutMs, refresh: false) { () throws(ClientError) in
      try await updateMetadata(topics: [])
    }
  }
}
