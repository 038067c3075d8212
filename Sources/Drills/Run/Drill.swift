// A drill: what is broken, what must hold, and the script.

/// Which load runs beside the faults.
public struct DrillLoad: Sendable {
  public var producers = 2
  /// `all` or `1`, for contrast.
  public var acks = "all"
  public var recordsPerSecond = 400
  public var groupMembers = 2
  /// Sessions that compare and set znodes; only where there is a coordination service.
  public var znodeSessions = 0
  public var administrators = 0
  /// Topics that each administrator leaves behind, with settings, to be found again at the end.
  public var keptTopics = 0
  /// Administrators that move partitions between brokers, and have preferred leaders elected.
  public var movers = 0
  public var partitions: Int32 = 6
  public var topicSettings: [String: String] = [:]

  public init() {}

  /// The standard load with something changed.
  public static func with(_ change: (inout DrillLoad) -> Void) -> DrillLoad {
    DrillLoad().with(change)
  }

  public func with(_ change: (inout DrillLoad) -> Void) -> DrillLoad {
    var load = self
    change(&load)
    return load
  }
}

/// What a drill's anomalies mean: most must not happen, some are what the drill shows.
public struct DrillTolerance: Sendable {
  /// Losses are counted and reported, and do not make the run invalid (unclean elections, acks=1).
  public var countsLosses = false
  public init(countsLosses: Bool = false) { self.countsLosses = countsLosses }
}

/// One entry of the catalogue.
public struct Drill: Sendable {
  /// As in the catalogue; names of files and pages follow `name`.
  public var number: Int
  public var name: String
  public var title: String
  /// One sentence each.
  public var breaks: String
  public var mustHold: String
  /// `zookeeper`, `kraft` or both.
  public var modes: Set<String> = ["zookeeper", "kraft"]
  /// Needs proxies before the listeners: no drill for somebody else's cluster.
  public var needsLinks = false
  /// Needs the members' data directories.
  public var needsFiles = false
  /// In the short set that CI runs.
  public var isShort = false
  public var load = DrillLoad()
  public var tolerance = DrillTolerance()
  /// Settings of all brokers that the drill needs.
  public var brokerSettings: [String: String] = [:]
  public var script: @Sendable (DrillRun) async throws -> Void

  public init(
    _ number: Int, _ name: String, _ title: String, breaks: String, mustHold: String,
    script: @escaping @Sendable (DrillRun) async throws -> Void
  ) {
    self.number = number
    self.name = name
    self.title = title
    self.breaks = breaks
    self.mustHold = mustHold
    self.script = script
  }

  /// The same with producers of other `acks`: what a leader acknowledged alone may be lost.
  public func with(acks: String) -> Drill {
    with {
      $0.load.acks = acks
      if acks != "all" { $0.tolerance.countsLosses = true }
    }
  }

  func with(_ change: (inout Drill) -> Void) -> Drill {
    var copy = self
    change(&copy)
    return copy
  }
}
