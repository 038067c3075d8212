// Our coordination service beside ZooKeeper: the same machine, disk, generator and run.
import Foundation
import Platform
import Values
import ZooKeeperClient
import ZooKeeperProtocol

/// What the bench measures, and how large.
public struct CoordinationBench {
  public var folder: URL
  public var executables: URL
  /// Of each stretch of load.
  public var stretchMs: Int64 = 5_000
  public var sessions = [1, 16, 256]
  public var ensembles = [1, 3]
  public var znodes = 1_000_000
  public var idleSessions = 10_000
  public var firstPort = 13_181
  public var progress: (String) -> Void = { _ in }

  public init(folder: URL, executables: URL) {
    self.folder = folder
    self.executables = executables
  }

  /// Measures both kinds; ZooKeeper only when it is installed.
  public func run(withPeer: Bool) async throws -> CoordinationReport {
    _ = ProcessInformation.raiseDescriptorLimit()
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    var report = CoordinationReport(limits: try MachineLimits.measure(in: folder))
    let kinds: [CoordinationEnsemble.Kind] = withPeer ? [.jackdaw, .zookeeper] : [.jackdaw]
    for kind in kinds {
      for servers in ensembles {
        report.loads += try await loads(kind, servers)
        if servers > 1 {
          report.failovers.append(try await failover(kind, servers))
        }
      }
      report.weights.append(try await weight(kind))
    }
    return report
  }

  private func ensemble(
    _ kind: CoordinationEnsemble.Kind, _ servers: Int
  ) -> CoordinationEnsemble {
    CoordinationEnsemble(
      kind, servers: servers, in: folder, firstPort: firstPort,
      CoordinationEnsemble.Programs(executables: executables))
  }

  // MARK: Throughput and latency

  private func loads(
    _ kind: CoordinationEnsemble.Kind, _ servers: Int
  ) async throws -> [CoordinationReport.Load] {
    let ensemble = ensemble(kind, servers)
    try ensemble.start()
    defer { ensemble.stop() }
    var rows: [CoordinationReport.Load] = []
    for count in sessions {
      let load = try SessionLoad(connect: ensemble.connect, sessions: count)
      try await load.prepare()
      for operation in SessionLoad.Operation.allCases {
        progress("\(kind.rawValue), \(servers) servers, \(count) sessions: \(operation.rawValue)s")
        // A JVM compiles what is hot: both get the same time to warm up.
        _ = await load.run(operation, milliseconds: stretchMs / 2)
        let before = ensemble.processorSeconds
        let result = await load.run(operation, milliseconds: stretchMs)
        let spent = ensemble.processorSeconds - before
        rows.append(
          .init(
            kind: kind.rawValue, servers: servers, sessions: count, operation: operation.rawValue,
            perSecond: Double(result.count) / result.seconds,
            perProcessorSecond: spent > 0 ? Double(result.count) / spent : 0,
            p50Ms: result.latency.percentileMs(0.5), p99Ms: result.latency.percentileMs(0.99),
            failed: result.failed))
      }
      await load.close()
    }
    return rows
  }

  // MARK: Failover

  /// From SIGKILL of the leader to the next write that began after it.
  private func failover(
    _ kind: CoordinationEnsemble.Kind, _ servers: Int
  ) async throws -> CoordinationReport.Failover {
    let ensemble = ensemble(kind, servers)
    try ensemble.start()
    defer { ensemble.stop() }
    var times: [Int64] = []
    for round in 1...5 {
      progress("\(kind.rawValue): failover \(round) of 5")
      // The clients' patience is no part of what is measured.
      let load = try SessionLoad(connect: ensemble.connect, sessions: 1, pauseMs: 10)
      try await load.prepare()
      let leader = ensemble.leader()
      let killed = Clock.now()
      ensemble.kill(leader)
      while true {
        do {
          _ = try await load.first.setData("/bench/0", [1], version: -1)
          break
        } catch {
          guard Clock.now().milliseconds(since: killed) < 120_000 else {
            throw BenchmarkFailure("\(kind.rawValue): no write within two minutes of a kill")
          }
          try? await Task.sleep(for: .milliseconds(2))
        }
      }
      times.append(Clock.now().milliseconds(since: killed))
      await load.close()
      try ensemble.start(leader)
      try ensemble.waitUntilServing(limitMs: 60_000)
      try? await Task.sleep(for: .seconds(2))
    }
    return .init(kind: kind.rawValue, servers: servers, milliseconds: times)
  }

  // MARK: Weight

  /// Many znodes: memory, and the time from a kill to serving them again. Many idle sessions:
  /// memory and processor time.
  private func weight(
    _ kind: CoordinationEnsemble.Kind
  ) async throws -> CoordinationReport.Weight {
    let ensemble = ensemble(kind, 1)
    try ensemble.start()
    defer { ensemble.stop() }
    progress("\(kind.rawValue): \(znodes) znodes")
    let load = try SessionLoad(connect: ensemble.connect, sessions: 1, timeoutMs: 40_000)
    try await fill(load.first)
    let full = ensemble.residentMiB
    await load.close()
    ensemble.kill(0)
    let began = Clock.now()
    try ensemble.start(0)
    try ensemble.waitUntilServing(limitMs: 300_000)
    let recovery = Clock.now().milliseconds(since: began)
    let recovered = ensemble.residentMiB

    progress("\(kind.rawValue): \(idleSessions) idle sessions")
    let before = ensemble.residentMiB
    let idle = try SessionLoad(
      connect: ensemble.connect, sessions: idleSessions, timeoutMs: 40_000)
    try? await Task.sleep(for: .seconds(5))
    let processor = ensemble.processorSeconds
    try? await Task.sleep(for: .seconds(20))
    let row = CoordinationReport.Weight(
      kind: kind.rawValue, znodes: znodes, residentMiB: full, recoveryMs: recovery,
      recoveredMiB: recovered, idleSessions: idleSessions,
      idleMiB: ensemble.residentMiB - before,
      idleProcessorShare: (ensemble.processorSeconds - processor) / 20)
    await idle.close()
    return row
  }

  /// Creates the znodes, in multis, with a few multis under way.
  private func fill(_ client: ZooKeeperClient) async throws {
    _ = try? await client.create("/many", nil)
    let perFolder = 1_000
    let data = [UInt8](repeating: 120, count: 100)
    for folder in 0..<max(1, znodes / perFolder) {
      try await client.create("/many/\(folder)", nil)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for part in 0..<10 {
          group.addTask {
            let operations = (0..<perFolder / 10).map { index in
              MultiOperation.create(
                .create,
                CreateRequest(
                  path: "/many/\(folder)/\(part * perFolder / 10 + index)", data: data,
                  acl: ACL.openUnsafe, mode: .persistent))
            }
            _ = try await client.multi(operations)
          }
        }
        try await group.waitForAll()
      }
    }
  }
}
