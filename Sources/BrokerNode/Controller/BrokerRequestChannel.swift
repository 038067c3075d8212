/// The controller's line to one broker: requests in order, one at a time, each repeated until it is
/// answered or the broker's life that it was meant for is over.
import Control
import KafkaMessages
import KafkaProtocol
import KafkaTransport
import Metadata
import Platform
import Telemetry
import Transport
import Values

/// Confined to its loop.
final class BrokerRequestChannel {
  private enum Item {
    case request(BrokerRequest)
    /// Called when everything before it has been answered.
    case barrier(() -> Void)
  }

  let broker: BrokerImage
  private let loop: EventLoop
  private let controllerID: BrokerID
  private let listener: String
  private let timeoutMs: Int64
  private let limits: ConnectionLimits
  private let answered: (BrokerRequest, BrokerAnswer) -> Void
  private let topicName: (Uuid) -> String?
  private var queue: [Item] = []
  /// Whether the first of the queue is under way.
  private var isWaiting = false
  private var isClosed = false
  private var peer: PeerChannel?
  private static let log = Log("controller")
  /// Between two tries, as Kafka's controller waits.
  private static let backoffMs: Int64 = 100

  /// - Parameters:
  ///   - topicName: names topics that responses name by id.
  ///   - answered: called on the loop with each answer.
  init(
    to broker: BrokerImage, listener: String, controllerID: BrokerID, timeoutMs: Int64,
    limits: ConnectionLimits, on loop: EventLoop, topicName: @escaping (Uuid) -> String?,
    answered: @escaping (BrokerRequest, BrokerAnswer) -> Void
  ) {
    self.broker = broker
    self.listener = listener
    self.controllerID = controllerID
    self.timeoutMs = timeoutMs
    self.limits = limits
    self.loop = loop
    self.topicName = topicName
    self.answered = answered
  }

  /// Requests that wait, for the metric of that name.
  var depth: Int { queue.count }

  func send(_ request: BrokerRequest) {
    queue.append(.request(request))
    sendNext()
  }

  func afterAll(_ body: @escaping () -> Void) {
    queue.append(.barrier(body))
    sendNext()
  }

  /// Drops what was not answered; barriers open.
  func close() {
    isClosed = true
    peer?.close()
    peer = nil
    // Who waited for the broker to be told has nothing to wait for any more.
    let dropped = queue
    queue = []
    for case .barrier(let body) in dropped { body() }
  }

  private func sendNext() {
    // One at a time: a later LeaderAndIsr that overtook an earlier one would be undone by it.
    while !isWaiting, !isClosed, let item = queue.first {
      switch item {
      case .barrier(let body):
        queue.removeFirst()
        body()
      case .request(let request):
        isWaiting = true
        transmit(request)
      }
    }
  }

  private func transmit(_ request: BrokerRequest) {
    guard let peer = connection() else { return retry(request, "no listener \(listener)") }
    switch request.body {
    case .leaderAndIsr(let body):
      peer.call(body, version: request.version) { [weak self] result in
        self?.finish(request, result.map { self?.answer($0) ?? .leaderAndIsr(.none, []) })
      }
    case .updateMetadata(let body):
      peer.call(body, version: request.version) { [weak self] result in
        self?.finish(request, result.map { .updateMetadata(ErrorCode($0.errorCode)) })
      }
    case .stopReplica(let body):
      peer.call(body, version: request.version) { [weak self] result in
        self?.finish(request, result.map { Self.answer(to: body, $0) })
      }
    }
  }

  private func connection() -> PeerChannel? {
    if let peer { return peer }
    guard let endpoint = broker.endpoint(listener) else { return nil }
    let made = PeerChannel(
      to: endpoint.host, port: endpoint.port, on: loop, clientID: "\(controllerID.rawValue)",
      name: "broker \(broker.id.rawValue)", timeoutMs: timeoutMs, limits: limits)
    peer = made
    return made
  }

  private func finish(_ request: BrokerRequest, _ result: Result<BrokerAnswer, PeerError>) {
    if isClosed { return }
    switch result {
    case .failure(let error): retry(request, "\(error)")
    case .success(let answer):
      if !queue.isEmpty { queue.removeFirst() }
      isWaiting = false
      answered(request, answer)
      sendNext()
    }
  }

  /// The broker may be starting, or going: that the store will say.
  private func retry(_ request: BrokerRequest, _ why: String) {
    Self.log.debug(
      "request not delivered", ["to": broker.id.rawValue, "api": request.apiKey.name, "why": why])
    loop.schedule(afterMs: Self.backoffMs) { [weak self] in
      guard let self, !isClosed else { return }
      transmit(request)
    }
  }

  // MARK: Answers

  private func answer(_ response: LeaderAndIsrResponse) -> BrokerAnswer {
    var errors: [(at: TopicPartition, error: ErrorCode)] = []
    for topic in response.topics {
      guard let name = topicName(topic.topicID) else { continue }
      for partition in topic.partitionErrors {
        errors.append(
          (TopicPartition(name, partition.partitionIndex), ErrorCode(partition.errorCode)))
      }
    }
    for partition in response.partitionErrors {
      errors.append(
        (
          TopicPartition(partition.topicName, partition.partitionIndex),
          ErrorCode(partition.errorCode)
        ))
    }
    return .leaderAndIsr(ErrorCode(response.errorCode), errors)
  }

  /// Every replica that was to be deleted is accounted for, mentioned or not.
  private static func answer(
    to request: StopReplicaRequest, _ response: StopReplicaResponse
  ) -> BrokerAnswer {
    let error = ErrorCode(response.errorCode)
    var errors: [TopicPartition: ErrorCode] = [:]
    for partition in response.partitionErrors {
      errors[TopicPartition(partition.topicName, partition.partitionIndex)] = ErrorCode(
        partition.errorCode)
    }
    var asked: [TopicPartition] = []
    for topic in request.topicStates {
      for state in topic.partitionStates where state.deletePartition {
        asked.append(TopicPartition(topic.topicName, state.partitionIndex))
      }
    }
    if request.deletePartitions {
      for topic in request.topics {
        asked += topic.partitionIndexes.map { TopicPartition(topic.name, $0) }
      }
      asked += request.ungroupedPartitions.map { TopicPartition($0.topicName, $0.partitionIndex) }
    }
    return .stopReplica(error, deleted: asked.map { ($0, errors[$0] ?? error) })
  }
}
