import Glibc
import Platform
import Values

// How segments travel: sent with a delay, held back by cuts, delivered to sockets.

extension MachineState {
  // MARK: Sending

  /// Sends from a socket to its other end.
  mutating func send(_ content: Segment.Content, from socket: Int32) {
    guard let endpoint = network.sockets[socket] else { return }
    let segment = Segment(
      from: socket, to: endpoint.other, fromHost: endpoint.host, toHost: endpoint.otherHost,
      content: content)
    let arrival = max(endpoint.lastArrival, now.advanced(nanoseconds: delay(of: segment)))
    network.sockets[socket]?.lastArrival = arrival
    events.schedule(.arrival(segment), at: arrival)
  }

  /// Nanoseconds that a segment is under way.
  private mutating func delay(of segment: Segment) -> Int64 {
    let link = network.links[.init(from: segment.fromHost, to: segment.toHost)]
    let isSlow = random.next() % 50 == 0
    let micros = draw(isSlow ? options.slowDelaysMicroseconds : options.delaysMicroseconds)
    // Over loopback there is no network to be slow.
    if segment.fromHost == segment.toHost { return draw(options.turnNanoseconds) }
    return micros * 1_000 + (link?.extraMs ?? 0) * 1_000_000
  }

  /// What a host answers that knows nothing of a connection.
  private mutating func refuse(_ segment: Segment) {
    let answer = Segment(
      from: segment.to, to: segment.from, fromHost: segment.toHost, toHost: segment.fromHost,
      content: .reset)
    events.schedule(.arrival(answer), at: now.advanced(nanoseconds: delay(of: answer)))
  }

  // MARK: Arriving

  mutating func deliver(_ segment: Segment) {
    let direction = Network.Direction(from: segment.fromHost, to: segment.toHost)
    if network.links[direction]?.isCut == true {
      network.links[direction]?.held.append(segment)
      return
    }
    if hosts[segment.toHost].isDown {
      hosts[segment.toHost].held.append(segment)
      return
    }
    trace.add(.arrived, segment, at: now)
    if case .open(let port, let address) = segment.content {
      accept(segment, port: port, from: address)
      return
    }
    guard network.sockets[segment.to] != nil else {
      switch segment.content {
      case .data, .opened: refuse(segment)
      case .open, .credit, .end, .reset: break
      }
      return
    }
    receive(segment)
    touch(segment.to)
  }

  private mutating func receive(_ segment: Segment) {
    let socket = segment.to
    switch segment.content {
    case .open: break
    case .opened(let other):
      network.sockets[socket]?.other = other
      network.sockets[socket]?.phase = .open
    case .data(let bytes): network.sockets[socket]?.inbox.append(bytes)
    case .credit(let count): network.sockets[socket]?.credit += count
    case .end: network.sockets[socket]?.sawEnd = true
    case .reset:
      let wasOpen = network.sockets[socket]?.phase == .open
      network.sockets[socket]?.error = wasOpen ? ECONNRESET : ECONNREFUSED
      network.sockets[socket]?.isBroken = true
      network.sockets[socket]?.inbox = ByteQueue()
    }
  }

  /// The host's side of a connection: made before the process accepts it.
  private mutating func accept(_ segment: Segment, port: UInt16, from address: SocketAddress) {
    guard let listener = network.listeners[port], let listening = network.sockets[listener],
      listening.host == segment.toHost
    else {
      refuse(segment)
      return
    }
    var endpoint = Endpoint(
      process: listening.process, host: listening.host, local: .loopback(port: port),
      peer: address, phase: .open)
    endpoint.other = segment.from
    endpoint.otherHost = segment.fromHost
    let socket = network.add(endpoint)
    network.sockets[listener]?.backlog.append(socket)
    send(.opened(socket), from: socket)
    touch(listener)
  }

  // MARK: Closing

  /// Closes a socket as a kernel does when its last descriptor goes.
  mutating func close(_ socket: Int32) {
    guard let endpoint = network.sockets[socket] else { return }
    if let poller = endpoint.poller { unwatch(socket, of: poller) }
    switch endpoint.phase {
    case .listening: for waiting in endpoint.backlog { reset(waiting) }
    case .connecting: break
    case .open:
      if endpoint.isBroken { break }
      if !endpoint.inbox.isEmpty {
        send(.reset, from: socket)
      } else if !endpoint.hasFinished {
        send(.end, from: socket)
      }
    }
    network.forget(socket)
  }

  private mutating func reset(_ socket: Int32) {
    send(.reset, from: socket)
    network.forget(socket)
  }

  // MARK: Links

  mutating func changeLink(_ from: String, _ to: String, _ change: (inout Link) -> Void) {
    let direction = Network.Direction(from: host(named: from), to: host(named: to))
    change(&network.links[direction, default: Link()])
    trace.add(.linkChanged, direction.from, direction.to, at: now)
  }

  mutating func heal(_ from: String, _ to: String) {
    heal(Network.Direction(from: host(named: from), to: host(named: to)))
  }

  mutating func healAll() {
    for direction in network.links.keys.sorted() { heal(direction) }
  }

  private mutating func heal(_ direction: Network.Direction) {
    guard let link = network.links.removeValue(forKey: direction) else { return }
    trace.add(.linkHealed, direction.from, direction.to, at: now)
    // At once, so that nothing that was sent later overtakes it.
    for segment in link.held { deliver(segment) }
  }
}

extension Instant {
  func advanced(nanoseconds: Int64) -> Instant {
    Instant(nanoseconds: self.nanoseconds + nanoseconds)
  }
}
