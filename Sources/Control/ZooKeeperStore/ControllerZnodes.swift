// The controller's own znodes, and those of which there is one in a cluster.
import Values

/// `/controller`: who the controller is (version 2), ephemeral.
public enum ControllerZnode {
  public static func encode(_ broker: BrokerID, at time: WallTime) -> [UInt8] {
    JSON.object([
      .init("version", .integer(2)),
      .init("brokerid", .integer(Int64(broker.rawValue))),
      .init("timestamp", .string(String(time.milliseconds))),
      .init("kraftControllerEpoch", .integer(-1)),
    ]).bytes
  }

  /// Nil if the data is not a controller's.
  public static func decode(_ data: [UInt8]) -> BrokerID? {
    (try? JSON(parsing: data))?["brokerid"]?.int32.map { BrokerID($0) }
  }
}

/// `/controller_epoch`: the number of elections so far, as plain text. Its zkVersion is the token
/// that fences every write of the controller.
public enum ControllerEpochZnode {
  public static func encode(_ epoch: ControllerEpoch) -> [UInt8] {
    Array(String(epoch.rawValue).utf8)
  }

  public static func decode(_ data: [UInt8]) -> ControllerEpoch? {
    Int32(String(decoding: data, as: UTF8.self)).map { ControllerEpoch($0) }
  }
}

/// `/cluster/id`; the version is text here.
public enum ClusterIDZnode {
  public static func encode(_ id: String) -> [UInt8] {
    JSON.object([.init("version", .string("1")), .init("id", .string(id))]).bytes
  }

  public static func decode(_ data: [UInt8]) -> String? {
    (try? JSON(parsing: data))?["id"]?.string
  }
}

/// `/feature`: finalized feature levels. Version 1 (below 3.3-IV0) repeats each as its minimum.
public enum FeatureZnode {
  public static func encode(
    _ features: [String: Int16], version: Int64, isEnabled: Bool = true
  ) -> [UInt8] {
    let levels = features.keys.sorted().map { name in
      let level = JSON.integer(Int64(features[name] ?? 0))
      var fields = [JSON.Field("max_version_level", level)]
      if version < 2 { fields.append(.init("min_version_level", level)) }
      return JSON.Field(name, .object(fields))
    }
    return JSON.object([
      .init("features", .object(levels)),
      .init("version", .integer(version)),
      .init("status", .integer(isEnabled ? 1 : 0)),
    ]).bytes
  }

  public static func decode(
    _ data: [UInt8]
  ) -> (features: [String: Int16], version: Int64, isEnabled: Bool)? {
    guard let json = try? JSON(parsing: data), let version = json["version"]?.int64,
      (1...2).contains(version), let status = json["status"]?.int64,
      let fields = json["features"]?.fields
    else { return nil }
    var features: [String: Int16] = [:]
    for field in fields {
      guard let level = field.value["max_version_level"]?.int32, let level = Int16(exactly: level),
        level >= 1
      else { return nil }
      features[field.name] = level
    }
    return (features, version, status == 1)
  }
}

/// `/latest_producer_id_block`: the block given away last (version 1); its bounds are text.
public enum ProducerIDZnode {
  /// - Parameter next: the first id after the block.
  public static func encode(_ broker: BrokerID, next: Int64, blockSize: Int64) -> [UInt8] {
    JSON.object([
      .init("version", .integer(1)),
      .init("broker", .integer(Int64(broker.rawValue))),
      .init("block_start", .string(String(next - blockSize))),
      .init("block_end", .string(String(next - 1))),
    ]).bytes
  }

  public struct Content: Equatable, Sendable {
    public var broker: BrokerID
    public var start: Int64
    /// The last id of the block.
    public var end: Int64
  }

  /// Nil also for the empty node that stands there before the first block.
  public static func decode(_ data: [UInt8]) -> Content? {
    guard let json = try? JSON(parsing: data), let broker = json["broker"]?.int32,
      let start = json["block_start"]?.string.flatMap({ Int64($0) }),
      let end = json["block_end"]?.string.flatMap({ Int64($0) }), start >= 0, end >= start,
      end < Int64.max
    else { return nil }
    return Content(broker: BrokerID(broker), start: start, end: end)
  }
}
