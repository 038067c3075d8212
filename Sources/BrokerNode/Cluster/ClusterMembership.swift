/// How a broker takes part in its cluster: where it learns who the cluster is, makes itself known,
/// and how it leaves. Over ZooKeeper in `Controller/`, over a controller quorum in `KRaft/`.
import LogStorage
import Metadata
import MetadataLog
import Platform
import Settings
import Telemetry
import Values

/// Methods that throw block, and are called on the starting thread only, in the order given here.
protocol ClusterMembership: AnyObject, Sendable {
  /// What the broker serves in this kind of cluster.
  var apis: ApiTable { get }

  /// Finds out which cluster this is and who the broker is in it, and that the log directories
  /// belong to both.
  func identify(_ logs: LogManager) throws(StartupError) -> ClusterIdentity

  /// Requests to the controller; they are sent from `loop`.
  func controllerChannel(_ services: BrokerServices, on loop: EventLoop) -> any ControllerChannel

  /// Makes the broker known and waits until it may serve. On return the broker epoch is in
  /// `services.brokerEpoch` and stored configurations have been applied. Registrations that expire
  /// later are renewed without anybody's help.
  func join(_ services: BrokerServices, endpoints: [Endpoint]) throws(StartupError)

  /// Makes a `join` that waits for others throw; from any thread.
  func abandonStart()

  /// The line that says that the broker serves; scripts wait for it.
  func readyLine(_ id: BrokerID) -> String

  /// Reads topics' configurations again before replicas are made by them; `completion` comes on
  /// any thread.
  func loadTopicConfigs(_ topics: [String], _ completion: @escaping @Sendable () -> Void)

  /// Whether the cluster has had a controller of this epoch, asked of the store; `completion` comes
  /// on any thread.
  func confirmController(
    _ epoch: ControllerEpoch, _ completion: @escaping @Sendable (Bool) -> Void)

  /// Tells the controller that a log directory of this broker has failed.
  func reportFailedDirectory()

  /// Controlled shutdown: asks the controller to lead this broker's partitions elsewhere, and
  /// blocks until it has, or has not for as long as the configuration allows.
  func handOver()

  /// A connection to another broker was made at this address: where nobody listens later, somebody
  /// once did. From any thread.
  func noteReached(host: String, port: UInt16)

  /// What the mark of a clean shutdown says of this broker (KIP-966); -1 in ZooKeeper mode.
  var epochOfCleanShutdown: BrokerEpoch { get }

  /// Gives up the registration and, if this is the controller, the office.
  func leave()
}

extension ClusterMembership {
  func noteReached(host: String, port: UInt16) {}

  /// Where the store does not count controllers.
  func confirmController(
    _ epoch: ControllerEpoch, _ completion: @escaping @Sendable (Bool) -> Void
  ) { completion(true) }

  /// Where every wait has a limit of its own there is nothing to do.
  func abandonStart() {}
}

/// Who a broker is, and where.
struct ClusterIdentity: Sendable {
  var clusterID: String
  var brokerID: BrokerID
  var directories = LogDirectoryIDs()
  /// Where the broker's metrics go.
  var metrics = Metrics()
}

/// Why a broker cannot start: one line for a person.
typealias StartupError = MetadataLog.StartupError
