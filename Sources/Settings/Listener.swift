/// How a listener's connections are protected and identified.
public enum SecurityProtocol: String, Sendable {
  case plaintext = "PLAINTEXT"
  case ssl = "SSL"
  case saslPlaintext = "SASL_PLAINTEXT"
  case saslSSL = "SASL_SSL"

  /// The number in UpdateMetadata and in registrations.
  public var code: Int16 {
    switch self {
    case .plaintext: 0
    case .ssl: 1
    case .saslPlaintext: 2
    case .saslSSL: 3
    }
  }

  public init?(code: Int16) {
    switch code {
    case 0: self = .plaintext
    case 1: self = .ssl
    case 2: self = .saslPlaintext
    case 3: self = .saslSSL
    default: return nil
    }
  }
}

/// One entry of `listeners` or `advertised.listeners`: `NAME://host:port`.
public struct Listener: Hashable, Sendable, CustomStringConvertible {
  /// In capitals.
  public var name: String
  public var securityProtocol: SecurityProtocol
  /// Empty means every address for a listener, and the machine's name for an advertised one.
  public var host: String
  /// 0 means any free port, for a listener.
  public var port: UInt16

  public init(name: String, securityProtocol: SecurityProtocol, host: String, port: UInt16) {
    self.name = name
    self.securityProtocol = securityProtocol
    self.host = host
    self.port = port
  }

  public var description: String {
    "\(name)://\(host.contains(":") ? "[\(host)]" : host):\(port)"
  }

  /// Reads `NAME://host:port,…`.
  ///
  /// - Parameter map: security protocols by listener name, in capitals.
  static func parse(
    _ text: String, map: [String: SecurityProtocol], key: String, origin: SettingOrigin?
  ) throws(SettingsError) -> [Listener] {
    var listeners: [Listener] = []
    for entry in text.commaSeparated where !entry.isEmpty {
      func wrong(_ reason: String) -> SettingsError {
        SettingsError("\(reason) in '\(entry)'", key: key, value: text, origin: origin)
      }
      guard let colon = entry.firstRange(of: "://"),
        let last = entry.lastIndex(of: ":"), last >= colon.upperBound
      else { throw wrong("expected NAME://host:port") }
      let name = entry[..<colon.lowerBound].uppercased()
      guard !name.isEmpty else { throw wrong("expected NAME://host:port") }
      var host = String(entry[colon.upperBound..<last])
      if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
      guard let port = UInt16(entry[entry.index(after: last)...]) else {
        throw wrong("the port must be from 0 to 65535")
      }
      guard let securityProtocol = map[name] else {
        throw wrong("listener.security.protocol.map has no entry for \(name)")
      }
      listeners.append(
        Listener(name: name, securityProtocol: securityProtocol, host: host, port: port))
    }
    return listeners
  }

  /// Reads `NAME:PROTOCOL,…`.
  static func parseMap(
    _ text: String, key: String, origin: SettingOrigin?
  ) throws(SettingsError) -> [String: SecurityProtocol] {
    var map: [String: SecurityProtocol] = [:]
    for entry in text.commaSeparated where !entry.isEmpty {
      let parts = entry.split(separator: ":", maxSplits: 1).map(\.trimmed)
      guard parts.count == 2, let value = SecurityProtocol(rawValue: parts[1].uppercased()) else {
        throw SettingsError(
          "expected NAME:PROTOCOL in '\(entry)'", key: key, value: text, origin: origin)
      }
      map[parts[0].uppercased()] = value
    }
    return map
  }
}
