// Connections come and go.

import Bytes
import Transport
import ZooKeeperProtocol
import Znodes

extension Coordinator {
  /// A client has connected and will speak frames.
  func welcome(_ connection: Connection) -> ClientConnection {
    let id = WatcherID(rawValue: nextWatcher)
    nextWatcher += 1
    let client = ClientConnection(self, connection, watcher: id)
    connections[id] = client
    connection.context = client
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

  func opened(_ connection: Connection) {}

  func received(
    bytes: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) -> Int {
    guard bytes.count >= 4 else { return 0 }
    let word = String(decoding: bytes[..<4], as: UTF8.self)
    if let word = FourLetterWord(rawValue: word) {
      let answer = coordinator.answer(to: word)
      connection.output.writeText(answer)
      connection.closeAfterFlush(.local("answered \(word)"))
      return bytes.count
    }
    guard coordinator.isServing else { throw .local("not serving") }
    _ = coordinator.welcome(connection)
    connection.become(.frames(frames))
    return 0
  }

  func closed(_ connection: Connection, because reason: CloseReason) {}
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
    var reader = ByteReader(UnsafeRawBufferPointer(frame).bytes)
    switch client.phase {
    case .greeting: try client.greet(&reader)
    case .open: try client.received(&reader)
    // Reading is held while the session opens; after its end nothing is listened to.
    case .opening, .closed: break
    }
  }

  func closed(_ connection: Connection, because reason: CloseReason) {
    guard let client = connection.context as? ClientConnection else { return }
    coordinator.gone(client)
  }
}
