// Brokers as every node knows them: endpoints, racks, liveness.
import KafkaRecords
import Values

/// The `security.protocol` of a listener, by its number on the wire.
public enum SecurityProtocol: Int16, Sendable, CaseIterable {
  case plaintext = 0
  case ssl = 1
  case saslPlaintext = 2
  case saslSSL = 3

  /// As in configuration and znodes: `PLAINTEXT`, `SASL_SSL`, …
  public var name: String {
    switch self {
    case .plaintext: "PLAINTEXT"
    case .ssl: "SSL"
    case .saslPlaintext: "SASL_PLAINTEXT"
    case .saslSSL: "SASL_SSL"
    }
  }

  /// Reads a protocol's name in any case; nil for other text.
  public init?(name: String) {
    guard let match = Self.allCases.first(where: { $0.name == name.uppercased() }) else {
      return nil
    }
    self = match
  }
}

/// Where a broker can be reached for one listener.
public struct Endpoint: Equatable, Sendable {
  /// The listener's name, in capitals: `PLAINTEXT`, `INTERNAL`.
  public var listener: String
  /// A name or an address, as others shall dial it.
  public var host: String
  public var port: UInt16
  public var securityProtocol: SecurityProtocol

  public init(listener: String, host: String, port: UInt16, securityProtocol: SecurityProtocol) {
    self.listener = listener
    self.host = host
    self.port = port
    self.securityProtocol = securityProtocol
  }

  /// `LISTENER://host:port`, as in znodes; an IPv6 address stands in brackets.
  public var connectionString: String {
    host.contains(":") ? "\(listener)://[\(host)]:\(port)" : "\(listener)://\(host):\(port)"
  }
}

/// The range of levels of a feature that a broker or controller can work with.
public struct SupportedFeature: Equatable, Sendable {
  public var name: String
  /// The lowest level it still works with.
  public var minimum: Int16
  /// The highest level it knows.
  public var maximum: Int16

  public init(name: String, minimum: Int16, maximum: Int16) {
    self.name = name
    self.minimum = minimum
    self.maximum = maximum
  }
}

/// One registered broker.
public struct BrokerImage: Equatable, Sendable {
  public var id: BrokerID
  /// The czxid of its znode, or the offset of its registration record.
  public var epoch: BrokerEpoch
  /// Tells one run of the process from the next (KRaft only; zero in ZooKeeper mode).
  public var incarnationID: Uuid
  /// In the order of its registration; one for each listener.
  public var endpoints: [Endpoint]
  /// `broker.rack`: what placement spreads replicas over (KIP-36).
  public var rack: String?
  public var features: [SupportedFeature]
  /// A broker of ZooKeeper mode that waits for a migration's end (KIP-866).
  public var isMigratingZkBroker = false
  /// Registered, but not to be used: no leaders, no new replicas (KRaft only).
  public var isFenced: Bool
  /// It asked to be relieved: it still serves and hears, but gets nothing new (KIP-841).
  public var isInControlledShutdown: Bool
  /// The ids of its log directories that are online (KIP-858).
  public var logDirs: [Uuid]

  public init(
    id: BrokerID, epoch: BrokerEpoch, endpoints: [Endpoint] = [], rack: String? = nil,
    isFenced: Bool = false
  ) {
    self.id = id
    self.epoch = epoch
    self.endpoints = endpoints
    self.rack = rack
    self.isFenced = isFenced
    incarnationID = .zero
    features = []
    isInControlledShutdown = false
    logDirs = []
  }

  /// Reads a registration. A security protocol of an unknown number counts as PLAINTEXT, so that
  /// one odd listener does not hide the broker.
  public init(_ record: RegisterBrokerRecord) {
    self.init(id: BrokerID(record.brokerID), epoch: BrokerEpoch(record.brokerEpoch))
    incarnationID = record.incarnationID
    endpoints = record.endPoints.map {
      Endpoint(
        listener: $0.name, host: $0.host, port: $0.port,
        securityProtocol: SecurityProtocol(rawValue: $0.securityProtocol) ?? .plaintext)
    }
    rack = record.rack
    features = record.features.map {
      SupportedFeature(
        name: $0.name, minimum: $0.minSupportedVersion, maximum: $0.maxSupportedVersion)
    }
    isMigratingZkBroker = record.isMigratingZkBroker
    isFenced = record.fenced
    isInControlledShutdown = record.inControlledShutdown
    logDirs = record.logDirs
  }

  /// The record that registers a broker just like this one.
  public var record: RegisterBrokerRecord {
    var record = RegisterBrokerRecord()
    record.brokerID = id.rawValue
    record.brokerEpoch = epoch.rawValue
    record.incarnationID = incarnationID
    record.endPoints = endpoints.map {
      var endpoint = RegisterBrokerRecord.BrokerEndpoint()
      endpoint.name = $0.listener
      endpoint.host = $0.host
      endpoint.port = $0.port
      endpoint.securityProtocol = $0.securityProtocol.rawValue
      return endpoint
    }
    record.rack = rack
    record.features = features.map {
      var feature = RegisterBrokerRecord.BrokerFeature()
      feature.name = $0.name
      feature.minSupportedVersion = $0.minimum
      feature.maxSupportedVersion = $0.maximum
      return feature
    }
    record.isMigratingZkBroker = isMigratingZkBroker
    record.fenced = isFenced
    record.inControlledShutdown = isInControlledShutdown
    record.logDirs = logDirs
    return record
  }

  /// Where this broker is reached for a listener; nil if it does not have it.
  public func endpoint(_ listener: String) -> Endpoint? {
    endpoints.first { $0.listener == listener }
  }

  /// Registered and not fenced. A broker that is shutting down in order is still alive.
  public var isAlive: Bool { !isFenced }
}

/// All registered brokers, in the order of their ids.
public struct BrokersImage: Equatable, Sendable {
  public private(set) var all: [BrokerImage] = []

  public init() {}

  public var count: Int { all.count }

  /// A binary search: clusters have few brokers, but every decision asks for many of them.
  private func position(_ id: BrokerID) -> (index: Int, found: Bool) {
    var low = 0
    var high = all.count
    while low < high {
      let middle = (low + high) / 2
      if all[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return (low, low < all.count && all[low].id == id)
  }

  /// The broker of that id; nil if it is not registered. Setting nil unregisters.
  public subscript(id: BrokerID) -> BrokerImage? {
    get {
      let (index, found) = position(id)
      return found ? all[index] : nil
    }
    set {
      let (index, found) = position(id)
      switch (newValue, found) {
      case (let broker?, true): all[index] = broker
      case (let broker?, false): all.insert(broker, at: index)
      case (nil, true): all.remove(at: index)
      case (nil, false): break
      }
    }
  }

  /// Whether the broker is registered and not fenced.
  public func isAlive(_ id: BrokerID) -> Bool { self[id]?.isAlive ?? false }

  /// All that are alive, in the order of their ids.
  public var alive: [BrokerImage] { all.filter(\.isAlive) }
}
