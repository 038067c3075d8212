/// The features that this build can work with (KIP-584), as it registers and lists them.
import Metadata
import Settings

enum SupportedFeatures {
  static let metadataVersion = Metadata.MetadataVersion.featureName
  static let kraftVersion = "kraft.version"

  /// - Parameter isKnown: the message's version can say a lowest level of 0; older ones leave such
  ///   features out.
  static func all(
    _ config: BrokerConfig.Quorum, withMinimumOfZero isKnown: Bool
  ) -> [SupportedFeature] {
    let latest = Metadata.MetadataVersion.latest(isUnstableAllowed: config.supportsUnstableFeatures)
    let all = [
      SupportedFeature(name: kraftVersion, minimum: 0, maximum: 1),
      SupportedFeature(name: metadataVersion, minimum: 1, maximum: latest.rawValue),
    ]
    return isKnown ? all : all.filter { $0.minimum > 0 }
  }
}
