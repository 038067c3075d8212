/// ListTransactions, key 66, versions 0–1: the transactional ids that this broker coordinates
/// (KIP-664).
///
/// Filters by state and producer id; states that nobody knows are named in the answer, and filter
/// everything if there are no others. While a partition is loading the list would lack ids:
/// COORDINATOR_LOAD_IN_PROGRESS.
/// - Version 1: only transactions that have been running for longer than a duration (KIP-994).
import KafkaMessages
import KafkaProtocol
import Transactions
import Values

enum ListTransactionsHandler: ApiHandler {
  /// The ids of one shard; nil while it is loading.
  private typealias Part = [TransactionListing]?

  static func handle(_ request: ListTransactionsRequest, _ context: RequestContext) {
    guard let coordinator = context.services.transactions else {
      return context.reply(
        ListTransactionsResponse { $0.errorCode = ErrorCode.coordinatorNotAvailable.rawValue })
    }
    let filter = filter(request)
    let unknown = request.stateFilters.filter { TransactionState(name: $0) == nil }
    let pending = context.park()
    let hosts = coordinator.all
    let gathering = Gathering<Part>(hosts.count) { parts in
      pending.send(response(parts, unknown))
    }
    for (place, hosted) in hosts.enumerated() {
      hosted.onLoop { host in
        switch host.refusal {
        case .coordinatorLoadInProgress?: gathering.fill(place, nil)
        case nil: gathering.fill(place, host.shard.list(filter, at: host.loop.wallNow))
        default: gathering.fill(place, [])
        }
      }
    }
  }

  private static func filter(_ request: ListTransactionsRequest) -> TransactionFilter {
    var filter = TransactionFilter()
    filter.states = Set(request.stateFilters.compactMap { TransactionState(name: $0) })
    filter.isImpossible = filter.states.isEmpty && !request.stateFilters.isEmpty
    filter.producerIDs = Set(request.producerIDFilters.map { ProducerID($0) })
    filter.durationMs = request.durationFilter
    return filter
  }

  private static func response(_ parts: [Part], _ unknown: [String]) -> ListTransactionsResponse {
    ListTransactionsResponse {
      if parts.contains(where: { $0 == nil }) {
        $0.errorCode = ErrorCode.coordinatorLoadInProgress.rawValue
        return
      }
      $0.unknownStateFilters = unknown
      $0.transactionStates = parts.flatMap { $0 ?? [] }.map { listing in
        .init {
          $0.transactionalID = listing.id
          $0.producerID = listing.producerID.rawValue
          $0.transactionState = listing.state
        }
      }
    }
  }
}
