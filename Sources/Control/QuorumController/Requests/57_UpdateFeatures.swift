// UpdateFeatures (57, versions 0–1): the finalized levels of the cluster's features (KIP-584,
// KIP-778).
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// `upgradeType` of a FeatureUpdateKey.
private enum UpgradeType: Int8 {
  case upgrade = 1
  case safeDowngrade = 2
  case unsafeDowngrade = 3
}

extension UpdateFeaturesRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> UpdateFeaturesResponse {
    .init {
      $0.errorCode = refusal.code.rawValue
      $0.errorMessage = refusal.message
    }
  }

  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<UpdateFeaturesResponse> {
    var records: [MetadataRecord] = []
    var response = UpdateFeaturesResponse()
    response.errorMessage = nil
    let duplicates = featureUpdates.map(\.feature).duplicates
    var answered: Set<String> = []
    for update in featureUpdates.sorted(by: { $0.feature < $1.feature })
    where answered.insert(update.feature).inserted {
      var result = UpdateFeaturesResponse.UpdatableFeatureResult()
      result.feature = update.feature
      result.errorMessage = nil
      do throws(Refusal) {
        if duplicates.contains(update.feature) {
          throw Refusal(.invalidRequest, "Duplicate feature \(update.feature).")
        }
        let change = try Self.change(update, context.version, machine)
        for case .featureLevel(let record) in change {
          machine.log("Setting feature \(record.name) to level \(record.featureLevel).")
        }
        records += change
      } catch {
        machine.log(error.message ?? error.code.name)
        result.errorCode = error.code.rawValue
        result.errorMessage = error.message
      }
      response.results.append(result)
    }
    return .init(validateOnly ? [] : records, response)
  }

  private static func change(
    _ update: FeatureUpdateKey, _ version: Int16, _ machine: QuorumController
  ) throws(Refusal) -> [MetadataRecord] {
    let name = update.feature
    let level = update.maxVersionLevel
    func refusal(_ reason: String) -> Refusal {
      Refusal(
        .invalidUpdateVersion, "Invalid update version \(level) for feature \(name). \(reason)")
    }
    // Version 0 knows a downgrade only, which loses nothing.
    let stated = version == 0 ? (update.allowDowngrade ? 2 : 1) : update.upgradeType
    guard let type = UpgradeType(rawValue: stated) else {
      throw refusal("The controller does not support the given upgrade type.")
    }
    if level < 0 { throw refusal("A feature version cannot be less than 0.") }
    if let reason = reasonNotSupported(name, level, machine) { throw refusal(reason) }
    if name == FeatureNames.kraftVersion {
      guard level == machine.options.kraftVersion else {
        throw refusal("kraft.version is fixed when the metadata log is formatted.")
      }
      return []
    }
    let current = machine.finalizedFeatures[name] ?? 0
    if level < current, type == .upgrade {
      throw refusal(
        "Can't downgrade the version of this feature without setting the upgrade type to either "
          + "safe or unsafe downgrade.")
    }
    if level > current, type != .upgrade { throw refusal("Can't downgrade to a newer version.") }
    if name == MetadataVersion.featureName {
      try checkMetadataVersion(
        from: MetadataVersion(current), to: MetadataVersion(level), type)
    }
    return [
      .featureLevel(
        .init {
          $0.name = name
          $0.featureLevel = level
        })
    ]
  }

  private static func checkMetadataVersion(
    from current: MetadataVersion, to new: MetadataVersion, _ type: UpgradeType
  ) throws(Refusal) {
    func refusal(_ reason: String) -> Refusal {
      Refusal(
        .invalidUpdateVersion, "Invalid metadata.version \(new.rawValue). \(reason)")
    }
    guard new.isKnown else { throw refusal("Unknown metadata.version.") }
    if new < .minimumBootstrap {
      throw refusal(
        "Unable to set a metadata.version less than \(MetadataVersion.minimumBootstrap.name)")
    }
    guard current.losesMetadata(downTo: new) else { return }
    throw refusal(
      type == .unsafeDowngrade
        ? "Unsafe metadata downgrade is not supported in this version."
        : "Refusing to perform the requested downgrade because it might delete metadata "
          + "information.")
  }

  /// Every node of the cluster must know the level; those that have not registered may not.
  private static func reasonNotSupported(
    _ name: String, _ level: Int16, _ machine: QuorumController
  ) -> String? {
    let options = machine.options
    let image = machine.pending.image
    func check(_ who: String, _ features: [SupportedFeature]) -> String? {
      let range = features.first { $0.name == name }
      let minimum = range?.minimum ?? 0
      let maximum = range?.maximum ?? 0
      if minimum <= level, level <= maximum { return nil }
      return maximum == 0
        ? "\(who) does not support this feature."
        : "\(who) only supports versions \(minimum)-\(maximum)"
    }
    let local = "Local controller \(options.nodeID.rawValue)"
    if let reason = check(local, options.supportedFeatures) { return reason }
    // Raft keeps kraft.version, and nodes do not state it before the newest registrations.
    if name == FeatureNames.kraftVersion { return nil }
    for broker in image.brokers.all {
      if let reason = check("Broker \(broker.id.rawValue)", broker.features) { return reason }
    }
    guard image.metadataVersion.hasControllerRegistration else { return nil }
    for controller in image.controllers where controller.id != options.nodeID {
      if let reason = check("Controller \(controller.id.rawValue)", controller.features) {
        return reason
      }
    }
    let known = Set(image.controllers.map(\.id)).union([options.nodeID])
    return options.controllerIDs.first { !known.contains($0) }.map {
      "controller \($0.rawValue) has not registered, and may not support this feature"
    }
  }
}
