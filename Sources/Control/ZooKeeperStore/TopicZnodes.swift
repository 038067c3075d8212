// Topics and the states of their partitions.
import Metadata
import Values

/// `/brokers/topics/T`: who holds the replicas, and which of them come and go (version 3).
public enum TopicZnode {
  /// - Parameter id: nil below 2.8-IV0, where topics have no ids.
  public static func encode(_ topic: TopicImage, id: Uuid?) -> [UInt8] {
    func map(_ replicas: (PartitionImage) -> [BrokerID], skipEmpty: Bool) -> JSON {
      let numbers = topic.partitions.entries.compactMap { number, partition in
        skipEmpty && replicas(partition).isEmpty ? nil : String(number)
      }
      return .object(
        JavaOrder.scalaMap(numbers).map { number in
          let partition = Int32(number).flatMap { topic.partitions[$0] }
          return .init(number, .int32s(partition.map { replicas($0).rawIDs } ?? []))
        })
    }
    var fields = [JSON.Field("partitions", map(\.replicas, skipEmpty: false))]
    if let id { fields.append(.init("topic_id", .string(id.description))) }
    fields.append(.init("adding_replicas", map(\.addingReplicas, skipEmpty: true)))
    fields.append(.init("removing_replicas", map(\.removingReplicas, skipEmpty: true)))
    fields.append(.init("version", .integer(3)))
    return JSON.object(fields).bytes
  }

  /// What the znode says; partitions have no state yet. `id` is nil where it has none.
  public struct Content: Equatable, Sendable {
    public var id: Uuid?
    public var partitions = PartitionTable()
  }

  public static func decode(_ data: [UInt8]) -> Content? {
    guard let json = try? JSON(parsing: data), let partitions = json["partitions"]?.fields else {
      return nil
    }
    var content = Content()
    if let text = json["topic_id"]?.string {
      guard let id = Uuid(text) else { return nil }
      content.id = id
    }
    for field in partitions {
      guard let number = Int32(field.name), number >= 0, let replicas = field.value.int32s else {
        return nil
      }
      var partition = PartitionImage(replicas: replicas.brokerIDs)
      partition.addingReplicas =
        (json["adding_replicas"]?[field.name]?.int32s ?? []).brokerIDs
      partition.removingReplicas =
        (json["removing_replicas"]?[field.name]?.int32s ?? []).brokerIDs
      content.partitions[number] = partition
    }
    return content
  }
}

/// `/brokers/topics/T/partitions/P/state`: leader and ISR (version 1). Its zkVersion is the
/// partition epoch; whoever writes it states its controller epoch in it.
public enum PartitionStateZnode {
  public static func encode(_ partition: PartitionImage, by controller: ControllerEpoch) -> [UInt8]
  {
    var fields: [JSON.Field] = [
      .init("controller_epoch", .integer(Int64(controller.rawValue))),
      .init("leader", .integer(Int64(partition.leader.rawValue))),
      .init("version", .integer(1)),
    ]
    // Left out when there is nothing to recover, so that older controllers find what they know.
    if partition.leaderRecoveryState != .recovered {
      let state = Int64(partition.leaderRecoveryState.rawValue)
      fields.append(.init("leader_recovery_state", .integer(state)))
    }
    fields.append(.init("leader_epoch", .integer(Int64(partition.leaderEpoch.rawValue))))
    fields.append(.init("isr", .int32s(partition.isr.rawIDs)))
    return JSON.object(fields).bytes
  }

  public struct Content: Equatable, Sendable {
    public var leader: BrokerID
    public var leaderEpoch: LeaderEpoch
    public var isr: [BrokerID]
    public var leaderRecoveryState: LeaderRecoveryState
    /// Of the controller that elected the leader; a controller that finds a later one than its
    /// own has been replaced.
    public var controllerEpoch: ControllerEpoch

    /// Puts the state into a partition of which only the assignment is known.
    public func apply(to partition: inout PartitionImage, version: Int32) {
      partition.leader = leader
      partition.leaderEpoch = leaderEpoch
      partition.isr = isr
      partition.leaderRecoveryState = leaderRecoveryState
      partition.partitionEpoch = PartitionEpoch(version)
    }
  }

  public static func decode(_ data: [UInt8]) -> Content? {
    guard let json = try? JSON(parsing: data), let leader = json["leader"]?.int32,
      let leaderEpoch = json["leader_epoch"]?.int32, let isr = json["isr"]?.int32s,
      let controllerEpoch = json["controller_epoch"]?.int32
    else { return nil }
    let recovery = json["leader_recovery_state"]?.int64.flatMap {
      Int8(exactly: $0).flatMap(LeaderRecoveryState.init)
    }
    return Content(
      leader: BrokerID(leader), leaderEpoch: LeaderEpoch(leaderEpoch), isr: isr.brokerIDs,
      leaderRecoveryState: recovery ?? .recovered,
      controllerEpoch: ControllerEpoch(controllerEpoch))
  }
}
