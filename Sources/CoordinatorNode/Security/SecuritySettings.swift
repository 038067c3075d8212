// Keys of `zoo.cfg` about who is let in: TLS for clients, TLS between servers, SASL.

import Platform
import Settings

/// How clients and servers prove who they are. Names are ZooKeeper's.
public struct SecuritySettings: Sendable {
  /// `secureClientPort`; nil: none.
  public var securePort: UInt16?
  /// `secureClientPortAddress`
  public var secureHost = "127.0.0.1"
  /// Whether clients without TLS are served at all: `clientPort` may be left out.
  public var servesPlainClients = true
  /// TLS of the secure port; of the plain one, too, where `client.portUnification` says so.
  public var clientTLS: TLSContext?
  public var unifiesClientPort = false
  /// `netty.server.outstandingHandshake.limit`
  public var maxHandshakes = Int.max
  public var quorumTLS = QuorumTLS()
  var sasl = SASLSettings()

  public init() {}

  /// - Parameter hosts: Of the members of the ensemble: what their certificates may be for.
  /// - Throws: `SettingsError` naming the key that a store or a name came from.
  init(_ settings: CoordinatorSettings, hosts: [String]) throws(SettingsError) {
    securePort = settings.port("secureClientPort")
    secureHost = settings.text("secureClientPortAddress") ?? "127.0.0.1"
    unifiesClientPort = settings.bool("client.portUnification")
    servesPlainClients = securePort == nil || settings.isGiven("clientPort")
    let limit = settings.int("netty.server.outstandingHandshake.limit")
    maxHandshakes = limit < 0 ? .max : limit
    if securePort != nil || unifiesClientPort {
      clientTLS = try TLSReader(settings, "ssl.").context(.server)
    }
    quorumTLS = try QuorumTLS(settings, hosts: hosts)
    sasl = try SASLSettings(settings)
  }
}

/// TLS on the election and quorum ports.
public struct QuorumTLS: Sendable {
  /// For connections that are taken; nil: plain ones only.
  public var server: TLSContext?
  /// Whether plain connections are taken, too: while an ensemble is changed to TLS.
  public var isOptional = false
  /// For connections that are made; nil: they are plain.
  public var client: TLSContext?

  public init() {}

  init(_ settings: CoordinatorSettings, hosts: [String]) throws(SettingsError) {
    let connectsSecurely = settings.bool("sslQuorum")
    isOptional = settings.bool("portUnification")
    guard connectsSecurely || isOptional else { return }
    let reader = TLSReader(settings, "ssl.quorum.")
    server = try reader.context(.server, clientNames: hosts)
    if connectsSecurely { client = try reader.context(.client) }
  }
}

/// Reads the keys of one prefix.
private struct TLSReader {
  private let settings: CoordinatorSettings
  private let prefix: String

  init(_ settings: CoordinatorSettings, _ prefix: String) {
    self.settings = settings
    self.prefix = prefix
  }

  func context(
    _ role: TLSContext.Role, clientNames: [String]? = nil
  ) throws(SettingsError) -> TLSContext {
    var tls = TLSSettings()
    tls.keyStore = try store("keyStore")
    tls.trustStore = try store("trustStore")
    tls.protocols = settings.list(prefix + "enabledProtocols")
    if tls.protocols.isEmpty, let name = settings.text(prefix + "protocol"), name != "TLS" {
      tls.protocols = [name]
    }
    tls.cipherSuites = settings.list(prefix + "ciphersuites")
    tls.verifiesServerName = settings.bool(prefix + "hostnameVerification")
    if tls.verifiesServerName, settings.bool(prefix + "clientHostnameVerification") {
      tls.clientNames = clientNames
    }
    tls.handshakeTimeoutMs = settings.int64(prefix + "handshakeDetectionTimeoutMillis")
    // Unless told otherwise ZooKeeper wants to know its clients.
    let wish = settings.text(prefix + "clientAuth")?.lowercased() ?? "need"
    tls.clientAuthentication = TLSSettings.ClientAuthentication(rawValue: wish) ?? .need
    do { return try TLSContext(tls, as: role) } catch {
      throw settings.error("\(error)", prefix + key(concerning: error, tls))
    }
  }

  private func store(_ name: String) throws(SettingsError) -> TLSSettings.Store? {
    guard let path = settings.text(prefix + name + ".location") else { return nil }
    var password = settings.text(prefix + name + ".password")
    if let file = settings.text(prefix + name + ".passwordPath") {
      let key = prefix + name + ".passwordPath"
      let bytes: [UInt8]?
      do { bytes = try FileSystem.readFile(file) } catch { throw settings.error("\(error)", key) }
      guard let bytes else { throw settings.error("no such file", key) }
      password = String(decoding: bytes.prefix { $0 != 10 && $0 != 13 }, as: UTF8.self)
    }
    return .file(
      path: path, type: settings.text(prefix + name + ".type") ?? "", password: password)
  }

  /// The key whose value is at fault, as far as the complaint tells.
  private func key(concerning error: TLSError, _ tls: TLSSettings) -> String {
    let text = error.description
    if case .file(let path, _, _) = tls.trustStore, text.hasPrefix(path + ":") {
      return "trustStore.location"
    }
    if text.contains("protocol") { return "enabledProtocols" }
    if text.contains("cipher suite") { return "ciphersuites" }
    return "keyStore.location"
  }
}
