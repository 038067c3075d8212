/// How a key may be changed while a broker runs.
public enum ConfigUpdateMode: Sendable {
  /// Only by a restart; DescribeConfigs calls it read-only.
  case fixed
  /// For one broker at a time.
  case broker
  /// For one broker, or for all.
  case cluster
}

public enum ConfigImportance: String, Sendable {
  case high, medium, low
}

/// What becomes of a key here. Nothing is ignored in silence.
public enum ConfigStatus: Hashable, Sendable {
  case honoured
  /// Accepted with a warning that gives this reason.
  case withoutEffect(String)
  /// Any value but the default stops the start, with this reason.
  case refused(String)
}

/// One configuration key: what Kafka says of it, and what becomes of it here.
public struct ConfigKey: Sendable {
  public let name: String
  public let type: ConfigType
  public let defaultValue: ConfigValue
  public let validity: ConfigValidity
  public let update: ConfigUpdateMode
  public let importance: ConfigImportance
  public let status: ConfigStatus
  /// One sentence; for keys without effect, the reason.
  public let documentation: String

  /// Values that are never shown.
  public var isSensitive: Bool { type == .password }

  /// Understands and checks a value.
  /// - Throws: `SettingsError` that names the key, the value (unless sensitive) and the origin.
  public func parse(
    _ text: String, origin: SettingOrigin? = nil
  ) throws(SettingsError) -> ConfigValue {
    let shown = isSensitive ? "[hidden]" : text
    guard let value = ConfigValue(parsing: text, as: type) else {
      throw SettingsError("not a \(type) value", key: name, value: shown, origin: origin)
    }
    if let complaint = validity.complaint(about: value) {
      throw SettingsError(complaint, key: name, value: shown, origin: origin)
    }
    if case .refused(let reason) = status, value != defaultValue, value != .text("") {
      throw SettingsError(reason, key: name, value: shown, origin: origin)
    }
    return value
  }
}

/// Every key of brokers and of topics, as tables in a notation of our own.
///
/// One key a line: name, type, default, validity, update mode, importance, status. Its sentence
/// follows on the next lines, indented.
/// - Defaults: `null`, `""` for empty text, `[]` for an empty list, else the value.
/// - Validity: `*` anything, `1..` `0..1` ranges, `-1|1..9` a range or -1, `{a,b}` words,
///   `nonempty`, `version`, `throttled` (partition:broker pairs).
/// - Update modes: `fixed`, `broker`, `cluster`.
/// - Status: `+` honoured; `-` without effect, the sentence is the reason; `!` refused unless it is
///   the default, the sentence is the reason.
///
/// Update mode and importance are Kafka's notions. Tables of keys that have neither leave both out,
/// and their keys can be changed only by a restart.
///
/// Tables of text keep the compiler fast and are parsed once; a test parses all of them.
public struct ConfigTable: Sendable {
  /// In alphabetical order.
  public let keys: [ConfigKey]
  private let index: [String: Int]

  /// The keys of `server.properties`.
  public static let broker = ConfigTable([
    serverKeys, logKeys, replicationKeys, coordinatorsKeys, quorumKeys, securityKeys,
  ])
  /// The keys of `zoo.cfg`, and the system properties of ZooKeeper's server without their prefix.
  public static let coordinator = ConfigTable([
    coordinatorKeys, coordinatorEnsembleKeys, coordinatorStorageKeys, coordinatorLimitKeys,
    coordinatorSecurityKeys, coordinatorTLSKeys, coordinatorOperationKeys,
  ])
  /// The keys of topics.
  public static let topic = ConfigTable([topicKeys])

  public subscript(name: String) -> ConfigKey? { index[name].map { keys[$0] } }

  /// A key that stands in two tables is a mistake in this program.
  init(_ tables: [String]) {
    var parsed: [ConfigKey] = []
    for table in tables { parsed += Self.parse(table) }
    keys = parsed.sorted { $0.name < $1.name }
    var index: [String: Int] = [:]
    for (place, key) in keys.enumerated() {
      precondition(index.updateValue(place, forKey: key.name) == nil, "\(key.name) twice")
    }
    self.index = index
  }

  private static func parse(_ table: String) -> [ConfigKey] {
    var keys: [ConfigKey] = []
    var head: [Substring] = []
    var sentence: [Substring] = []
    func flush() {
      if !head.isEmpty { keys.append(key(head, sentence: sentence.joined(separator: " "))) }
    }
    for line in table.split(separator: "\n") {
      if line.hasPrefix(" ") {
        sentence.append(line.drop { $0 == " " })
      } else {
        flush()
        head = line.split(separator: " ")
        sentence = []
      }
    }
    flush()
    return keys
  }

  /// A malformed line is a mistake in this program, and stops it at its first start.
  private static func key(_ head: [Substring], sentence: String) -> ConfigKey {
    var head = head
    if head.count == 5 { head.insert(contentsOf: ["fixed", "medium"], at: 4) }
    guard head.count == 7, let type = types[head[1]], let update = updateModes[head[4]],
      let importance = ConfigImportance(rawValue: String(head[5])),
      let value = defaultValue(head[2], type), let validity = validity(head[3])
    else { preconditionFailure("malformed table line: \(head.joined(separator: " "))") }
    let status: ConfigStatus =
      switch head[6] {
      case "+": .honoured
      case "-": .withoutEffect(sentence)
      default: .refused(sentence)
      }
    return ConfigKey(
      name: String(head[0]), type: type, defaultValue: value, validity: validity, update: update,
      importance: importance, status: status, documentation: sentence)
  }

  private static let types: [Substring: ConfigType] = [
    "bool": .boolean, "string": .string, "int": .int, "short": .short, "long": .long,
    "double": .double, "list": .list, "class": .classname, "password": .password,
  ]
  private static let updateModes: [Substring: ConfigUpdateMode] = [
    "fixed": .fixed, "broker": .broker, "cluster": .cluster,
  ]

  private static func defaultValue(_ text: Substring, _ type: ConfigType) -> ConfigValue? {
    switch text {
    case "null": .null
    case "\"\"": .text("")
    case "[]": .list([])
    default: ConfigValue(parsing: String(text), as: type)
    }
  }

  private static func validity(_ text: Substring) -> ConfigValidity? {
    switch text {
    case "*": return .anything
    case "nonempty": return .nonEmpty
    case "version": return .version
    case "throttled": return .throttledReplicas
    default: break
    }
    if text.hasPrefix("{"), text.hasSuffix("}") {
      return .oneOf(text.dropFirst().dropLast().split(separator: ",").map(String.init))
    }
    let isOrMinusOne = text.hasPrefix("-1|")
    let range = isOrMinusOne ? text.dropFirst(3) : text
    guard let dots = range.firstRange(of: "..") else { return nil }
    let low = Double(range[..<dots.lowerBound])
    let high = Double(range[dots.upperBound...])
    return isOrMinusOne ? .minusOneOr(low ?? 0, high) : .range(low, high)
  }
}

extension ConfigType: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unknown: "value"
    case .boolean: "boolean"
    case .string: "string"
    case .int: "32-bit integer"
    case .short: "16-bit integer"
    case .long: "64-bit integer"
    case .double: "number"
    case .list: "list"
    case .classname: "class"
    case .password: "password"
    }
  }
}
