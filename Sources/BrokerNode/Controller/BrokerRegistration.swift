/// This broker's entry under `/brokers/ids`, which lives as long as the session; and what a broker
/// needs from the store before it can begin.
import Control
import KafkaRecords
import KafkaTransport
import Metadata
import Platform
import Settings
import Telemetry
import Values
import ZooKeeperClient
import ZooKeeperProtocol

/// Confined to the session's loop.
final class BrokerRegistration: @unchecked Sendable {  // confined to the session's loop
  private let session: ZooKeeperSession
  /// As it is written; the epoch in it is not set.
  private let broker: BrokerImage
  private let version: Int64
  /// The session of the process before this one; nil where it is not known, or once it was ended.
  private var earlier: Int64?
  private let note: EarlierSession?
  private static let log = Log("registration")

  /// - Parameter note: where the session is kept for the next start; read now.
  init(
    session: ZooKeeperSession, broker: BrokerImage, version: InterBrokerVersion,
    note: EarlierSession? = nil
  ) {
    self.note = note
    earlier = note?.read()
    self.session = session
    self.broker = broker
    self.version = version.brokerZnodeVersion
  }

  private var path: String { ZnodePath.broker(broker.id) }

  /// Registers; the result is the broker's epoch. The session of an earlier process of this broker
  /// is ended; any other that has left an entry is waited for until it has run out.
  func register(_ completion: @escaping (Result<BrokerEpoch, StartupError>) -> Void) {
    // Looked at once: a broker that takes the address later is refused itself.
    refuseSharedEndpoints { [self] refusal in
      if let refusal { return completion(.failure(refusal)) }
      if let id = session.client.session?.id { note?.note(id) }
      create(deadline: session.loop.now.advanced(milliseconds: patienceMs), completion)
    }
  }

  /// Servers may stretch a session's timeout, and look only now and then.
  private var patienceMs: Int64 { session.sessionTimeoutMs * 2 + 10_000 }

  /// Two brokers behind one address would get each other's requests.
  private func refuseSharedEndpoints(_ completion: @escaping (StartupError?) -> Void) {
    session.read([.children(ZnodePath.brokerIDs, watch: false)]) { [self] results in
      guard case .children(let names) = results[0] else { return completion(nil) }
      let others = names.compactMap { Int32($0) }.map { BrokerID($0) }.filter { $0 != broker.id }
      session.read(others.sorted().map { .data(ZnodePath.broker($0), watch: false) }) { results in
        for (id, result) in zip(others.sorted(), results) {
          guard case .content(let content) = result,
            let other = BrokerZnode.decode(id, content.data, epoch: .none)
          else { continue }
          for mine in self.broker.endpoints {
            guard other.endpoints.contains(where: { $0.host == mine.host && $0.port == mine.port })
            else { continue }
            return completion(
              StartupError(
                "advertised.listeners: \(mine.host):\(mine.port) is registered by broker "
                  + "\(id.rawValue) already"))
          }
        }
        completion(nil)
      }
    }
  }

  private func create(
    deadline: Instant, _ completion: @escaping (Result<BrokerEpoch, StartupError>) -> Void
  ) {
    let data = BrokerZnode.encode(
      broker, version: version, jmxPort: -1, at: session.loop.wallNow)
    // The answer to the second operation tells the czxid, which is the epoch.
    let operations: [MultiOperation] = [
      .create(path, nil, mode: .ephemeral, acl: session.acl(path)),
      .setData(path, data, version: 0),
    ]
    let box = Unchecked(completion)
    session.client.multi(operations) { [self] result in
      switch result {
      case .success(let results):
        if case .setData(let stat)? = results.last { return registered(stat.czxid, box.value) }
        takeOver(deadline: deadline, box.value)
      // It may have been done or not: the next try finds out.
      case .failure(.connectionLoss):
        session.loop.execute { self.create(deadline: deadline, box.value) }
      case .failure(let error):
        box.value(.failure(StartupError("cannot write \(path): \(error)")))
      }
    }
  }

  private func registered(
    _ czxid: Int64, _ completion: (Result<BrokerEpoch, StartupError>) -> Void
  ) {
    let endpoints = broker.endpoints.map(\.connectionString).joined(separator: ",")
    Self.log.info("registered", ["id": broker.id.rawValue, "epoch": czxid, "at": endpoints])
    completion(.success(BrokerEpoch(czxid)))
  }

  /// There is an entry: ours after all, if the connection broke before we heard of it, or one of an
  /// earlier session, which goes by itself.
  private func takeOver(
    deadline: Instant, _ completion: @escaping (Result<BrokerEpoch, StartupError>) -> Void
  ) {
    let box = Unchecked(completion)
    session.client.exists(path) { [self] result in
      switch result {
      case .success(let stat?) where stat.ephemeralOwner == session.client.session?.id:
        registered(stat.czxid, box.value)
      case .success(nil), .failure(.connectionLoss):
        session.loop.execute { self.create(deadline: deadline, box.value) }
      case .success(let stat?) where stat.ephemeralOwner == earlier:
        earlier = nil
        EarlierSession.end(stat.ephemeralOwner, of: session) {
          self.create(deadline: deadline, box.value)
        }
      case .success(let stat?):
        guard session.loop.now < deadline else {
          box.value(
            .failure(
              StartupError(
                "broker.id \(broker.id.rawValue) is registered by another broker "
                  + "(session 0x\(String(stat.ephemeralOwner, radix: 16)))")))
          return
        }
        Self.log.info(
          "waiting for the registration of an earlier session to expire",
          ["id": broker.id.rawValue, "session": "0x" + String(stat.ephemeralOwner, radix: 16)])
        session.loop.schedule(afterMs: 500) { self.create(deadline: deadline, box.value) }
      case .failure(let error):
        box.value(.failure(StartupError("cannot read \(path): \(error)")))
      }
    }
  }
}

/// What stands in the store before any broker's part in it.
enum ClusterZnodes {
  /// Creates what is missing of the persistent paths, the chroot included.
  static func create(
    on session: ZooKeeperSession, _ completion: @escaping (StartupError?) -> Void
  ) {
    var paths: [String] = []
    for path in ZnodePath.persistent {
      var built = ""
      for part in path.split(separator: "/") {
        built += "/\(part)"
        if !paths.contains(built) { paths.append(built) }
      }
    }
    createChroot(session) { refusal in
      if let refusal { return completion(refusal) }
      let writes = paths.map {
        ZnodeTransaction([.create(path: $0, data: nil)], tolerates: .nodeExists)
      }
      session.write(writes) { outcomes in
        for (path, outcome) in zip(paths, outcomes) {
          guard case .failed(_, let failure) = outcome, failure != .nodeExists else { continue }
          return completion(StartupError("cannot create \(path): \(failure)"))
        }
        completion(nil)
      }
    }
  }

  /// The chroot lies above everything the client can see, so a client without one makes it.
  private static func createChroot(
    _ session: ZooKeeperSession, _ completion: @escaping (StartupError?) -> Void
  ) {
    let target = session.client.connectString
    guard !target.chroot.isEmpty else { return completion(nil) }
    var paths: [String] = []
    var built = ""
    for part in target.chroot.split(separator: "/") {
      built += "/\(part)"
      paths.append(built)
    }
    var options = ZooKeeperClient.Options()
    options.tls = session.tls
    let plain = ZooKeeperClient(
      ConnectString(servers: target.servers), on: session.loop, options)
    plain.start()
    let box = Unchecked(completion)
    createNext(paths[...], plain, session) { refusal in
      plain.close()
      box.value(refusal)
    }
  }

  private static func createNext(
    _ paths: ArraySlice<String>, _ client: ZooKeeperClient, _ session: ZooKeeperSession,
    _ completion: @escaping (StartupError?) -> Void
  ) {
    guard let path = paths.first else { return completion(nil) }
    let box = Unchecked(completion)
    client.create(path, nil, acl: session.acl(path)) { result in
      switch result {
      case .success, .failure(.nodeExists):
        createNext(paths.dropFirst(), client, session, box.value)
      case .failure(.connectionLoss): createNext(paths, client, session, box.value)
      case .failure(let error):
        box.value(StartupError("cannot create the chroot \(path): \(error)"))
      }
    }
  }

  /// The cluster's id; the first broker makes one up.
  static func clusterID(
    on session: ZooKeeperSession, _ completion: @escaping (Result<String, StartupError>) -> Void
  ) {
    session.read([.data(ZnodePath.clusterID, watch: false)]) { results in
      if case .content(let content) = results[0] {
        guard let id = ClusterIDZnode.decode(content.data) else {
          return completion(.failure(StartupError("\(ZnodePath.clusterID) holds no id")))
        }
        return completion(.success(id))
      }
      guard case .missing = results[0] else {
        return completion(.failure(StartupError("cannot read \(ZnodePath.clusterID)")))
      }
      var random = SystemRandom()
      let data = ClusterIDZnode.encode(Uuid.random(using: &random).description)
      let writes = [
        ZnodeTransaction([.create(path: "/cluster", data: nil)], tolerates: .nodeExists),
        ZnodeTransaction(
          [.create(path: ZnodePath.clusterID, data: data)], tolerates: .nodeExists),
      ]
      // Whoever was first, all read the same one.
      session.write(writes) { outcomes in
        if case .failed(_, let failure)? = outcomes.last, failure != .nodeExists {
          completion(.failure(StartupError("cannot write \(ZnodePath.clusterID): \(failure)")))
        } else {
          clusterID(on: session, completion)
        }
      }
    }
  }

  /// A broker id that nobody has: the sequence node's versions are never given twice.
  static func nextBrokerID(
    on session: ZooKeeperSession, above reserved: Int32,
    _ completion: @escaping (Result<BrokerID, StartupError>) -> Void
  ) {
    let box = Unchecked(completion)
    session.client.setData(ZnodePath.brokerSequence, []) { result in
      switch result {
      case .success(let stat): box.value(.success(BrokerID(reserved &+ stat.version)))
      case .failure(.connectionLoss):
        session.loop.execute { nextBrokerID(on: session, above: reserved, box.value) }
      case .failure(let error):
        box.value(.failure(StartupError("cannot generate a broker id: \(error)")))
      }
    }
  }
}
