/// The features that this build can work with (KIP-584), as it registers and lists them.
import Metadata

enum SupportedFeatures {
  static let metadataVersion = MetadataVersion.featureName
  static let kraftVersion = "kraft.version"

  static let all = [
    SupportedFeature(name: kraftVersion, minimum: 0, maximum: 1),
    SupportedFeature(
      name: metadataVersion, minimum: 1, maximum: MetadataVersion.latestProduction.rawValue),
  ]

  /// Those that a message of an old version can say: a lowest level of 0 came later.
  static func all(withMinimumOfZero isKnown: Bool) -> [SupportedFeature] {
    isKnown ? all : all.filter { $0.minimum > 0 }
  }
}
