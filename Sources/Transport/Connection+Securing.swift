import Platform

// TLS comes before everything else: the owner hears of a connection when it has been agreed on.

extension Connection {
  /// The socket is connected: begins the handshake, or waits for what tells whether there is one.
  func secure() {
    state = .securing
    loop.cancel(timer)
    timer = loop.schedule(
      afterMs: channel.handshakeTimeoutMs, self, tag: Connection.secureTag)
    advanceSecuring()
  }

  func advanceSecuring() {
    switch channel.secure(peer) {
    case .done:
      secured(true)
      begin()
    case .wantsInput: waitFor(.readable)
    case .wantsOutput: waitFor(.writable)
    case .failed(let reason): finish(.handshakeFailed(reason))
    }
  }

  /// Tells whoever counts handshakes, once.
  func secured(_ succeeded: Bool) {
    onSecured?(succeeded)
    onSecured = nil
  }

  private func waitFor(_ wanted: Readiness) {
    guard let watch, interest != wanted else { return }
    interest = wanted
    do { try loop.change(watch, to: wanted) } catch { finish(.failed(error)) }
  }
}
