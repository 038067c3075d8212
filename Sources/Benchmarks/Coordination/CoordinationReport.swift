// The bench's figures and the ratios between the two kinds.

public struct CoordinationReport: Codable, Sendable {
  public struct Load: Codable, Sendable {
    public var kind: String
    public var servers: Int
    public var sessions: Int
    public var operation: String
    public var perSecond: Double
    /// Of all servers together.
    public var perProcessorSecond: Double
    public var p50Ms: Double
    public var p99Ms: Double
    public var failed: Int
  }
  public struct Failover: Codable, Sendable {
    public var kind: String
    public var servers: Int
    /// From each kill to the next acknowledged write.
    public var milliseconds: [Int64]
    public var medianMs: Int64 { milliseconds.sorted()[milliseconds.count / 2] }
  }
  public struct Weight: Codable, Sendable {
    public var kind: String
    public var znodes: Int
    /// Right after the znodes were made.
    public var residentMiB: Double
    /// From start to serving.
    public var recoveryMs: Int64
    public var recoveredMiB: Double
    public var idleSessions: Int
    /// What the sessions added.
    public var idleMiB: Double
    /// Of one core.
    public var idleProcessorShare: Double
  }

  public var limits: MachineLimits
  public var loads: [Load] = []
  public var failovers: [Failover] = []
  public var weights: [Weight] = []

  init(limits: MachineLimits) { self.limits = limits }

  /// A goal of the project and whether it was met in this run.
  public struct Goal: Sendable {
    public var text: String
    /// Ours against ZooKeeper's: above 1 is better.
    public var ratio: Double
    public var wanted: Double
    public var isMet: Bool { ratio >= wanted }
  }

  /// Nothing when there was no peer to compare with.
  public var goals: [Goal] {
    var goals: [Goal] = []
    for row in loads where row.kind == "jackdaw" {
      guard
        let peer = loads.first(where: {
          $0.kind == "zookeeper" && $0.servers == row.servers && $0.sessions == row.sessions
            && $0.operation == row.operation
        }), peer.perProcessorSecond > 0
      else { continue }
      goals.append(
        Goal(
          text:
            "\(row.operation)s per CPU second, \(row.servers) servers, \(row.sessions) sessions",
          ratio: row.perProcessorSecond / peer.perProcessorSecond, wanted: 2))
    }
    for row in failovers where row.kind == "jackdaw" {
      guard
        let peer = failovers.first(where: { $0.kind == "zookeeper" && $0.servers == row.servers })
      else { continue }
      goals.append(
        Goal(
          text: "failover time, \(row.servers) servers",
          ratio: Double(peer.medianMs) / Double(max(1, row.medianMs)), wanted: 2))
    }
    if let own = weights.first(where: { $0.kind == "jackdaw" }),
      let peer = weights.first(where: { $0.kind == "zookeeper" })
    {
      goals.append(
        Goal(
          text: "memory with \(own.znodes) znodes", ratio: peer.residentMiB / own.residentMiB,
          wanted: 5))
      goals.append(
        Goal(
          text: "recovery time with \(own.znodes) znodes",
          ratio: Double(peer.recoveryMs) / Double(max(1, own.recoveryMs)), wanted: 2))
    }
    return goals
  }
}
