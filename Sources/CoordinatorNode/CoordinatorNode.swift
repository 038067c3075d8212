// One coordination server, from its configuration to its end.

import Bytes
import Dispatch
import HTTP
import Platform
import Settings
import Synchronization
import Transport
import ZooKeeperProtocol
import Znodes

/// Builds and runs a server: the wiring of the process.
///
///     zoo.cfg -> DataDirectory -> Recovery -> Coordinator <- Replicator (alone, or the ensemble)
///                                   TxnStore <-'    `-> client listener, metrics listener
public final class CoordinatorNode: Sendable {
  public let config: CoordinatorConfig
  public let coordinator: Coordinator
  /// Where clients are taken; the true port when 0 was configured.
  public let clientAddress: SocketAddress
  private let group: EventLoopGroup
  /// Where clients come in; a reconfiguration may move it.
  private let listener: ClientListener
  private let metrics: HTTPServer?
  private let ensemble: EnsembleDriver?
  private let locks: [File]

  /// Why a server cannot start.
  public enum StartError: Error, CustomStringConvertible {
    case storage(StorageError)
    case system(SystemError)
    case resolution(Hosts.ResolutionError)

    public var description: String {
      switch self {
      case .storage(let error): "\(error)"
      case .system(let error): "\(error)"
      case .resolution(let error): "\(error)"
      }
    }
  }

  /// Recovers the data, and begins to serve or to look for a leader.
  ///
  /// - Parameter onFailure: Called on the loop when the disk fails: the process must end, for what
  ///   it would go on to promise might not last.
  public init(
    _ config: CoordinatorConfig, onFailure: @escaping @Sendable (StorageError) -> Void
  ) throws(StartError) {
    self.config = config
    do {
      ProcessInformation.raiseDescriptorLimit()
      let directory = DataDirectory(dataDir: config.dataDir, dataLogDir: config.dataLogDir)
      try directory.create()
      locks = try directory.lock()
      let recovered = try Self.recover(directory, config)
      group = try EventLoopGroup(count: 1, name: "coordinator")
      let loop = group.loops[0]
      let store = try TxnStore(
        directory, on: loop, preallocation: config.preallocation, syncs: config.forceSync)
      let coordinator = Coordinator(config, recovered: recovered, store: store, on: loop)
      self.coordinator = coordinator
      var ensemble: EnsembleDriver?
      if config.isEnsemble {
        ensemble = try EnsembleDriver(coordinator, recovered: recovered, on: group)
      }
      self.ensemble = ensemble
      loop.perform { [ensemble] in
        store.onFailure = onFailure
        coordinator.begin(ensemble)
      }
      listener = ClientListener(
        try Self.listen(config, at: config.clientHost, config.clientPort, group, coordinator),
        host: config.clientHost, port: config.clientPort)
      clientAddress = listener.server.address
      metrics = try Self.exposeMetrics(config, group, coordinator)
      if let ensemble { followClientAddress(of: ensemble) }
    } catch let error as StorageError {
      throw .storage(error)
    } catch let error as Hosts.ResolutionError {
      throw .resolution(error)
    } catch let error as SystemError {
      throw .system(error)
    } catch {
      throw .system(SystemError("start", code: 0, on: "\(error)"))
    }
  }

  private static func recover(
    _ directory: DataDirectory, _ config: CoordinatorConfig
  ) throws(StorageError) -> Recovered {
    let recovered = try Recovery(
      directory: directory, extendedTypes: config.extendedTypesEnabled,
      recentLimit: config.commitLogCount
    ).run()
    if recovered.snapshotZxid == nil, recovered.replayed == 0 {
      // A real server refuses a directory with logs and without any snapshot.
      try SnapshotFile.write(recovered.database, to: directory.snapshot(0))
    }
    CoordinatorLog.storage.info(
      "data loaded",
      [
        "zxid": "0x\(zxidText(recovered.database.lastZxid))",
        "znodes": recovered.database.tree.count, "replayed": recovered.replayed,
      ])
    return recovered
  }

  private static func listen(
    _ config: CoordinatorConfig, at host: String, _ port: UInt16, _ group: EventLoopGroup,
    _ coordinator: Coordinator
  ) throws -> Server {
    var options = ServerOptions()
    options.name = "client"
    options.limits.maxFrameBytes = config.maxFrameBytes
    options.maxConnectionsPerIP =
      config.maxClientConnections == 0 ? .max : config.maxClientConnections
    options.maxConnections = config.maxConnections == 0 ? .max : config.maxConnections
    let addresses = try Hosts.resolve(host, port: port)
    return try Server(at: addresses[0], on: group, options: options) { _ in
      .stream(GreetingHandler(coordinator))
    }
  }

  /// Prometheus, where it was asked for: the names of `mntr` without their prefix.
  private static func exposeMetrics(
    _ config: CoordinatorConfig, _ group: EventLoopGroup, _ coordinator: Coordinator
  ) throws -> HTTPServer? {
    guard let port = config.metricsPort else { return nil }
    let address = try Hosts.resolve(config.metricsHost, port: port)[0]
    // Same loop: the handler may look at everything.
    return try HTTPServer(at: address, on: group) { request in
      guard request.path == "/metrics" else {
        return .text("not found\n", status: 404)
      }
      let lines = coordinator.metrics.compactMap { metric in
        Double(metric.value) == nil ? nil : "\(metric.name.dropFirst(3)) \(metric.value)\n"
      }
      return .text(lines.joined())
    }
  }

  /// Stops taking requests, finishes what is being written, and ends the threads. Blocks.
  ///
  /// A leader first finishes what it has proposed, then leaves, so that its followers elect another
  /// at once and clients have their answers.
  public func stop() {
    listener.server.stopListening()
    handOver()
    listener.server.stop()
    metrics?.stop()
    let loop = coordinator.loop
    loop.perform { [self] in
      ensemble?.stop()
      coordinator.stopServing()
    }
    coordinator.store.stop()
    group.stop()
  }

  private func handOver() {
    guard let ensemble else { return }
    let done = DispatchSemaphore(value: 0)
    coordinator.loop.perform { ensemble.resign { done.signal() } }
    // The machine gives up after a second; a loop that is stuck must not keep the process.
    _ = done.wait(timeout: .now() + 3)
  }

  /// Moves the client port when a reconfiguration says so. Clients that are connected stay.
  private func followClientAddress(of ensemble: EnsembleDriver) {
    let (config, group, coordinator, listener) = (config, group, coordinator, listener)
    coordinator.loop.perform {
      ensemble.onClientAddress = { host, port in
        guard host != listener.host || port != listener.port else { return }
        do {
          let server = try Self.listen(config, at: host, port, group, coordinator)
          listener.replace(by: server, host: host, port: port)
          CoordinatorLog.server.info("clients are taken elsewhere", ["clients": server.address])
        } catch {
          CoordinatorLog.server.error(
            "cannot listen at the new client address", ["port": port, "reason": "\(error)"])
        }
      }
    }
  }
}

/// The client port as it is now.
private final class ClientListener: Sendable {
  private let current: Mutex<(server: Server, host: String, port: UInt16)>

  init(_ server: Server, host: String, port: UInt16) {
    current = Mutex((server, host, port))
  }

  var server: Server { current.withLock { $0.server } }
  var host: String { current.withLock { $0.host } }
  var port: UInt16 { current.withLock { $0.port } }

  func replace(by server: Server, host: String, port: UInt16) {
    let former = current.withLock { current in
      defer { current = (server, host, port) }
      return current.server
    }
    former.stopListening()
  }
}

extension Coordinator {
  /// On the loop, once: takes up its role.
  func begin(_ ensemble: EnsembleDriver?) {
    if let ensemble {
      replicator = ensemble
      ensemble.start()
    } else {
      replicator = StandaloneReplicator(self, store)
      startServing(preparingFrom: database.lastZxid)
    }
    loop.repeating(everyMs: Int64(max(1, config.tickTimeMs / 2))) { [weak self] in
      self?.expireSessions()
      return self != nil
    }
    loop.repeating(everyMs: config.containerCheckIntervalMs) { [weak self] in
      self?.collectContainers()
      return self != nil
    }
    schedulePurge()
  }

  private func schedulePurge() {
    guard config.purgeIntervalMs > 0 else { return }
    let (directory, retained) = (store.directory, config.purgeRetainCount)
    loop.repeating(everyMs: config.purgeIntervalMs) { [weak self] in
      self?.store.inBackground { LogPurge(directory: directory).run(retaining: retained) }
      return self != nil
    }
  }
}
