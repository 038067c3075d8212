// What a controller that stands still was asked, and what its epoch is good for afterwards.
import KafkaMessages
import KafkaProtocol
import LocalCluster
import Values

/// Requests that wait in the sockets of a controller which stands still. When it goes on it finds
/// them, takes itself for the controller, and decides: every one of its writes must be rejected.
struct ZombieRequests: Sendable {
  private let waiting: [PostedRequest<CreateTopicsRequest>]
  let names: [String]
  var count: Int { waiting.count }
  private static let version: Int16 = 5

  /// - Parameter port: where the controller itself listens.
  init(count: Int, prefix: String, replicationFactor: Int16, port: Int) {
    var waiting: [PostedRequest<CreateTopicsRequest>] = []
    var names: [String] = []
    for number in 0..<count {
      let name = "\(prefix)-zombie-\(number)"
      let request = CreateTopicsRequest {
        $0.topics = [
          .init {
            $0.name = name
            $0.numPartitions = 1
            $0.replicationFactor = replicationFactor
          }
        ]
        $0.timeoutMs = 10_000
      }
      guard let posted = PostedRequest(request, version: Self.version, port: port) else { continue }
      waiting.append(posted)
      names.append(name)
    }
    self.waiting = waiting
    self.names = names
  }

  /// Those answered with NOT_CONTROLLER, by those that were answered at all.
  func answers() -> (rejected: Int, answered: Int) {
    let answers = waiting.compactMap { $0.answer() }
    let rejected = answers.count { answer in
      answer.topics.allSatisfy { $0.errorCode == ErrorCode.notController.rawValue }
    }
    return (rejected, answers.count)
  }

  /// Whether a broker refuses what a controller of this epoch says (ZooKeeper mode). It is told
  /// nothing: the request is empty but for its sender.
  static func isFenced(controller: Int32, epoch: Int32, port: Int) -> Bool? {
    let request = UpdateMetadataRequest {
      $0.controllerID = controller
      $0.controllerEpoch = epoch
    }
    guard let answer = LocalCluster.ask(request, version: 6, port: port) else { return nil }
    return answer.errorCode == ErrorCode.staleControllerEpoch.rawValue
  }
}
