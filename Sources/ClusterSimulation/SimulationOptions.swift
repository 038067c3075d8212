// What is simulated, and what came of it.
import Foundation
import LocalCluster
import Values

/// A course of events.
public enum SimulationScenario: String, Sendable, CaseIterable {
  /// Faults drawn from the seed.
  case random
  /// Drill 19: power fails, and page caches are lost, of one broker at a time and then of all.
  case lostPageCache = "lost-page-cache"
  /// Drill 37: a leader is cut off from its followers, and killed while they are still in sync.
  case isolatedLeader = "isolated-leader"
}

/// One run of one seed.
public struct SimulationOptions: Sendable {
  public var seed: UInt64
  public var mode: ClusterMode
  public var scenario = SimulationScenario.random
  public var brokers = 3
  /// Coordinators, or controllers.
  public var quorum = 3
  /// Every node is broker and controller; in KRaft mode only.
  public var isCombined = false
  /// Partitions are moved between brokers, and preferred leaders elected, while faults happen.
  public var movesPartitions = false
  /// Simulated milliseconds with faults.
  public var faultMs: Int64 = 30_000
  /// Simulated milliseconds that everything may take to be well again after the last fault.
  public var livenessMs: Int64 = 120_000
  /// Brokers acknowledge before they have replicated: the simulation must find that out.
  public var isSabotaged = false
  /// Where the members have their files; removed by whoever has named it.
  public var folder: String
  /// A file that every event of the machine is written to; nil: none.
  public var traceFile: String?

  public init(seed: UInt64, mode: ClusterMode, folder: String) {
    self.seed = seed
    self.mode = mode
    self.folder = folder
  }

  /// Lets the seed decide what the cluster is like, and what is done to it beside the faults.
  public mutating func drawShape() {
    var random = SplitMix(seed: seed ^ 0x5ea9_e000)
    // More brokers than replicas: moves have somewhere to go.
    brokers = Int.random(in: 0..<2, using: &random) == 0 ? 3 : 4
    movesPartitions = Bool.random(using: &random)
    isCombined = Int.random(in: 0..<3, using: &random) == 0 && mode == .kraft
  }

  /// The shape in words.
  var shape: String {
    let nodes =
      isCombined
      ? "\(brokers) nodes with both roles"
      : "\(brokers) brokers, \(quorum) \(mode == .kraft ? "controllers" : "coordinators")"
    return nodes + (movesPartitions ? ", partitions are moved" : "")
  }
}

/// What came of one run. The same seed gives the same report, digest included.
public struct SimulationReport: Codable, Sendable, Equatable {
  public var seed: UInt64
  public var mode: String
  public var scenario: String
  /// Of everything that happened, in hexadecimal.
  public var digest = ""
  public var simulatedMs: Int64 = 0
  /// What was done, one line.
  public var summary = ""
  /// The faults, with their times.
  public var faults: [String] = []
  /// Everything that must not be; empty when the run is good.
  public var violations: [String] = []
  /// What was lost where the scenario allows losses, and similar remarks.
  public var remarks: [String] = []
  /// What members and machine said last; only when something is wrong.
  public var trace: [String] = []

  public var isValid: Bool { violations.isEmpty }

  public init(_ options: SimulationOptions) {
    seed = options.seed
    mode = options.mode.rawValue
    scenario = options.scenario.rawValue
  }
}
