// One coordination server, from its configuration to its end.

import Bytes
import HTTP
import Platform
import Settings
import Telemetry
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
  /// Where clients are taken; the true ports when 0 was configured.
  public var clientAddress: SocketAddress? { listeners.plain?.address }
  public var secureClientAddress: SocketAddress? { listeners.secure?.address }
  private let group: EventLoopGroup
  /// Where clients come in; a reconfiguration may move it.
  private let listeners: ClientListeners
  private let metrics: HTTPServer?
  private let admin: AdminServer?
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
      try directory.create(makesMissing: config.storage.createsDirectories)
      locks = try directory.lock()
      let recovered = try Self.recover(directory, config)
      group = try EventLoopGroup(count: 1, name: "coordinator")
      let loop = group.loops[0]
      let store = try TxnStore(
        directory, on: loop, preallocation: config.preallocation, syncs: config.forceSync,
        tuning: config.storage)
      let coordinator = Coordinator(config, recovered: recovered, store: store, on: loop)
      self.coordinator = coordinator
      var ensemble: EnsembleDriver?
      if config.isEnsemble {
        ensemble = try EnsembleDriver(coordinator, recovered: recovered, on: group)
      }
      self.ensemble = ensemble
      loop.perform { [ensemble] in
        store.onFailure = onFailure
        coordinator.measureStore()
        coordinator.begin(ensemble)
      }
      listeners = try ClientListeners(config, on: group, coordinator)
      loop.perform { [listeners] in coordinator.listeners = listeners.all }
      metrics = try Self.exposeMetrics(config.operations, group, coordinator)
      admin = try AdminServer.start(config.operations, of: coordinator, on: group)
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
      trustsMissingSnapshot: config.storage.trustsMissingSnapshot,
      recentLimit: config.commitLogCount
    ).run()
    if recovered.snapshotZxid == nil, recovered.replayed == 0 {
      // A real server refuses a directory with logs and without any snapshot.
      try SnapshotFile.write(
        recovered.database, to: directory.snapshot(0, config.storage.snapshotCompression))
    }
    CoordinatorLog.storage.info(
      "data loaded",
      [
        "zxid": "0x\(zxidText(recovered.database.lastZxid))",
        "znodes": recovered.database.tree.count, "replayed": recovered.replayed,
      ])
    return recovered
  }

  /// Prometheus, where it was asked for.
  private static func exposeMetrics(
    _ settings: OperationsSettings, _ group: EventLoopGroup, _ coordinator: Coordinator
  ) throws -> HTTPServer? {
    guard let port = settings.metricsPort else { return nil }
    let address = try Hosts.resolve(settings.metricsHost, port: port)[0]
    // Same loop: the handler may look at everything.
    let server = try HTTPServer(at: address, on: group) { request in
      guard request.path == "/metrics" else { return .text("not found\n", status: 404) }
      return .text(coordinator.exposition, contentType: Metrics.contentType)
    }
    CoordinatorLog.server.info("metrics endpoint started", ["address": server.address])
    return server
  }

  /// Stops taking requests, finishes what is being written, and ends the threads. Blocks.
  ///
  /// A leader first finishes what it has proposed, then leaves, so that its followers elect another
  /// at once and clients have their answers.
  public func stop() {
    listeners.stopListening()
    handOver()
    listeners.stop()
    metrics?.stop()
    admin?.stop()
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
    let done = Semaphore()
    coordinator.loop.perform { ensemble.resign { done.signal() } }
    // The machine gives up after a second; a loop that is stuck must not keep the process.
    _ = done.wait(ms: 3_000)
  }

  /// Moves the client port when a reconfiguration says so.
  private func followClientAddress(of ensemble: EnsembleDriver) {
    let listeners = listeners
    coordinator.loop.perform {
      ensemble.onClientAddress = { host, port in listeners.move(to: host, port) }
    }
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
      self?.dropSilentConnections()
      return self != nil
    }
    loop.repeating(everyMs: config.containerCheckIntervalMs) { [weak self] in
      self?.collectContainers()
      return self != nil
    }
    schedulePurge()
    watchPauses()
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
