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
  /// `closeSessionTxn.enabled`
  public var namesEphemerals = true
  /// `znode.container.maxPerMinute`
  public var containerMaxPerMinute = 10_000
  /// `znode.container.maxNeverUsedIntervalMs`; 0: containers that were never used stay.
  public var containerMaxNeverUsedMs: Int64 = 0
  /// `DigestAuthenticationProvider.digestAlg`
  public var digestAlgorithm = Digest.sha1
  /// Who proves identities, and how they are compared.
  public var authority = Authority()

  public init() {}

  init(_ settings: CoordinatorSettings) throws(SettingsError) {
    localSessionsEnabled = settings.bool("localSessionsEnabled")
    localSessionsUpgradingEnabled = settings.bool("localSessionsUpgradingEnabled")
    enforcesQuota = settings.bool("enforceQuota")
    namesEphemerals = settings.bool("closeSessionTxn.enabled")
    containerMaxPerMinute = settings.int("znode.container.maxPerMinute")
    containerMaxNeverUsedMs = settings.int64("znode.container.maxNeverUsedIntervalMs")
    authority.skipsACL = settings.bool("skipACL")
    if !settings.bool("DigestAuthenticationProvider.enabled") {
      authority.schemes.remove("digest")
    }
    digestAlgorithm = try Self.algorithm(settings)
    authority.x509SuperUser = settings.text("X509AuthenticationProvider.superUser")
    authority.anySASLUser = settings.text("letAnySaslUserDoX")
    for provider in settings.authProviders {
      authority.schemes.insert(try Self.scheme(provider))
    }
  }

  /// The scheme of a provider that is named by its class.
  private static func scheme(
    _ setting: SettingSources.Setting
  ) throws(SettingsError) -> String {
    switch setting.value.split(separator: ".").last {
    case "SASLAuthenticationProvider": "sasl"
    case "X509AuthenticationProvider": "x509"
    case "DigestAuthenticationProvider": "digest"
    case "IPAuthenticationProvider": "ip"
    default:
      throw SettingsError(
        "this authentication provider is not supported", key: setting.key, value: setting.value,
        origin: setting.origin)
    }
  }

  /// Digests under the names that Java has for them.
  private static func algorithm(_ settings: CoordinatorSettings) throws(SettingsError) -> Digest {
    let key = "DigestAuthenticationProvider.digestAlg"
    switch settings.text(key)?.uppercased() ?? "SHA1" {
    case "SHA1", "SHA-1", "SHA": return .sha1
    case "SHA-256": return .sha256
    case "SHA-512": return .sha512
    default: throw settings.error("must be SHA1, SHA-256 or SHA-512", key)
    }
  }
}

extension CoordinatorConfig {
  /// What the preparer of requests is told.
  var requestRules: RequestRules {
    var rules = RequestRules()
    rules.computesDigests = digestEnabled
    rules.extendedTypes = extendedTypesEnabled
    rules.enforcesQuota = requests.enforcesQuota
    rules.namesEphemerals = requests.namesEphemerals
    rules.authority = requests.authority
    return rules
  }

  /// A lone server has global sessions whatever is configured.
  var opensLocalSessions: Bool { requests.localSessionsEnabled && isEnsemble }
}
