/// Producer ids for idempotent producers, from blocks that the controller hands out (KIP-730).
///
/// A next block is asked for when a tenth of the current one is left, so that a producer rarely
/// waits; ids asked for meanwhile wait for the answer.
import KafkaMessages
import KafkaProtocol
import Platform
import Synchronization
import Telemetry
import Values

final class ProducerIDBlocks: Sendable {
  typealias Completion = @Sendable (Result<ProducerID, ErrorCode>) -> Void

  private struct State {
    var current: Range<Int64> = 0..<0
    var next: Range<Int64>?
    var isAsking = false
    var waiting: [Completion] = []
  }

  private let services: BrokerServices
  private let state = Mutex(State())
  private static let log = Log("producer-ids")
  private static let blockSize: Int64 = 1_000

  init(services: BrokerServices) { self.services = services }

  /// Gives one id, at once or when a block has come.
  func take(_ completion: @escaping Completion) {
    let (id, mustAsk) = state.withLock { state -> (Int64?, Bool) in
      if state.current.isEmpty, let next = state.next {
        state.current = next
        state.next = nil
      }
      var id: Int64?
      if let first = state.current.first {
        id = first
        state.current = (first + 1)..<state.current.upperBound
      } else {
        state.waiting.append(completion)
      }
      let isLow = state.next == nil && state.current.count <= Self.blockSize / 10
      let mustAsk = isLow && !state.isAsking
      if mustAsk { state.isAsking = true }
      return (id, mustAsk)
    }
    if mustAsk { ask() }
    if let id { completion(.success(ProducerID(id))) }
  }

  private func ask() {
    var request = AllocateProducerIdsRequest()
    request.brokerID = services.brokerID.rawValue
    request.brokerEpoch = services.brokerEpoch.rawValue
    services.controllerChannel.call(request, versions: 0...0) { [self] result in
      switch result {
      case .success(let response) where response.errorCode == 0:
        took(response.producerIDStart, Int64(response.producerIDLen))
      case .success(let response):
        failed("\(ErrorCode(response.errorCode))")
      case .failure(let error):
        failed("\(error)")
      }
    }
  }

  private func took(_ start: Int64, _ length: Int64) {
    let served = state.withLock { state -> [(Completion, Int64)] in
      state.isAsking = false
      let block = start..<(start + max(0, length))
      if state.current.isEmpty { state.current = block } else { state.next = block }
      var served: [(Completion, Int64)] = []
      while !state.waiting.isEmpty, let id = state.current.first {
        state.current = (id + 1)..<state.current.upperBound
        served.append((state.waiting.removeFirst(), id))
      }
      return served
    }
    for (completion, id) in served { completion(.success(ProducerID(id))) }
  }

  /// Producers repeat COORDINATOR_LOAD_IN_PROGRESS by themselves.
  private func failed(_ why: String) {
    Self.log.debug("no producer ids: \(why)")
    let waiting = state.withLock { state in
      state.isAsking = false
      defer { state.waiting = [] }
      return state.waiting
    }
    for completion in waiting { completion(.failure(.coordinatorLoadInProgress)) }
  }
}
