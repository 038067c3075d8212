// Where loads run: on the system's tasks and clock, or on an event loop's.
import KafkaClient
import Platform
import Values

/// What a load needs of its surroundings. With an executor everything that the loads and their
/// clients do happens on that one loop, at that loop's times: so a simulation runs the very loads
/// that drills run.
public enum LoadRuntime {
  /// Nil: the system's.
  @TaskLocal public static var executor: EventLoopExecutor?

  /// A client for administration that gives up soon, and finds members that come back at once.
  public static func admin(
    _ bootstrap: String, timeoutMs: Int = 15_000
  ) throws(ClientError) -> AdminClient {
    try AdminClient(
      [
        "bootstrap.servers": bootstrap, "request.timeout.ms": "5000",
        "default.api.timeout.ms": "\(timeoutMs)", "reconnect.backoff.max.ms": "200",
      ], executor: executor)
  }

  /// Waits, at least so long.
  public static func pause(_ milliseconds: Int64) async {
    guard let loop = executor?.loop else {
      try? await Task.sleep(for: .milliseconds(milliseconds))
      return
    }
    await withCheckedContinuation { continuation in
      loop.execute { loop.schedule(afterMs: milliseconds) { continuation.resume() } }
    }
  }

  /// Runs `body` in a task of its own on a loop, and all that comes of it there too.
  @discardableResult
  public static func start(
    on executor: EventLoopExecutor, _ body: @escaping @Sendable () async -> Void
  ) -> Task<Void, Never> {
    $executor.withValue(executor) { Task(executorPreference: executor) { await body() } }
  }
}
