// Connections come and go.

import Bytes
import Transport
import ZooKeeperProtocol
import Znodes

extension Coordinator {
  /// Somebody has connected.
  func welcome(_ connection: Connection) -> ClientConnection {
    let id = WatcherID(rawValue: nextWatcher)
    nextWatcher += 1
    let client = ClientConnection(self, connection, watcher: id)
    connections[id] = client
    connection.context = client
    client.takeCertificate()
    return client
  }

  /// A number that no session has.
  func newSessionID() -> Int64 {
    defer { nextSession &+= 1 }
    return nextSession
  }

  /// From now on the session's replies go this way.
  func adopt(_ client: ClientConnection) { sessions[client.session] = client }

  func gone(_ client: ClientConnection) {
    client.disconnected()
    settleLargeRequests(of: client)
    connections[client.watcher] = nil
    watches.removeAll(of: client.watcher)
    if sessions[client.session] === client { sessions[client.session] = nil }
  }
}

/// What a new connection meets: four bytes that are a word or the length of the first frame.
final class GreetingHandler: StreamHandler {
  private let coordinator: Coordinator
  private let frames: ClientFrameHandler

  init(_ coordinator: Coordinator) {
    self.coordinator = coordinator
    frames = ClientFrameHandler(coordinator)
  }

  func opened(_ connection: Connection) { _ = coordinator.welcome(connection) }

  func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) -> Int {
    guard bytes.count >= 4 else { return 0 }
    if let word = FourLetterWord(rawValue: String(decoding: bytes[..<4], as: UTF8.self)) {
      // A word that is not allowed is refused without what would follow it.
      let isAllowed = coordinator.config.allowedWords.contains(word)
      let length = isAllowed ? 4 + word.argumentLength : 4
      guard bytes.count >= length else { return 0 }
      answer(word, UnsafeRawBufferPointer(rebasing: bytes[4..<length]), connection)
      return bytes.count
    }
    guard coordinator.takesClients else {
      coordinator.statistics.closedWhileNotServing += 1
      throw .local("not serving")
    }
    connection.become(.frames(frames))
    return 0
  }

  private func answer(
    _ word: FourLetterWord, _ argument: UnsafeRawBufferPointer, _ connection: Connection
  ) {
    // Nothing more is listened to: it shows as a connection that waits for nothing.
    connection.hold()
    let client = connection.context as? ClientConnection
    client?.statistics.received += 1
    coordinator.statistics.packetsReceived += 1
    let mask = argument.count == 8 ? Int64(bigEndian: argument.loadUnaligned(as: Int64.self)) : 0
    connection.output.writeText(coordinator.answer(to: word, argument: mask))
    coordinator.statistics.packetsSent += 1
    connection.closeAfterFlush(.local("answered \(word)"))
  }

  func closed(_ connection: Connection, because reason: CloseReason) {
    guard let client = connection.context as? ClientConnection else { return }
    coordinator.gone(client)
  }
}

/// Frames of clients.
final class ClientFrameHandler: FrameHandler {
  private let coordinator: Coordinator

  init(_ coordinator: Coordinator) { self.coordinator = coordinator }

  func opened(_ connection: Connection) {}

  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    guard let client = connection.context as? ClientConnection else { return }
    coordinator.statistics.bytesReceived += Int64(frame.count + 4)
    var reader = ByteReader(UnsafeRawBufferPointer(frame).bytes)
    switch client.phase {
    case .greeting: try client.greet(&reader)
    case .open:
      try coordinator.admit(client, bytes: frame.count)
      try client.received(&reader)
      coordinator.throttle(client, bytes: frame.count)
    // Reading is held while the session opens; after its end nothing is listened to.
    case .opening, .closed: break
    }
  }

  func closed(_ connection: Connection, because reason: CloseReason) {
    guard let client = connection.context as? ClientConnection else { return }
    coordinator.gone(client)
  }
}
