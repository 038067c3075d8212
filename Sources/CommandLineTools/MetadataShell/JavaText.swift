/// The text of registrations, entries and numbers as Kafka's tools print them.
import Foundation
import Metadata
import Values

enum JavaText {
  static func text(_ broker: BrokerImage) -> String {
    let rack = broker.rack.map { "Optional[\($0)]" } ?? "Optional.empty"
    return "BrokerRegistration(id=\(broker.id.rawValue), epoch=\(broker.epoch.rawValue)"
      + ", incarnationId=\(broker.incarnationID), listeners=[\(listeners(broker.endpoints))]"
      + ", supportedFeatures={\(features(broker.features))}, rack=\(rack)"
      + ", fenced=\(broker.isFenced), inControlledShutdown=\(broker.isInControlledShutdown)"
      + ", isMigratingZkBroker=\(broker.isMigratingZkBroker)"
      + ", directories=\(list(broker.logDirs)))"
  }

  static func text(_ controller: ControllerRegistration) -> String {
    "ControllerRegistration(id=\(controller.id.rawValue)"
      + ", incarnationId=\(controller.incarnationID)"
      + ", zkMigrationReady=\(controller.isZkMigrationReady)"
      + ", listeners=[\(listeners(controller.endpoints))]"
      + ", supportedFeatures={\(features(controller.features))})"
  }

  private static func listeners(_ endpoints: [Endpoint]) -> String {
    endpoints.sorted { $0.listener < $1.listener }.map {
      "Endpoint(listenerName='\($0.listener)', securityProtocol=\($0.securityProtocol.name)"
        + ", host='\($0.host)', port=\($0.port))"
    }.joined(separator: ", ")
  }

  private static func features(_ features: [SupportedFeature]) -> String {
    features.sorted { $0.name < $1.name }.map { feature in
      if feature.minimum == feature.maximum { return "\(feature.name): \(feature.minimum)" }
      let open = feature.maximum == .max
      return "\(feature.name): \(feature.minimum)" + (open ? "+" : "-\(feature.maximum)")
    }.joined(separator: ", ")
  }

  private static func list(_ values: [some CustomStringConvertible]) -> String {
    "[\(values.map(\.description).joined(separator: ", "))]"
  }

  private static func ids(_ brokers: [BrokerID]) -> String { list(brokers.map(\.rawValue)) }

  static func text(_ partition: PartitionImage) -> String {
    // What has no directory ids is shown with one for each replica.
    let directories =
      partition.directories.isEmpty
      ? partition.replicas.map { _ in DirectoryID.migrating } : partition.directories
    let recovery =
      switch partition.leaderRecoveryState {
      case .recovered: "RECOVERED"
      case .recovering: "RECOVERING"
      }
    return "PartitionRegistration(replicas=\(ids(partition.replicas))"
      + ", directories=\(list(directories)), isr=\(ids(partition.isr))"
      + ", removingReplicas=\(ids(partition.removingReplicas))"
      + ", addingReplicas=\(ids(partition.addingReplicas))"
      + ", elr=\(ids(partition.eligibleLeaderReplicas))"
      + ", lastKnownElr=\(ids(partition.lastKnownElr)), leader=\(partition.leader.rawValue)"
      + ", leaderRecoveryState=\(recovery), leaderEpoch=\(partition.leaderEpoch.rawValue)"
      + ", partitionEpoch=\(partition.partitionEpoch.rawValue))"
  }

  static func text(_ entry: AccessControlEntry) -> String {
    "StandardAcl(resourceType=\(name(resourceTypes, entry.resourceType))"
      + ", resourceName=\(entry.resourceName)"
      + ", patternType=\(name(patternTypes, entry.patternType)), principal=\(entry.principal)"
      + ", host=\(entry.host), operation=\(name(operations, entry.operation))"
      + ", permissionType=\(name(permissions, entry.permissionType)))"
  }

  // By their numbers on the wire (KIP-140, KIP-290, KIP-48).
  private static let resourceTypes = [
    "UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER",
  ]
  private static let patternTypes = ["UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"]
  private static let operations = [
    "UNKNOWN", "ANY", "ALL", "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE",
    "CLUSTER_ACTION", "DESCRIBE_CONFIGS", "ALTER_CONFIGS", "IDEMPOTENT_WRITE", "CREATE_TOKENS",
    "DESCRIBE_TOKENS",
  ]
  private static let permissions = ["UNKNOWN", "ANY", "DENY", "ALLOW"]

  private static func name(_ names: [String], _ number: Int8) -> String {
    names.indices.contains(Int(number)) ? names[Int(number)] : names[0]
  }

  static func zkMigrationState(_ state: Int8) -> String {
    let names = ["NONE", "MIGRATION", "PRE_MIGRATION", "POST_MIGRATION", "ZK"]
    return names.indices.contains(Int(state)) ? names[Int(state)] : "\(state)"
  }

  static func text(_ credential: ScramCredential) -> String {
    func hex(_ bytes: [UInt8]) -> String {
      bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }
    return "ScramCredentialData(salt=\(hex(credential.salt))"
      + ", storedKey=\(hex(credential.storedKey)), serverKey=\(hex(credential.serverKey))"
      + ", iterations=\(credential.iterations))"
  }

  /// Brackets that do not match are Kafka's.
  static func text(_ token: DelegationToken, id: String) -> String {
    "DelegationTokenDatatokenId=\(id)(owner=\(token.owner)(tokenRequester=\(token.requester)"
      + "(renewers=\(token.renewers.joined(separator: " "))"
      + ", issueTimestamp=\(token.issueTimestamp), maxTimestamp=\(token.maxTimestamp))"
      + ", expiryTimestamp=\(token.expirationTimestamp)"
  }

  /// `clientId(a)_user(b)`. Kafka leaves out the default of a type, and so cannot show it.
  static func text(_ entity: QuotaEntity) -> String {
    let names = [("client-id", "clientId"), ("ip", "ip"), ("user", "user")]
    return names.compactMap { type, shown in
      guard let name = entity.name(of: type) else { return nil }
      return "\(shown)(\(escape(name ?? "<default>")))"
    }.joined(separator: "_")
  }

  private static func escape(_ name: String) -> String {
    var escaped = ""
    for character in name {
      if "\\()".contains(character) { escaped.append("\\") }
      escaped.append(character)
    }
    return escaped
  }

  /// `Double.toString`: plain between a thousandth and ten million, else with an exponent.
  static func text(_ value: Double) -> String {
    let size = abs(value)
    guard value.isFinite else { return value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity" }
    if size == 0 || (1e-3 <= size && size < 1e7) { return "\(Decimal.plain(value))" }
    return Decimal.scientific(value)
  }

  /// Both forms from the shortest digits that read back as the same number.
  private enum Decimal {
    static func parts(_ value: Double) -> (digits: [Character], exponent: Int) {
      // `1.048576e+06`, `123.5` or `0.001`: digits without zeros around them, and the place of the
      // point behind the first.
      let text = "\(abs(value))".lowercased()
      let pieces = text.split(separator: "e")
      var exponent = pieces.count > 1 ? Int(pieces[1].replacing("+", with: "")) ?? 0 : 0
      let halves = pieces[0].split(separator: ".", omittingEmptySubsequences: false)
      var digits = Array(halves.joined())
      exponent += halves[0].count - 1
      while digits.count > 1, digits.first == "0" {
        digits.removeFirst()
        exponent -= 1
      }
      while digits.count > 1, digits.last == "0" { digits.removeLast() }
      return (digits, exponent)
    }

    static func plain(_ value: Double) -> String {
      guard value != 0 else { return value.sign == .minus ? "-0.0" : "0.0" }
      var (digits, exponent) = parts(value)
      if exponent < 0 {
        digits.insert(contentsOf: Array(repeating: "0", count: -exponent), at: 0)
        exponent = 0
      }
      while digits.count < exponent + 2 { digits.append("0") }
      digits.insert(".", at: exponent + 1)
      return (value < 0 ? "-" : "") + String(digits)
    }

    static func scientific(_ value: Double) -> String {
      let (digits, exponent) = parts(value)
      let rest = digits.count > 1 ? String(digits.dropFirst()) : "0"
      return (value < 0 ? "-" : "") + "\(digits[0]).\(rest)E\(exponent)"
    }
  }

  /// `2026-11-24T09:00:00.123Z[UTC]`, without a fraction that is zero.
  static func zonedDateTime(milliseconds: Int64) -> String {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = TimeZone(secondsFromGMT: 0) ?? .current
    let (seconds, rest) = milliseconds.quotientAndRemainder(dividingBy: 1000)
    let (whole, fraction) = rest < 0 ? (seconds - 1, rest + 1000) : (seconds, rest)
    let parts = calendar.dateComponents(
      [.year, .month, .day, .hour, .minute, .second],
      from: Date(timeIntervalSince1970: TimeInterval(whole)))
    func pad(_ value: Int?, _ width: Int) -> String {
      let text = "\(value ?? 0)"
      return String(repeating: "0", count: max(0, width - text.count)) + text
    }
    var places = fraction == 0 ? "" : "." + pad(Int(fraction), 3)
    while places.hasSuffix("0") { places.removeLast() }
    return "\(pad(parts.year, 4))-\(pad(parts.month, 2))-\(pad(parts.day, 2))"
      + "T\(pad(parts.hour, 2)):\(pad(parts.minute, 2)):\(pad(parts.second, 2))\(places)Z[UTC]"
  }
}
