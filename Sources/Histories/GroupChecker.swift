// What must hold for consumer groups: committed offsets and ownership.
import Values

/// What was seen of a group.
public struct GroupObservation: Sendable {
  public enum Event: Sendable, Equatable {
    /// A member committed this offset, and the commit was acknowledged.
    case committed(TopicPartition, Offset)
    /// Somebody asked for the committed offset; nil: there is none.
    case fetched(TopicPartition, Offset?)
    /// A member was given these partitions in a generation.
    case assigned(member: String, generation: Int32, [TopicPartition])
    /// The offset was set back on purpose (a reset): what came before counts no more.
    case reset(TopicPartition)
  }

  public var group: String
  public var event: Event
  public var invoked: Instant
  public var completed: Instant
  /// The position of the operation in the history that this was seen in.
  public var operation: Int

  public init(
    group: String, _ event: Event, invoked: Instant, completed: Instant, operation: Int
  ) {
    self.group = group
    self.event = event
    self.invoked = invoked
    self.completed = completed
    self.operation = operation
  }
}

/// Offsets of a group never go back, and no generation gives a partition to two members.
public enum GroupChecker {
  /// - Parameter observations: in the order of their invocation.
  public static func check(_ observations: [GroupObservation]) -> Findings {
    var findings = Findings()
    checkOffsets(observations, &findings)
    checkOwnership(observations, &findings)
    return findings
  }

  private struct Position: Hashable {
    var group: String
    var partition: TopicPartition
  }

  /// A fetch must answer at least the highest commit that was acknowledged before it was asked.
  private static func checkOffsets(
    _ observations: [GroupObservation], _ findings: inout Findings
  ) {
    var commits: [Position: [(offset: Offset, completed: Instant, operation: Int)]] = [:]
    for observation in observations {
      switch observation.event {
      case .committed(let partition, let offset):
        commits[Position(group: observation.group, partition: partition), default: []]
          .append((offset, observation.completed, observation.operation))
      case .reset(let partition):
        commits[Position(group: observation.group, partition: partition)] = nil
      case .fetched(let partition, let offset):
        let key = Position(group: observation.group, partition: partition)
        let known = commits[key, default: []].filter { $0.completed < observation.invoked }
        // The last acknowledged commit counts: members may commit less than others did before.
        guard let last = known.last, offset ?? -1 < last.offset,
          !known.contains(where: { $0.offset == offset })
        else { continue }
        findings.add(
          Anomaly(
            .offsetRegression, "\(observation.group) \(partition)",
            "offset \(last.offset) was committed, and later "
              + (offset.map { "\($0)" } ?? "none") + " was found",
            operations: [last.operation, observation.operation]))
      case .assigned: continue
      }
    }
  }

  private struct Turn: Hashable {
    var group: String
    var generation: Int32
    var partition: TopicPartition
  }

  private static func checkOwnership(
    _ observations: [GroupObservation], _ findings: inout Findings
  ) {
    var owners: [Turn: (member: String, operation: Int)] = [:]
    for observation in observations {
      guard case .assigned(let member, let generation, let partitions) = observation.event else {
        continue
      }
      for partition in partitions {
        let turn = Turn(group: observation.group, generation: generation, partition: partition)
        guard let owner = owners[turn] else {
          owners[turn] = (member, observation.operation)
          continue
        }
        guard owner.member != member else { continue }
        findings.add(
          Anomaly(
            .doubleOwnership, "\(observation.group) \(partition)",
            "generation \(generation) gave it to \(owner.member) and to \(member)",
            operations: [owner.operation, observation.operation]))
      }
    }
  }
}
