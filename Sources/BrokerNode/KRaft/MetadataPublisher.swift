/// Brings a broker in line with the metadata log, image by image.
///
/// Everything happens on the state-change thread, in the order of the log: the image is shown to
/// request handlers first, because replicas and coordinators that begin afterwards ask it; then
/// replicas go and come, and at last settings change.
import KafkaProtocol
import LogStorage
import Metadata
import Synchronization
import Telemetry
import Values

final class MetadataPublisher: Sendable {
  private let services: BrokerServices
  private let published = Atomic<Int64>(-1)
  /// Told where replicas are whose directory the controller does not know (KIP-858).
  private let placements: DirectoryAssignments?
  private static let log = Log("metadata")

  init(services: BrokerServices, placements: DirectoryAssignments? = nil) {
    self.services = services
    self.placements = placements
  }

  /// The offset of the last image that everything here follows; -1 before the first.
  var publishedOffset: Int64 { published.load(ordering: .acquiring) }

  /// Carries out one step of the follower. Before the first, replicas that the cluster no longer
  /// gives to this broker are set aside. Blocks; on the state-change thread.
  func publish(_ step: MetadataFollower.Step) {
    if step.isFirst { setStraysAside(step.image) }
    publish(step.image, step.plan, step.offset)
  }

  /// Takes the next image.
  ///
  /// - Parameter offset: of the last record in the image.
  private func publish(_ image: MetadataImage, _ plan: MetadataPlan, _ offset: Int64) {
    let quotasBefore = services.metadata.image.clientQuotas
    services.metadata.publish(image, offset: offset)
    if image.clientQuotas != quotasBefore {
      services.throttle.take(image.clientQuotas)
      services.connections.take(image.clientQuotas)
    }
    if plan.configs.contains(where: { $0.type == .clientMetrics }) {
      services.telemetry?.take(image.configs)
    }
    for removal in plan.removals { remove(removal) }
    for assignment in plan.leaders + plan.followers { assign(assignment, in: image) }
    services.replicas.tellOfLeaderships()
    services.replicas.metadataChanged(
      MetadataCache.Change(
        deletedTopics: plan.deletedTopics, brokersChanged: plan.brokersChanged), on: nil)
    for resource in plan.configs { services.configChanged(resource) }
    if plan.featuresChanged { logFeatures(image) }
    published.store(offset, ordering: .releasing)
  }

  private func remove(_ removal: MetadataPlan.Removal) {
    // A replica of another topic of that name is not meant.
    if let known = services.partitions[removal.at]?.topicID, !known.isZero,
      known != removal.topicID
    {
      return
    }
    let error = services.replicas.stop(removal.at, leaderEpoch: nil, deletes: true)
    if error != .none {
      Self.log.warn("replica not removed: \(error)", ["partition": removal.at])
    }
  }

  private func assign(_ assignment: ReplicaAssignment, in image: MetadataImage) {
    let error = services.replicas.assign(assignment)
    // STALE_CONTROLLER_EPOCH: an AlterPartition of our own has told us before.
    if error != .none, error != .staleControllerEpoch {
      Self.log.error("replica not taken over: \(error)", ["partition": assignment.at])
    }
    guard let placements, let home = services.replicas.logs.directory(of: assignment.at),
      let id = services.directories.id(of: home), id != assignment.directory
    else { return }
    placements.note(
      assignment.at.partition, of: assignment.topicID, in: id)
  }

  private func logFeatures(_ image: MetadataImage) {
    let levels = image.features.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    Self.log.info("finalized features", ["levels": levels.joined(separator: ",")])
  }

  // MARK: Strays

  /// Renames the logs of replicas that are not this broker's any more, so that an operator may look
  /// at them before they are removed. Told apart by topic id: a name may have been given again.
  private func setStraysAside(_ image: MetadataImage) {
    let logs = services.replicas.logs
    for log in logs.logs {
      let at = log.topicPartition
      do throws(LogError) {
        let id = try logs.topicID(at)
        if Self.isStray(at, topicID: id, in: image, broker: services.brokerID) {
          let path = try logs.setAside(at)
          Self.log.warn("not a replica of this broker any more; set aside", ["log": path])
        }
      } catch {
        Self.log.error("stray log not set aside: \(error)", ["partition": at])
      }
    }
  }

  /// Whether a log on disk is none of the broker's replicas. A log without a topic id was never
  /// written to: the id is on the disk before the first record.
  static func isStray(
    _ at: TopicPartition, topicID: Uuid?, in image: MetadataImage, broker: BrokerID
  ) -> Bool {
    guard let topicID, let topic = image.topics[topicID], topic.name == at.topic,
      let partition = topic.partitions[at.partition]
    else { return true }
    return !partition.replicas.contains(broker)
  }
}
