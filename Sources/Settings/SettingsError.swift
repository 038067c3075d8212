/// Where a setting was given, so that every complaint can say where to look.
public enum SettingOrigin: Hashable, Sendable, CustomStringConvertible {
  /// A line of a configuration file, counted from 1.
  case file(String, line: Int)
  /// `--override key=value`.
  case override
  /// An environment variable, by its own name.
  case environment(String)
  /// Changed while running, as Kafka's DescribeConfigs would name it.
  case dynamic

  public var description: String {
    switch self {
    case .file(let file, let line): "\(file):\(line)"
    case .override: "--override"
    case .environment(let name): "environment variable \(name)"
    case .dynamic: "dynamic configuration"
    }
  }
}

/// A configuration or a command line that cannot be used: one line for a person.
///
/// The line names the file and line, the key and the value. Values of sensitive keys are left out
/// by whoever makes the error.
public struct SettingsError: Error, Equatable, Sendable, CustomStringConvertible {
  public var origin: SettingOrigin?
  /// The key or flag; nil when the complaint is about the file as such.
  public var key: String?
  public var value: String?
  public var reason: String

  public init(
    _ reason: String, key: String? = nil, value: String? = nil, origin: SettingOrigin? = nil
  ) {
    self.reason = reason
    self.key = key
    self.value = value
    self.origin = origin
  }

  public var description: String {
    var line = origin.map { "\($0): " } ?? ""
    if let key {
      line += key
      if let value { line += "=\(value)" }
      line += ": "
    }
    return line + reason
  }
}
