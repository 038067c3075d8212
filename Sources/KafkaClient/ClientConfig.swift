import Settings
import Telemetry

/// Which of Kafka's client configurations a set of properties is.
public enum ClientKind: Character, Sendable, CaseIterable {
  case producer = "p"
  case consumer = "c"
  case admin = "a"
}

/// A client's configuration by Kafka's own key names, every value understood and checked.
///
/// Unknown keys, and keys without effect here, are named in a warning and otherwise passed over, as
/// Kafka's clients do.
public struct ClientConfig: Sendable {
  public let kind: ClientKind
  private var values: [String: ConfigValue]
  /// The keys that were given and have no meaning here, in order of name.
  public private(set) var ignoredKeys: [String] = []

  struct Key {
    var type: ConfigType
    var defaultValue: ConfigValue
    var status: Character
  }

  /// - Throws: `.configuration` naming the key and the value.
  public init(_ properties: [String: String], for kind: ClientKind) throws(ClientError) {
    self.kind = kind
    let keys = Self.keys(of: kind)
    values = keys.mapValues(\.defaultValue)
    for name in properties.keys.sorted() {
      guard let text = properties[name] else { continue }
      guard let key = keys[name] else {
        ignoredKeys.append(name)
        continue
      }
      guard let value = ConfigValue(parsing: text, as: key.type) else {
        throw .configuration("\(name)=\(text): not a \(key.type) value")
      }
      if key.status == "-", value != key.defaultValue { ignoredKeys.append(name) }
      values[name] = value
    }
    try check()
    if !ignoredKeys.isEmpty {
      Log("client").warn(
        "configuration without effect", ["keys": ignoredKeys.joined(separator: ",")])
    }
  }

  private func check() throws(ClientError) {
    let protocolName = text("security.protocol").uppercased()
    guard protocolName == "PLAINTEXT" else {
      throw .configuration("security.protocol=\(protocolName): only PLAINTEXT is supported yet")
    }
    if kind == .consumer, text("group.protocol").lowercased() != "classic" {
      throw .configuration(
        "group.protocol=\(text("group.protocol")): only classic is supported yet")
    }
    try oneOf("acks", ["all", "-1", "0", "1"])
    try oneOf("auto.offset.reset", ["earliest", "latest", "none"])
    try oneOf("isolation.level", ["read_committed", "read_uncommitted"])
    try oneOf("compression.type", ["none", "gzip", "snappy", "lz4", "zstd"])
    try atLeast("max.in.flight.requests.per.connection", 1)
    try atLeast("max.poll.records", 1)
    for key in [
      "batch.size", "buffer.memory", "linger.ms", "request.timeout.ms", "fetch.min.bytes",
    ] {
      try atLeast(key, 0)
    }
  }

  private func oneOf(_ key: String, _ words: [String]) throws(ClientError) {
    guard let value = values[key] else { return }
    guard words.contains(value.description.lowercased()) else {
      throw .configuration("\(key)=\(value): must be one of \(words.joined(separator: ", "))")
    }
  }

  private func atLeast(_ key: String, _ least: Int64) throws(ClientError) {
    guard case .integer(let value)? = values[key], value < least else { return }
    throw .configuration("\(key)=\(value): must be at least \(least)")
  }

  // MARK: Values

  /// Whether this client has the key at all.
  public func has(_ key: String) -> Bool { values[key] != nil }

  /// The value's text; empty for null and for keys that this kind of client does not have.
  public func text(_ key: String) -> String { values[key]?.nullableText ?? "" }

  /// The value's text; nil for null and for empty text.
  public func optionalText(_ key: String) -> String? {
    let text = text(key)
    return text.isEmpty ? nil : text
  }

  public func integer(_ key: String) -> Int64 {
    if case .integer(let value)? = values[key] { return value }
    return 0
  }

  public func bool(_ key: String) -> Bool { values[key] == .boolean(true) }

  public func list(_ key: String) -> [String] {
    if case .list(let items)? = values[key] { return items.filter { !$0.isEmpty } }
    return []
  }

  // MARK: Keys

  /// Names of all keys of a kind of client, in order.
  public static func keyNames(of kind: ClientKind) -> [String] { keys(of: kind).keys.sorted() }

  private static let types: [Substring: ConfigType] = [
    "bool": .boolean, "string": .string, "int": .int, "short": .short, "long": .long,
    "double": .double, "list": .list, "class": .classname, "password": .password,
  ]

  /// Read once: clients are made again and again.
  private static let allKeys = Dictionary(
    uniqueKeysWithValues: ClientKind.allCases.map { ($0, readKeys(of: $0)) })

  static func keys(of kind: ClientKind) -> [String: Key] { allKeys[kind] ?? [:] }

  private static func readKeys(of kind: ClientKind) -> [String: Key] {
    var keys: [String: Key] = [:]
    for line in keyTable.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count == 5, words[1].contains(kind.rawValue), let type = types[words[2]],
        let status = words[4].first
      else { continue }
      let text = words[3] == "\"\"" ? "" : String(words[3])
      let value = text == "null" ? .null : ConfigValue(parsing: text, as: type) ?? .null
      keys[String(words[0])] = Key(type: type, defaultValue: value, status: status)
    }
    return keys
  }
}
