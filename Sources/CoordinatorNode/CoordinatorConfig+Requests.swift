// Keys of `zoo.cfg` about what requests may do: sessions, ACLs, quotas, containers.

import Cryptography
import Settings
import Znodes

/// What the configuration says about requests. Names are ZooKeeper's with their units.
public struct RequestSettings: Sendable {
  /// Sessions begin on their server alone, and cost no transaction.
  public var localSessionsEnabled = false
  /// A local session that creates an ephemeral becomes a global one; otherwise it is refused.
  public var localSessionsUpgradingEnabled = false
  public var enforcesQuota = false
  /// `znode.container.maxPerMinute`
  public var containerMaxPerMinute = 10_000
  /// `znode.container.maxNeverUsedIntervalMs`; 0: containers that were never used stay.
  public var containerMaxNeverUsedMs: Int64 = 0
  /// `DigestAuthenticationProvider.digestAlg`
  public var digestAlgorithm = Digest.sha1
  /// Who proves identities, and how they are compared.
  public var authority = Authority()

  /// Takes a key, without the prefix `zookeeper.`; false if it is none of these.
  mutating func take(
    _ key: String, _ setting: SettingSources.Setting
  ) throws(SettingsError) -> Bool {
    switch key {
    case "localSessionsEnabled": localSessionsEnabled = try flag(setting)
    case "localSessionsUpgradingEnabled": localSessionsUpgradingEnabled = try flag(setting)
    // As Java reads it: everything but `true` is false.
    case "enforceQuota": enforcesQuota = setting.value.lowercased() == "true"
    case "znode.container.maxPerMinute":
      containerMaxPerMinute = Int(try number(setting, 1...Int64(Int32.max)))
    case "znode.container.maxNeverUsedIntervalMs":
      containerMaxNeverUsedMs = try number(setting, 0...Int64.max)
    case "emulate353TTLNodes":
      if try flag(setting) { throw refusal("TTLs of 3.5.3 are not supported", setting) }
    default: return try takeAuthority(key, setting)
    }
    return true
  }

  private mutating func takeAuthority(
    _ key: String, _ setting: SettingSources.Setting
  ) throws(SettingsError) -> Bool {
    switch key {
    case "skipACL": authority.skipsACL = setting.value == "yes"
    case "DigestAuthenticationProvider.enabled":
      if try !flag(setting) { authority.schemes.remove("digest") }
    case "DigestAuthenticationProvider.digestAlg": digestAlgorithm = try algorithm(setting)
    case "X509AuthenticationProvider.superUser": authority.x509SuperUser = setting.value
    case "letAnySaslUserDoX": authority.anySASLUser = setting.value
    case _ where key.hasPrefix("authProvider."): authority.schemes.insert(try scheme(setting))
    default: return false
    }
    return true
  }

  /// The scheme of a provider that is named by its class.
  private func scheme(_ setting: SettingSources.Setting) throws(SettingsError) -> String {
    switch setting.value.split(separator: ".").last {
    case "SASLAuthenticationProvider": "sasl"
    case "X509AuthenticationProvider": "x509"
    case "DigestAuthenticationProvider": "digest"
    case "IPAuthenticationProvider": "ip"
    default: throw refusal("this authentication provider is not supported", setting)
    }
  }

  private func algorithm(_ setting: SettingSources.Setting) throws(SettingsError) -> Digest {
    switch setting.value.uppercased() {
    case "SHA1", "SHA-1", "SHA": .sha1
    case "SHA-256": .sha256
    case "SHA-512": .sha512
    default: throw refusal("must be SHA1, SHA-256 or SHA-512", setting)
    }
  }

  private func flag(_ setting: SettingSources.Setting) throws(SettingsError) -> Bool {
    switch setting.value.lowercased() {
    case "true": true
    case "false": false
    default: throw refusal("must be true or false", setting)
    }
  }

  private func number(
    _ setting: SettingSources.Setting, _ range: ClosedRange<Int64>
  ) throws(SettingsError) -> Int64 {
    guard let number = Int64(setting.value), range.contains(number) else {
      throw refusal(
        "must be a whole number from \(range.lowerBound) to \(range.upperBound)", setting)
    }
    return number
  }

  private func refusal(_ reason: String, _ setting: SettingSources.Setting) -> SettingsError {
    SettingsError(reason, key: setting.key, value: setting.value, origin: setting.origin)
  }
}

extension CoordinatorConfig {
  /// What the preparer of requests is told.
  var requestRules: RequestRules {
    var rules = RequestRules()
    rules.computesDigests = digestEnabled
    rules.extendedTypes = extendedTypesEnabled
    rules.enforcesQuota = requests.enforcesQuota
    rules.authority = requests.authority
    return rules
  }

  /// A lone server has global sessions whatever is configured.
  var opensLocalSessions: Bool { requests.localSessionsEnabled && isEnsemble }
}
