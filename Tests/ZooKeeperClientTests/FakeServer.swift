import Bytes
import Platform
import Synchronization
import Transport
import ZooKeeperClient
import ZooKeeperProtocol

/// A server that follows a script: it keeps a flat map of znodes and sessions, and does what a test
/// tells it to (drop connections, expire sessions, fall silent).
final class FakeServer: FrameHandler, @unchecked Sendable {  // state: on its one loop
  struct Seen {
    var connects: [ConnectRequest] = []
    var types: [OpCode] = []
    var setWatches: [SetWatchesRequest] = []
    var auths: [AuthPacket] = []
  }
  let seen = Mutex(Seen())
  let group: EventLoopGroup
  private(set) var server: Server!
  var loop: EventLoop { group.loops[0] }

  /// Confined to the loop.
  private var znodes: [String: (data: [UInt8]?, stat: Stat)] = ["/": (nil, Stat())]
  private var watchers: [String: Set<ObjectIdentifier>] = [:]
  private var connections: [ObjectIdentifier: Connection] = [:]
  private var handshaken: Set<ObjectIdentifier> = []
  private var sessions: Set<Int64> = []
  private var nextSession: Int64 = 0x100
  private var zxid: Int64 = 0
  var isSilent = false
  var refusesAuth = false
  var timeoutMs: Int32 = 3_000

  init() throws {
    group = try EventLoopGroup(count: 1, name: "fake")
    server = try Server(on: group) { [unowned self] _ in .frames(self) }
  }

  func stop() {
    server.stop()
    group.stop()
  }

  var connectString: ConnectString {
    ConnectString(servers: [.init(host: "127.0.0.1", port: server.address.port)])
  }

  // MARK: What a test does to it

  func dropConnections(silent: Bool = false) {
    loop.perform { [self] in
      isSilent = silent
      for connection in Array(connections.values) { connection.close(.local("dropped")) }
    }
  }
  func expireSessions() {
    loop.perform { [self] in sessions = [] }
    dropConnections()
  }
  func adoptSession(_ id: Int64) { loop.perform { [self] in _ = sessions.insert(id) } }
  func fallSilent(_ silent: Bool) { loop.perform { [self] in isSilent = silent } }
  func change(_ path: String, _ data: [UInt8]) {
    loop.perform { [self] in
      zxid += 1
      znodes[path, default: (nil, Stat())].data = data
      znodes[path]?.stat.version += 1
      notify(path, .nodeDataChanged)
    }
  }

  // MARK: Serving

  func opened(_ connection: Connection) { connections[ObjectIdentifier(connection)] = connection }
  func closed(_ connection: Connection, because reason: CloseReason) {
    connections[ObjectIdentifier(connection)] = nil
    handshaken.remove(ObjectIdentifier(connection))
  }

  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    if isSilent { return }
    let bytes = Array(frame)
    do throws(ByteError) {
      if handshaken.insert(ObjectIdentifier(connection)).inserted {
        shake(try ConnectRequest(decoding: bytes), connection)
      } else {
        var reader = ByteReader(bytes.span.bytes)
        let header = try RequestHeader(from: &reader)
        try serve(header, &reader, connection)
      }
    } catch {
      throw .malformed("\(error)")
    }
  }

  private func shake(_ request: ConnectRequest, _ connection: Connection) {
    seen.withLock { $0.connects.append(request) }
    var response = ConnectResponse()
    if request.sessionID == 0 {
      nextSession += 1
      sessions.insert(nextSession)
      response.sessionID = nextSession
      response.timeOut = timeoutMs
    } else if sessions.contains(request.sessionID) {
      response.sessionID = request.sessionID
      response.timeOut = timeoutMs
    }
    response.password = [UInt8](repeating: 7, count: 16)
    response.readOnly = false
    send(connection) { response.write(to: &$0) }
  }

  private func send(_ connection: Connection, _ body: (inout ByteWriter) -> Void) {
    let mark = connection.output.beginFrame()
    body(&connection.output)
    connection.output.endFrame(mark)
  }

  private func reply(
    _ xid: Int32, _ connection: Connection, _ error: ZooKeeperError = .ok,
    _ body: (any JuteRecord)? = nil
  ) {
    send(connection) { writer in
      ReplyHeader(xid: xid, zxid: zxid, error: error).write(to: &writer)
      body?.write(to: &writer)
    }
  }

  private func serve(
    _ header: RequestHeader, _ reader: inout ByteReader, _ connection: Connection
  ) throws(ByteError) {
    seen.withLock { $0.types.append(header.type) }
    let xid = header.xid
    switch header.type {
    case .ping: reply(xid, connection)
    case .closeSession:
      reply(xid, connection)
      connection.closeAfterFlush(.local("session closed"))
    case .auth:
      let packet = try AuthPacket(from: &reader)
      seen.withLock { $0.auths.append(packet) }
      reply(xid, connection, refusesAuth ? .authFailed : .ok)
    case .addWatch, .removeWatches: reply(xid, connection)
    case .setWatches, .setWatches2:
      let request = try SetWatchesRequest(from: &reader, type: header.type)
      seen.withLock { $0.setWatches.append(request) }
      reply(xid, connection)
    case .create2:
      let request = try CreateRequest(from: &reader)
      if znodes[request.path] != nil { return reply(xid, connection, .nodeExists) }
      zxid += 1
      znodes[request.path] = (request.data, Stat())
      notify(request.path, .nodeCreated)
      reply(xid, connection, .ok, Create2Response(path: request.path, stat: Stat()))
    case .exists, .getData:
      let request = try PathWatchRequest(from: &reader)
      if request.watch { watchers[request.path, default: []].insert(ObjectIdentifier(connection)) }
      guard let node = znodes[request.path] else { return reply(xid, connection, .noNode) }
      reply(
        xid, connection, .ok,
        header.type == .exists ? node.stat : GetDataResponse(data: node.data, stat: node.stat))
    case .sync: reply(xid, connection, .ok, try PathRecord(from: &reader))
    case .multi:
      let request = try MultiRequest(from: &reader)
      reply(xid, connection, .ok, MultiResponse(results(request)))
    default: reply(xid, connection, .unimplemented)
    }
  }

  /// Creates and checks only: enough to see results and failures.
  private func results(_ request: MultiRequest) -> [MultiResult] {
    let failing = request.operations.firstIndex { operation in
      switch operation {
      case .create(_, let create): znodes[create.path] != nil
      case .check(let check): znodes[check.path]?.stat.version != check.version
      default: false
      }
    }
    return request.operations.indices.map { index in
      if let failing {
        return .error(
          index < failing ? .ok : index == failing ? .badVersion : .runtimeInconsistency)
      }
      switch request.operations[index] {
      case .create(_, let create):
        znodes[create.path] = (create.data, Stat())
        return .create(path: create.path)
      case .check: return .check
      default: return .delete
      }
    }
  }

  private func notify(_ path: String, _ type: WatchEventType) {
    for key in watchers.removeValue(forKey: path) ?? [] {
      guard let connection = connections[key] else { continue }
      send(connection) { writer in
        ReplyHeader(xid: SpecialXid.notification, zxid: -1).write(to: &writer)
        WatcherEvent(type, path: path).write(to: &writer)
      }
    }
  }
}
