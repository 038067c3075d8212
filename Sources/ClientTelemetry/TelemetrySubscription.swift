// What operators ask clients to tell: the configuration of `client-metrics` resources (KIP-714).
import KafkaProtocol

/// One `client-metrics` resource: which metrics of which clients, and how often.
public struct TelemetrySubscription: Equatable, Sendable {
  /// `metrics`: prefixes of names; `*` stands for all of them.
  public var metrics: [String] = []
  /// `interval.ms`
  public var intervalMs: Int32 = Self.defaultIntervalMs
  /// `match`: patterns that all have to match, by what they are about; without any everybody does.
  public var patterns: [Selector: String] = [:]

  public static let defaultIntervalMs: Int32 = 300_000
  public static let intervals: ClosedRange<Int32> = 100...3_600_000
  public static let everything = "*"
  /// In the order in which they are described.
  public static let keys = ["interval.ms", "match", "metrics"]

  /// What a client can be matched by.
  public enum Selector: String, CaseIterable, Sendable {
    case instanceID = "client_instance_id"
    case clientID = "client_id"
    case softwareName = "client_software_name"
    case softwareVersion = "client_software_version"
    case sourceAddress = "client_source_address"
    case sourcePort = "client_source_port"
  }

  /// Why a configuration is not allowed, with the error that the change is answered with.
  public struct Refusal: Error, Equatable {
    public var code: ErrorCode
    public var message: String
  }

  /// Checks a resource's whole configuration, as it would be after a change.
  ///
  /// - Throws: INVALID_REQUEST for unknown keys and intervals out of range, INVALID_CONFIG for what
  ///   is no number and for patterns.
  public init(name: String, _ settings: [String: String]) throws(Refusal) {
    guard !name.isEmpty else {
      throw Refusal(code: .invalidRequest, message: "Subscription name can't be empty")
    }
    for key in settings.keys.sorted() where !Self.keys.contains(key) {
      throw Refusal(
        code: .invalidRequest, message: "Unknown client metrics configuration: \(key)")
    }
    if let text = settings["interval.ms"] { intervalMs = try Self.interval(text) }
    metrics = Self.list(settings["metrics"] ?? "")
    for pattern in Self.list(settings["match"] ?? "") {
      let (selector, expression) = try Self.pattern(pattern)
      patterns[selector] = expression
    }
  }

  /// The value of a key as it counts: what is set, or the default.
  public static func effective(_ key: String, _ settings: [String: String]) -> String {
    settings[key] ?? (key == "interval.ms" ? "\(defaultIntervalMs)" : "")
  }

  private static func interval(_ text: String) throws(Refusal) -> Int32 {
    guard let value = Int32(trimmed(text[...])) else {
      throw Refusal(
        code: .invalidConfig,
        message: "Invalid value \(text) for configuration interval.ms: Not a number of type INT")
    }
    guard intervals.contains(value) else {
      throw Refusal(
        code: .invalidRequest,
        message: "Invalid value \(value) for interval.ms, interval must be between 100 and "
          + "3600000 (1 hour)")
    }
    return value
  }

  /// `client_id=a.*`: what is matched, and a regular expression for the whole of its value.
  private static func pattern(_ text: String) throws(Refusal) -> (Selector, String) {
    let parts = text.split(separator: "=", omittingEmptySubsequences: true)
    guard parts.count == 2, let selector = Selector(rawValue: trimmed(parts[0])),
      (try? Regex(trimmed(parts[1]))) != nil
    else {
      throw Refusal(code: .invalidConfig, message: "Illegal client matching pattern: \(text)")
    }
    return (selector, trimmed(parts[1]))
  }

  private static func list(_ text: String) -> [String] {
    text.split(separator: ",", omittingEmptySubsequences: false).map(trimmed)
      .filter { !$0.isEmpty }
  }

  private static func trimmed(_ text: Substring) -> String {
    var rest = text
    while rest.first?.isWhitespace == true { rest.removeFirst() }
    while rest.last?.isWhitespace == true { rest.removeLast() }
    return String(rest)
  }
}

/// Who pushes: what subscriptions are matched with, and what a receiver tells clients apart by.
public struct TelemetryClient: Hashable, Sendable {
  public var clientID: String
  public var softwareName: String
  public var softwareVersion: String
  public var address: String
  public var port: UInt16

  public init(
    clientID: String, softwareName: String, softwareVersion: String, address: String, port: UInt16
  ) {
    self.clientID = clientID
    self.softwareName = softwareName
    self.softwareVersion = softwareVersion
    self.address = address
    self.port = port
  }
}

extension TelemetrySubscription {
  /// Whether the client is meant: each pattern matches the whole of its value.
  public func matches(_ client: TelemetryClient, instance: String) -> Bool {
    // The order does not matter: all have to match.
    patterns.allSatisfy { selector, expression in
      let value =
        switch selector {
        case .instanceID: instance
        case .clientID: client.clientID
        case .softwareName: client.softwareName
        case .softwareVersion: client.softwareVersion
        case .sourceAddress: client.address
        case .sourcePort: "\(client.port)"
        }
      guard let regex = try? Regex(expression) else { return false }
      return (try? regex.wholeMatch(in: value)) != nil
    }
  }
}
