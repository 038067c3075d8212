// How much clients may ask for at a time.

import Platform
import Transport
import Values
import ZooKeeperProtocol

extension Coordinator {
  // MARK: Sessions

  /// Before a session is opened or taken up again: `connection_throttle_tokens`.
  func admit(_ request: ConnectRequest) throws(CloseReason) {
    let new: ConnectionThrottle.Kind = config.opensLocalSessions ? .newLocalSession : .newSession
    let kind = request.sessionID == 0 ? new : .oldSession
    var random = SystemRandom()
    if connectionThrottle.admits(kind, at: loop.now, using: &random) {
      return statistics.tokenDeficit.add(Int64(connectionThrottle.deficit))
    }
    statistics.connectionsThrottled += 1
    throw .local("too many sessions are opened")
  }

  // MARK: Large requests

  /// Before a request is looked at: large ones may only have so much memory together.
  func admit(_ client: ClientConnection, bytes: Int) throws(CloseReason) {
    guard isLarge(bytes), largeRequestBytes + bytes > config.limits.largeRequestBytes else {
      return
    }
    statistics.largeRequestsRejected += 1
    CoordinatorLog.sessions.warn(
      "large request rejected", ["peer": client.connection.peer, "bytes": bytes])
    throw .local("large request rejected")
  }

  private func isLarge(_ bytes: Int) -> Bool {
    config.limits.largeRequestThreshold > 0 && bytes > config.limits.largeRequestThreshold
  }

  /// Nothing of the client's waits any more, or the client is gone.
  func settleLargeRequests(of client: ClientConnection) {
    largeRequestBytes -= client.largeRequestBytes
    client.largeRequestBytes = 0
  }

  // MARK: Requests under way

  /// After a request was begun: while too many are under way, its connection is not read from.
  /// One request of each connection may be beyond the limit: those that had come already.
  func throttle(_ client: ClientConnection, bytes: Int) {
    if isLarge(bytes), client.queuedCount > 0 {
      client.largeRequestBytes += bytes
      largeRequestBytes += bytes
    }
    let limit = config.limits.throttledRequests
    guard limit > 0, outstanding >= limit, !client.isThrottled, client.phase != .closed else {
      return
    }
    client.isThrottled = true
    client.connection.hold()
    lookAgain(client, since: loop.now)
  }

  private func lookAgain(_ client: ClientConnection, since: Instant) {
    statistics.requestThrottleWaits += 1
    loop.schedule(afterMs: config.limits.throttleStallMs) { [weak self, weak client] in
      guard let self, let client, client.phase != .closed else { return }
      guard outstanding < config.limits.throttledRequests else {
        return lookAgain(client, since: since)
      }
      statistics.throttleTime.add(loop.now.milliseconds(since: since))
      client.isThrottled = false
      client.connection.release()
    }
  }
}
