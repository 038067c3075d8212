/// How a broker takes part in its cluster: where it learns who the cluster is, makes itself known,
/// and takes its turn as controller. Implemented over ZooKeeper in `Controller/`.
import Metadata
import MetadataLog
import Platform
import Settings
import Values

/// Methods that throw block, and are called on the starting thread only, in the order given here.
protocol ClusterMembership: AnyObject, Sendable {
  /// Reaches the coordination service, creates what must be there, and finds out the cluster's id.
  func connect() throws(StartupError) -> String

  /// A broker id nobody else has, for `broker.id.generation.enable`.
  func generateBrokerID() throws(StartupError) -> BrokerID

  /// Registers the broker and begins to take part in elections. On return the broker epoch is in
  /// `services.brokerEpoch`, `services.controller` is set, and stored configurations have been
  /// applied. Sessions that expire later are renewed without anybody's help.
  func join(_ services: BrokerServices, endpoints: [Endpoint]) throws(StartupError)

  /// Reads topics' configurations again before replicas are made by them; `completion` comes on
  /// any thread.
  func loadTopicConfigs(_ topics: [String], _ completion: @escaping @Sendable () -> Void)

  /// Tells the controller that a log directory of this broker has failed.
  func reportFailedDirectory()

  /// Gives up the registration and, if this is the controller, the office.
  func leave()
}

/// Why a broker cannot start: one line for a person.
typealias StartupError = MetadataLog.StartupError
