/// What was given from outside, before anybody knows what the keys mean: a properties file, the
/// environment, and `--override` flags, the later ones winning.
public struct SettingSources: Sendable {
  public struct Setting: Hashable, Sendable {
    public var key: String
    public var value: String
    public var origin: SettingOrigin
  }

  /// Each key once, in the order of first mention.
  public private(set) var settings: [Setting] = []
  private var index: [String: Int] = [:]

  public init() {}

  public init(_ properties: Properties) {
    for entry in properties.effectiveEntries {
      set(entry.key, entry.value, .file(properties.file, line: entry.line))
    }
  }

  public subscript(key: String) -> Setting? { index[key].map { settings[$0] } }

  public mutating func set(_ key: String, _ value: String, _ origin: SettingOrigin) {
    let setting = Setting(key: key, value: value, origin: origin)
    if let place = index[key] {
      settings[place] = setting
    } else {
      index[key] = settings.count
      settings.append(setting)
    }
  }

  /// Applies one `--override key=value`; whatever follows the first `=` is the value.
  public mutating func override(_ assignment: String) throws(SettingsError) {
    guard let separator = assignment.firstIndex(of: "="), separator != assignment.startIndex else {
      throw SettingsError(
        "expected key=value, found '\(assignment)'", key: "--override")
    }
    set(
      String(assignment[..<separator]).trimmed,
      String(assignment[assignment.index(after: separator)...]), .override)
  }

  /// Applies `KAFKA_…` variables: `_` stands for a dot, `__` for an underscore, `___` for a dash.
  ///
  /// Variables that steer Kafka's start scripts and its Java machine are no settings and left out.
  /// Variables are taken in the order of their names, so that the outcome does not hang on hashing.
  public mutating func apply(environment: [String: String]) {
    for name in environment.keys.sorted() {
      guard let key = Self.key(ofVariable: name), let value = environment[name] else { continue }
      set(key, value, .environment(name))
    }
  }

  /// The key an environment variable stands for; nil when it is none.
  public static func key(ofVariable name: String) -> String? {
    guard name.hasPrefix("KAFKA_"), name.utf8.count > 6, !scriptVariables.contains(name) else {
      return nil
    }
    var key = ""
    var underscores = 0
    func flush() {
      switch underscores {
      case 0: break
      case 1: key += "."
      case 2: key += "_"
      default: key += "-"
      }
      underscores = 0
    }
    for character in name.dropFirst(6) {
      if character == "_" {
        underscores += 1
      } else {
        flush()
        key += character.lowercased()
      }
    }
    flush()
    // The one key of 3.9 with a capital letter in it, which environment names cannot spell.
    return key == "zookeeper.clientcnxnsocket" ? "zookeeper.clientCnxnSocket" : key
  }

  private static let scriptVariables: Set<String> = [
    "KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_GC_LOG_OPTS",
    "KAFKA_JMX_OPTS", "KAFKA_JMX_PORT", "KAFKA_JMX_HOSTNAME", "KAFKA_LOG4J_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL", "KAFKA_LOG4J_LOGGERS", "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_HOME", "KAFKA_DEBUG", "KAFKA_VERSION", "KAFKA_CLASSPATH",
  ]
}

extension StringProtocol {
  /// Without blanks and line ends at both ends.
  var trimmed: String {
    let blank: (UInt8) -> Bool = { $0 <= 0x20 }
    var bytes = Substring(self).utf8[...]
    while let first = bytes.first, blank(first) { bytes = bytes.dropFirst() }
    while let last = bytes.last, blank(last) { bytes = bytes.dropLast() }
    return String(Substring(bytes))
  }

  /// The parts between commas, trimmed; an empty text has no parts.
  var commaSeparated: [String] {
    let text = trimmed
    if text.isEmpty { return [] }
    return text.split(separator: ",", omittingEmptySubsequences: false).map(\.trimmed)
  }
}
