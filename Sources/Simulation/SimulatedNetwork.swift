import Values

// The fault model of the network, for everybody who simulates on it:
//
// - A connection delivers in order, each message after its own random delay; messages of different
//   connections overtake each other freely. Nothing is duplicated or altered, as with TCP.
// - A cut loses everything in flight, in both directions, and both ends hear of it, each in its own
//   time. Closing by one end is a cut too: what it had sent may or may not have arrived.
// - Between partitioned nodes nothing is delivered and nothing can be opened; what is in flight
//   arrives after the partition ends, if the connection has not been given up by then.

/// A simulated network between numbered nodes. Its owner schedules what it returns and calls back.
public struct SimulatedNetwork<Message> {
  public typealias ConnectionID = Int

  /// What the owner has to schedule.
  public enum Event {
    /// Look at the front of one direction's queue.
    case pump(ConnectionID, toAccepter: Bool)
    /// One end learns that its connection is gone.
    case closed(ConnectionID, atAccepter: Bool)
  }

  /// What a pump found.
  public enum Arrival {
    case message(Message)
    case nothing
  }

  public struct Connection {
    public let opener: Int
    public let accepter: Int
    public fileprivate(set) var isOpen = true
    fileprivate var toAccepter: [(due: Instant, message: Message)] = []
    fileprivate var toOpener: [(due: Instant, message: Message)] = []
  }

  /// Delays of messages, milliseconds; mostly short, now and then long.
  public var delaysMs: ClosedRange<Int64> = 1...5
  public var slowDelaysMs: ClosedRange<Int64> = 10...150
  /// Of a hundred messages, so many are slow.
  public var slowPercent: UInt64 = 2

  private var connections: [ConnectionID: Connection] = [:]
  private var opened = 0
  /// Pairs that cannot reach each other, lower node first.
  private var blocked: Set<Pair> = []

  private struct Pair: Hashable {
    let low: Int
    let high: Int
    init(_ a: Int, _ b: Int) {
      low = min(a, b)
      high = max(a, b)
    }
  }

  public init() {}

  public subscript(_ id: ConnectionID) -> Connection? { connections[id] }

  // MARK: Partitions

  public func canReach(_ a: Int, _ b: Int) -> Bool { !blocked.contains(Pair(a, b)) }
  public mutating func block(_ a: Int, _ b: Int) { blocked.insert(Pair(a, b)) }
  public mutating func healAll() { blocked.removeAll() }

  // MARK: Connections

  public mutating func open(from opener: Int, to accepter: Int) -> ConnectionID {
    opened += 1
    connections[opened] = Connection(opener: opener, accepter: accepter)
    return opened
  }

  /// Open connections of a node, in the order in which they were opened.
  public func connections(of node: Int) -> [ConnectionID] {
    connections.keys.sorted().filter {
      guard let connection = connections[$0], connection.isOpen else { return false }
      return connection.opener == node || connection.accepter == node
    }
  }

  public var openConnections: [ConnectionID] {
    connections.keys.sorted().filter { connections[$0]?.isOpen == true }
  }

  /// Sends from one end; what comes back is to be scheduled.
  public mutating func send(
    _ message: Message, over id: ConnectionID, toAccepter: Bool, at now: Instant,
    using random: inout SplitMix
  ) -> (at: Instant, event: Event)? {
    guard var connection = connections.removeValue(forKey: id) else { return nil }
    defer { connections[id] = connection }
    guard connection.isOpen else { return nil }
    let due = now.advanced(milliseconds: delay(using: &random))
    if toAccepter {
      let last = connection.toAccepter.last?.due ?? due
      connection.toAccepter.append((max(due, last), message))
      return (max(due, last), .pump(id, toAccepter: true))
    }
    let last = connection.toOpener.last?.due ?? due
    connection.toOpener.append((max(due, last), message))
    return (max(due, last), .pump(id, toAccepter: false))
  }

  public func delay(using random: inout SplitMix) -> Int64 {
    let range = random.next() % 100 < slowPercent ? slowDelaysMs : delaysMs
    return Int64.random(in: range, using: &random)
  }

  /// Takes the front message of a direction. With a partition in between it stays, and `retryAt`
  /// says when to look again.
  public mutating func pump(
    _ id: ConnectionID, toAccepter: Bool, at now: Instant
  ) -> (arrival: Arrival, retryAt: Instant?) {
    guard var connection = connections.removeValue(forKey: id) else { return (.nothing, nil) }
    defer { connections[id] = connection }
    guard connection.isOpen else { return (.nothing, nil) }
    guard canReach(connection.opener, connection.accepter) else {
      return (.nothing, now.advanced(milliseconds: 50))
    }
    if toAccepter {
      guard !connection.toAccepter.isEmpty else { return (.nothing, nil) }
      return (.message(connection.toAccepter.removeFirst().message), nil)
    }
    guard !connection.toOpener.isEmpty else { return (.nothing, nil) }
    return (.message(connection.toOpener.removeFirst().message), nil)
  }

  /// Cuts a connection; both ends are told, in their own time.
  public mutating func cut(
    _ id: ConnectionID, at now: Instant, using random: inout SplitMix
  ) -> [(at: Instant, event: Event)] {
    guard connections[id]?.isOpen == true else { return [] }
    connections[id]?.isOpen = false
    connections[id]?.toAccepter = []
    connections[id]?.toOpener = []
    return [true, false].map {
      (now.advanced(milliseconds: delay(using: &random)), .closed(id, atAccepter: $0))
    }
  }
}
