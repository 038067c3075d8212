/// The broker's metrics, under the names that dashboards read (JMX exporter style).
import KafkaProtocol
import Platform
import Telemetry
import Values

final class BrokerMetrics: Sendable {
  let registry: Metrics
  private let perLoop: [RequestMetrics]

  let messagesIn: Counter
  let bytesIn: Counter
  let bytesOut: Counter
  let replicationBytesIn: Counter
  let replicationBytesOut: Counter
  let produceRequests: Counter
  let fetchRequests: Counter
  let failedProduce: Counter
  let failedFetch: Counter
  let isrShrinks: Counter
  let isrExpands: Counter
  let failedISRUpdates: Counter

  /// - Parameter registry: shared with the controller of the same process, if there is one.
  init(loopCount: Int, registry: Metrics) {
    self.registry = registry
    let shared = RequestInstruments(registry)
    perLoop = (0..<max(1, loopCount)).map { _ in RequestMetrics(shared) }
    let topics = "kafka_server_brokertopicmetrics_"
    messagesIn = registry.counter("\(topics)messagesin_total", help: "Records appended")
    bytesIn = registry.counter("\(topics)bytesin_total", help: "Bytes appended for producers")
    bytesOut = registry.counter("\(topics)bytesout_total", help: "Bytes fetched by consumers")
    replicationBytesIn = registry.counter("\(topics)replicationbytesin_total")
    replicationBytesOut = registry.counter("\(topics)replicationbytesout_total")
    produceRequests = registry.counter("\(topics)totalproducerequests_total")
    fetchRequests = registry.counter("\(topics)totalfetchrequests_total")
    failedProduce = registry.counter("\(topics)failedproducerequests_total")
    failedFetch = registry.counter("\(topics)failedfetchrequests_total")
    let replicas = "kafka_server_replicamanager_"
    isrShrinks = registry.counter("\(replicas)isrshrinks_total")
    isrExpands = registry.counter("\(replicas)isrexpands_total")
    failedISRUpdates = registry.counter("\(replicas)failedisrupdates_total")
  }

  func loop(_ index: Int) -> RequestMetrics { perLoop[min(index, perLoop.count - 1)] }
}

/// Instruments by API number, made when an API is first used: most are never asked for.
final class RequestInstruments: @unchecked Sendable {  // slots are filled under the registry's lock
  private let registry: Metrics
  init(_ registry: Metrics) { self.registry = registry }

  func counter(_ api: ApiKey) -> Counter {
    registry.counter(
      "kafka_network_requestmetrics_requests_total", ["request": api.name],
      help: "Requests received, by API")
  }

  func times(_ api: ApiKey) -> RequestTimes {
    func distribution(_ name: String, _ help: String) -> Distribution {
      registry.distribution(
        "kafka_network_requestmetrics_\(name)", ["request": api.name], help: help, scale: 0.001)
    }
    return RequestTimes(
      total: distribution("totaltimems", "Milliseconds from receiving a request to its answer"),
      local: distribution("localtimems", "Milliseconds spent in handling a request"),
      remote: distribution("remotetimems", "Milliseconds a request waited for others"))
  }
}

/// Where the time of one API's requests goes. There is no queue before the handlers: requests are
/// handled on the loop that reads them.
struct RequestTimes {
  let total: Distribution
  let local: Distribution
  let remote: Distribution
}

/// One loop's view of the request metrics: instruments are looked up once for each API.
final class RequestMetrics: @unchecked Sendable {  // confined to one loop
  private let shared: RequestInstruments
  private var counters = [Counter?](repeating: nil, count: 128)
  private var times = [RequestTimes?](repeating: nil, count: 128)

  init(_ shared: RequestInstruments) { self.shared = shared }

  func begin(_ api: ApiKey) {
    let index = Int(api.rawValue)
    if let counter = counters[index] { return counter.add() }
    let counter = shared.counter(api)
    counters[index] = counter
    counter.add()
  }

  /// - Parameter hasWaited: the answer was given in a later turn than the request came in.
  func finish(_ api: ApiKey, received: Instant, now: Instant, hasWaited: Bool = false) {
    let index = Int(api.rawValue)
    let microseconds = (now.nanoseconds - received.nanoseconds) / 1_000
    let times = times[index] ?? shared.times(api)
    self.times[index] = times
    times.total.record(microseconds)
    (hasWaited ? times.remote : times.local).record(microseconds)
  }
}
