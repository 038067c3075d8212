/// The broker's session with the ensemble, shared by all that needs znodes: reads and multis that
/// are repeated until the connection is back, as the cluster's rules expect them to be.
import Control
import KafkaTransport
import Metadata
import Platform
import Settings
import Synchronization
import Telemetry
import Values
import ZooKeeperClient
import ZooKeeperProtocol

/// Confined to its loop, which is the controller's too.
final class ZooKeeperSession: @unchecked Sendable {  // confined to `loop`
  let loop: EventLoop
  let setsACL: Bool
  let sessionTimeoutMs: Int64
  let client: ZooKeeperClient
  /// How its connections are encrypted; nil: not at all.
  let tls: TLSContext?
  private let listeners: Listeners
  static let log = Log("zookeeper")

  /// Who hears of the session and of watches, in the order of registration.
  private final class Listeners: @unchecked Sendable {  // filled and called on the loop
    var session: [(SessionEvent) -> Void] = []
    var watch: [(WatchEvent) -> Void] = []
  }

  init(_ config: BrokerConfig.ZooKeeper, on loop: EventLoop) throws(StartupError) {
    self.loop = loop
    setsACL = config.setsACL
    sessionTimeoutMs = config.sessionTimeoutMs
    let listeners = Listeners()
    self.listeners = listeners
    var options = ZooKeeperClient.Options()
    options.sessionTimeoutMs = Int32(clamping: config.sessionTimeoutMs)
    options.onSession = { event in for hear in listeners.session { hear(event) } }
    options.onWatch = { event in for hear in listeners.watch { hear(event) } }
    do throws(TLSError) {
      let settings = try TLSSettings(zooKeeperKeys: { config.securityKeys[$0] })
      if let settings { options.tls = try TLSContext(settings, as: .client) }
    } catch {
      throw StartupError("zookeeper.ssl: \(error)")
    }
    tls = options.tls
    let text = config.servers.joined(separator: ",") + config.chroot
    do throws(ConnectString.Invalid) {
      client = ZooKeeperClient(try ConnectString(text), on: loop, options)
    } catch {
      throw StartupError("zookeeper.connect: \(error)")
    }
  }

  /// On the loop.
  func onSession(_ hear: @escaping (SessionEvent) -> Void) { listeners.session.append(hear) }
  func onWatch(_ hear: @escaping (WatchEvent) -> Void) { listeners.watch.append(hear) }

  /// Under `zookeeper.set.acl` only brokers change znodes, and only they read the sensitive ones.
  func acl(_ path: String) -> [ACL] {
    guard setsACL, !path.hasPrefix("/consumers") else { return ACL.openUnsafe }
    return ACL.creatorAll + (ZnodePath.isSensitive(path) ? [] : ACL.readUnsafe)
  }

  // MARK: Reading

  /// Carries out reads in one go; the results come in their order, on the loop. A lost connection
  /// is waited for; `.failed` is left for an expired session and refusals.
  func read(_ reads: [ZnodeRead], _ completion: @escaping ([ZnodeReadResult]) -> Void) {
    guard !reads.isEmpty else { return completion([]) }
    let gathered = Gathered<ZnodeReadResult>(reads.count, completion)
    let box = Unchecked(gathered)
    for (index, read) in reads.enumerated() {
      readOne(read) { box.value.fill(index, $0) }
    }
  }

  private func readOne(
    _ read: ZnodeRead, _ completion: @escaping @Sendable (ZnodeReadResult) -> Void
  ) {
    switch read {
    case .children(let path, let watch):
      client.getChildren(path, watch: watch) { [self] result in
        switch result {
        case .success(let response): completion(.children(response.children))
        case .failure(.connectionLoss): again { $0.readOne(read, completion) }
        case .failure(.noNode): completion(.missing)
        case .failure(let error): completion(.failed(error.rawValue))
        }
      }
    // Two requests, one behind the other: a change between them fires the watch, and is seen.
    case .data(let path, true):
      // Only `exists` can watch for a znode that is not there.
      client.exists(path, watch: true) { [self] result in
        switch result {
        case .success(nil): completion(.missing)
        case .success: readOne(.data(path, watch: false), completion)
        case .failure(.connectionLoss): again { $0.readOne(read, completion) }
        case .failure(let error): completion(.failed(error.rawValue))
        }
      }
    case .data(let path, false):
      client.getData(path) { [self] result in
        switch result {
        case .success(let response):
          completion(
            .content(
              ZnodeContent(
                data: response.data ?? [], version: response.stat.version,
                createdZxid: response.stat.czxid, modifiedZxid: response.stat.mzxid)))
        case .failure(.connectionLoss): again { $0.readOne(read, completion) }
        case .failure(.noNode): completion(.missing)
        case .failure(let error): completion(.failed(error.rawValue))
        }
      }
    }
  }

  /// Repeats what a lost connection took, unless the client is closed.
  private func again(_ body: @escaping (ZooKeeperSession) -> Void) {
    guard !isClosed else { return }
    // In a later turn: the client may still be failing what else was on that connection.
    let box = Unchecked(body)
    loop.execute { [weak self] in
      guard let self, !isClosed else { return }
      box.value(self)
    }
  }

  // MARK: Writing

  /// Sends multis one behind the other; the outcomes come in their order, on the loop. A multi
  /// whose connection was lost is sent again, so it may find its own work done.
  func write(
    _ transactions: [ZnodeTransaction], _ completion: @escaping ([ZnodeOutcome]) -> Void
  ) {
    guard !transactions.isEmpty else { return completion([]) }
    let gathered = Gathered<ZnodeOutcome>(transactions.count, completion)
    let box = Unchecked(gathered)
    for (index, transaction) in transactions.enumerated() {
      writeOne(transaction.ops.map(operation)) { box.value.fill(index, $0) }
    }
  }

  private func writeOne(
    _ operations: [MultiOperation], _ completion: @escaping @Sendable (ZnodeOutcome) -> Void
  ) {
    client.multi(operations) { [self] result in
      switch result {
      case .success(let results):
        guard let failure = results.firstFailure else { return completion(.done) }
        completion(.failed(index: failure.index, ZnodeFailure(failure.error)))
      case .failure(.connectionLoss): again { $0.writeOne(operations, completion) }
      case .failure(let error):
        // Not the failure of an operation, so of none that could be the fencing check.
        completion(.failed(index: -1, ZnodeFailure(error)))
      }
    }
  }

  private func operation(_ op: ZnodeOp) -> MultiOperation {
    switch op {
    case .check(let path, let version): .check(path, version: version)
    case .create(let path, let data, let mode):
      .create(path, data, mode: CreateMode(mode), acl: acl(path))
    case .setData(let path, let data, let version): .setData(path, data, version: version)
    case .delete(let path, let version): .delete(path, version: version)
    }
  }

  private(set) var isClosed = false

  /// Ends the session, which takes the registration with it.
  func close(_ completion: @escaping @Sendable () -> Void) {
    loop.execute { [self] in
      isClosed = true
      client.close(completion)
    }
  }
}

extension CreateMode {
  init(_ mode: ZnodeOp.Mode) {
    switch mode {
    case .persistent: self = .persistent
    case .ephemeral: self = .ephemeral
    case .persistentSequential: self = .persistentSequential
    }
  }
}

extension ZnodeFailure {
  init(_ error: ZooKeeperError) {
    switch error {
    case .noNode: self = .noNode
    case .nodeExists: self = .nodeExists
    case .badVersion: self = .badVersion
    case .notEmpty: self = .notEmpty
    default: self = .other(error.rawValue)
    }
  }
}

/// Collects as many results as were asked for, whatever their order.
private final class Gathered<Element> {
  private var results: [Element?]
  private var missing: Int
  private let completion: ([Element]) -> Void

  init(_ count: Int, _ completion: @escaping ([Element]) -> Void) {
    results = Array(repeating: nil, count: count)
    missing = count
    self.completion = completion
  }

  func fill(_ index: Int, _ element: Element) {
    guard results[index] == nil else { return }
    results[index] = element
    missing -= 1
    if missing == 0 { completion(results.compactMap { $0 }) }
  }
}
