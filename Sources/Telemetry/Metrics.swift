import Synchronization

/// The metrics of a process by name and labels, and their exposition as Prometheus text.
///
/// Names are those dashboards know (`kafka_server_replicamanager_partitioncount`); a `Counter`'s
/// name ends in `_total`. Asking again for the same name and labels gives the same instrument, so
/// nobody has to pass instruments around; the hot path keeps what it was given.
public final class Metrics: Sendable {
  /// Labels in the order they are shown.
  public typealias Labels = KeyValuePairs<String, String>

  /// What is shown of a distribution.
  public static let quantiles: [Double] = [0.5, 0.75, 0.95, 0.98, 0.99, 0.999]

  enum Instrument {
    case counter(Counter)
    case gauge(Gauge)
    case read(@Sendable () -> Double)
    case distribution(Distribution, scale: Double)

    var type: String {
      switch self {
      case .counter: "counter"
      case .gauge, .read: "gauge"
      case .distribution: "summary"
      }
    }
  }

  struct Family {
    var help: String
    var type: String
    var series: [String: Instrument] = [:]
  }

  /// Several values that are only known together, such as one for each partition.
  public struct Sample: Sendable {
    public var labels: [(String, String)]
    public var value: Double
    public init(_ labels: [(String, String)], _ value: Double) {
      self.labels = labels
      self.value = value
    }
  }

  struct Collector {
    var help: String
    var type: String
    var read: @Sendable () -> [Sample]
  }

  struct State {
    var families: [String: Family] = [:]
    var collectors: [String: Collector] = [:]
  }

  let state = Mutex(State())

  public init() {}

  // MARK: Registering

  /// A counter; its name should end in `_total`.
  public func counter(_ name: String, _ labels: Labels = [:], help: String = "") -> Counter {
    register(name, labels, help, { .counter(Counter()) }) {
      if case .counter(let counter) = $0 { counter } else { nil }
    } ?? Counter()
  }

  public func gauge(_ name: String, _ labels: Labels = [:], help: String = "") -> Gauge {
    register(name, labels, help, { .gauge(Gauge()) }) {
      if case .gauge(let gauge) = $0 { gauge } else { nil }
    } ?? Gauge()
  }

  /// A gauge whose value is asked for when it is shown; replaces one of the same name and labels.
  public func gauge(
    _ name: String, _ labels: Labels = [:], help: String = "",
    read: @escaping @Sendable () -> Double
  ) {
    let key = Self.text(labels.map { ($0.key, $0.value) })
    state.withLock { state in
      state.families[name, default: Family(help: help, type: "gauge")].series[key] = .read(read)
    }
  }

  /// Gauges with labels that come and go, such as those of partitions, all read at once.
  /// - Parameter read: gives the values; called whenever metrics are shown.
  public func collect(
    _ name: String, help: String = "", type: String = "gauge",
    read: @escaping @Sendable () -> [Sample]
  ) {
    state.withLock { $0.collectors[name] = Collector(help: help, type: type, read: read) }
  }

  /// A distribution, shown with quantiles, `_count` and `_sum`.
  /// - Parameter scale: what recorded values are multiplied with when shown: 0.001 for microseconds
  ///   shown as milliseconds.
  public func distribution(
    _ name: String, _ labels: Labels = [:], help: String = "", scale: Double = 1
  ) -> Distribution {
    register(name, labels, help, { .distribution(Distribution(), scale: scale) }) {
      if case .distribution(let distribution, _) = $0 { distribution } else { nil }
    } ?? Distribution()
  }

  /// Forgets one series, as when a partition leaves.
  public func remove(_ name: String, _ labels: Labels = [:]) {
    let key = Self.text(labels.map { ($0.key, $0.value) })
    state.withLock { state in
      state.families[name]?.series[key] = nil
      if state.families[name]?.series.isEmpty == true { state.families[name] = nil }
    }
  }

  /// Nil when the name is taken by an instrument of another kind; the caller's is then not shown.
  private func register<T>(
    _ name: String, _ labels: Labels, _ help: String, _ make: () -> Instrument,
    _ cast: (Instrument) -> T?
  ) -> T? {
    let key = Self.text(labels.map { ($0.key, $0.value) })
    let instrument: Instrument = state.withLock { state in
      if let existing = state.families[name]?.series[key] { return existing }
      let made = make()
      state.families[name, default: Family(help: help, type: made.type)].series[key] = made
      return made
    }
    return cast(instrument)
  }
}
