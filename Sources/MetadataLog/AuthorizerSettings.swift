/// The authorizer of brokers and controllers, from a node's settings.
import Authorization
import Settings

extension StandardAuthorizer {
  /// Nil when `authorizer.class.name` is empty: everybody may do everything.
  public init?(_ settings: BrokerConfig.Authorization) {
    guard settings.isEnabled else { return nil }
    self.init(
      superUsers: settings.superUsers, allowsWithoutEntries: settings.allowsWithoutEntries,
      isAclAuthorizer: settings.isAclAuthorizer)
  }
}
