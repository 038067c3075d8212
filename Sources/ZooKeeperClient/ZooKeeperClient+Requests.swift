import Bytes
import Containers
import Transport
import ZooKeeperProtocol

/// A request on its way: its bytes, and what to do with the answer.
struct PendingRequest {
  var xid: Int32 = 0
  var type: OpCode
  var body: [UInt8]
  /// The path it watches, as the server knows it; nil when it asked for no watch.
  var watching: String?
  /// Gets the error, or the frame's rest.
  var complete: (ZooKeeperError, RestOfFrame) -> Void

  init(
    type: OpCode, body: [UInt8], watching: String? = nil,
    _ complete: @escaping (ZooKeeperError, RestOfFrame) -> Void
  ) {
    self.type = type
    self.body = body
    self.watching = watching
    self.complete = complete
  }
}

/// The bytes behind a reply's header; empty when the connection was lost.
typealias RestOfFrame = [UInt8]

// Sending requests and taking answers, in order.

extension ZooKeeperClient {
  /// Makes a request from any thread; `completion` comes on the loop.
  func request<Answer: JuteRecord & Sendable>(
    _ type: OpCode, _ body: some JuteRecord & Sendable, answer: Answer.Type,
    watching: String? = nil,
    _ completion: @escaping @Sendable (Result<Answer, ZooKeeperError>) -> Void
  ) {
    let bytes = body.encoded()
    onLoop { [self] in
      submit(
        PendingRequest(type: type, body: bytes, watching: watching) { error, rest in
          guard error == .ok else { return completion(.failure(error)) }
          do throws(ByteError) {
            completion(.success(try Answer(decoding: rest)))
          } catch {
            completion(.failure(.marshallingError))
          }
        })
    }
  }

  func submit(_ request: PendingRequest) {
    switch state {
    case .connected: send(request)
    case .connecting, .handshaking: waiting.append(request)
    case .expired: request.complete(.sessionExpired, [])
    case .authFailed: request.complete(.authFailed, [])
    case .idle, .closing: request.complete(.connectionLoss, [])
    }
  }

  func send(_ request: PendingRequest) {
    var request = request
    request.xid = nextXid
    // Numbers below zero have meanings of their own.
    nextXid = nextXid == .max ? 1 : nextXid + 1
    sendFrame { writer in
      RequestHeader(xid: request.xid, type: request.type).write(to: &writer)
      writer.writeBytes(request.body)
    }
    request.body = []
    pending.append(request)
  }

  func sendFrame(_ body: (inout ByteWriter) -> Void) {
    guard let connection else { return }
    lastSent = loop.now
    func write(_ writer: inout ByteWriter) {
      let mark = writer.beginFrame()
      body(&writer)
      writer.endFrame(mark)
    }
    write(&connection.output)
  }

  func flushWaiting() {
    while state == .connected || state == .closing, let request = waiting.popFirst() {
      send(request)
    }
  }

  // MARK: Answers

  /// Takes one frame after the handshake.
  func take(_ reader: inout ByteReader) throws(ByteError) {
    let header = try ReplyHeader(from: &reader)
    if header.zxid > lastZxid { lastZxid = header.zxid }
    switch header.xid {
    case SpecialXid.notification: take(try WatcherEvent(from: &reader))
    case SpecialXid.ping, SpecialXid.setWatches: break
    case SpecialXid.auth: takeAuth(header.error)
    default:
      guard let request = pending.popFirst() else { throw .invalidValue(Int64(header.xid)) }
      guard request.xid == header.xid else {
        // Answers out of order: nothing on this connection can be believed.
        request.complete(.connectionLoss, [])
        throw .invalidValue(Int64(header.xid))
      }
      if let path = request.watching { watches.set(by: request.type, path, header.error) }
      request.complete(header.error, try reader.readBytes(reader.remaining))
    }
  }

  private func take(_ event: WatcherEvent) {
    guard let type = WatchEventType(rawValue: event.type), type != .none else { return }
    watches.fired(type, event.path)
    options.onWatch(WatchEvent(type, connectString.clientPath(event.path)))
  }

  func failAll(_ error: ZooKeeperError) {
    // Completions may make new requests; those must not be failed with these.
    var failed = RingQueue<PendingRequest>()
    swap(&failed, &pending)
    while let request = failed.popFirst() { request.complete(error, []) }
    failAuths(error)
  }

  func failWaiting(_ error: ZooKeeperError) {
    var failed = RingQueue<PendingRequest>()
    swap(&failed, &waiting)
    while let request = failed.popFirst() { request.complete(error, []) }
  }

  // MARK: Identities

  /// Adds an identity (`digest` with `user:password`) to this and every later connection.
  public func addAuth(
    scheme: String, _ auth: [UInt8],
    _ completion: @escaping @Sendable (Result<Void, ZooKeeperError>) -> Void = { _ in }
  ) {
    onLoop { [self] in
      let packet = AuthPacket(scheme: scheme, auth: auth)
      auths.append(packet)
      guard state == .connected else {
        // Goes out with the handshake; the caller has nothing to wait for.
        return completion(.success(()))
      }
      sendAuth(packet, completion)
    }
  }

  func sendAuth(
    _ packet: AuthPacket,
    _ completion: @escaping @Sendable (Result<Void, ZooKeeperError>) -> Void = { _ in }
  ) {
    authCompletions.append(completion)
    sendFrame { writer in
      RequestHeader(xid: SpecialXid.auth, type: .auth).write(to: &writer)
      packet.write(to: &writer)
    }
  }

  private func takeAuth(_ error: ZooKeeperError) {
    let completion = authCompletions.popFirst()
    if error == .ok {
      completion?(.success(()))
    } else {
      completion?(.failure(error))
      refuseAuth()
    }
  }

  private func failAuths(_ error: ZooKeeperError) {
    while let completion = authCompletions.popFirst() { completion(.failure(error)) }
  }
}
