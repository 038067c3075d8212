import Glibc
import Platform
import Synchronization
import Values

/// The calls that sockets make. None of them waits.
extension SimulatedMachine {
  package func listen(at address: SocketAddress) throws(SystemError) -> Int32 {
    let made: Int32? = state.withLock { state in
      let process = state.callingProcess
      // One port space for all: hosts have one address, and differ by their ports.
      let port = address.port == 0 ? state.network.freePort() : address.port
      if state.network.listeners[port] != nil { return nil }
      let host = state.processes[process].host
      let socket = state.network.add(
        Endpoint(
          process: process, host: host, local: SocketAddress(address.ip, port: port),
          peer: SocketAddress(.any, port: 0), phase: .listening))
      state.network.listeners[port] = socket
      state.network.owners[port] = host
      return socket
    }
    guard let made else { throw SystemError("bind", code: EADDRINUSE, on: address.description) }
    return made
  }

  package func accept(_ listener: Int32) throws(SystemError) -> (Int32, SocketAddress)? {
    state.withLock { state in
      guard let first = state.network.sockets[listener]?.backlog.first else { return nil }
      state.network.sockets[listener]?.backlog.removeFirst()
      return (first, state.network.sockets[first]?.peer ?? SocketAddress(.any, port: 0))
    }
  }

  package func connect(to address: SocketAddress) throws(SystemError) -> Int32 {
    state.withLock { state in
      let process = state.callingProcess
      let host = state.processes[process].host
      let local = SocketAddress.loopback(port: state.network.freePort())
      var endpoint = Endpoint(
        process: process, host: host, local: local, peer: address, phase: .connecting)
      // Whoever listened there last is asked: if it is down, the question waits for it.
      endpoint.otherHost = state.network.owners[address.port] ?? host
      let socket = state.network.add(endpoint)
      state.send(.open(port: address.port, from: local), from: socket)
      return socket
    }
  }

  package func takeError(_ socket: Int32) -> Int32 {
    state.withLock { state in
      let code = state.network.sockets[socket]?.error ?? EBADF
      state.network.sockets[socket]?.error = 0
      return code
    }
  }

  package func address(of socket: Int32, isPeer: Bool) throws(SystemError) -> SocketAddress {
    let found = state.withLock { state in
      state.network.sockets[socket].map { isPeer ? $0.peer : $0.local }
    }
    guard let found else { throw SystemError("getsockname", code: EBADF) }
    return found
  }

  package func read(
    _ socket: Int32, into buffer: UnsafeMutableRawBufferPointer, isPeeking: Bool
  ) -> Socket.Transfer {
    state.withLock { state in
      guard let endpoint = state.network.sockets[socket] else {
        return .failed(SystemError("recv", code: EBADF))
      }
      // As in a kernel, the first call that comes gets the error; the next ones see the end.
      if endpoint.error != 0 {
        state.network.sockets[socket]?.error = 0
        return .failed(SystemError("recv", code: endpoint.error))
      }
      let count = endpoint.inbox.copy(to: buffer)
      if count > 0 {
        if isPeeking { return .bytes(count) }
        state.network.sockets[socket]?.inbox.removeFirst(count)
        // The window opens at the other end when it hears of this, over the link back.
        state.send(.credit(count), from: socket)
        return .bytes(count)
      }
      return endpoint.sawEnd || endpoint.isBroken ? .end : .wouldBlock
    }
  }

  package func write(_ socket: Int32, _ bytes: UnsafeRawBufferPointer) -> Socket.Transfer {
    state.withLock { state in
      guard let endpoint = state.network.sockets[socket] else {
        return .failed(SystemError("send", code: EBADF))
      }
      if endpoint.isBroken || endpoint.hasFinished {
        let code = endpoint.error == 0 ? EPIPE : endpoint.error
        state.network.sockets[socket]?.error = 0
        return .failed(SystemError("send", code: code))
      }
      guard endpoint.phase == .open, endpoint.credit > 0, bytes.count > 0 else {
        return .wouldBlock
      }
      let count = min(bytes.count, endpoint.credit)
      state.network.sockets[socket]?.credit -= count
      // One in eight comes in two pieces, cut anywhere.
      let isSplit = count > 1 && state.random.next() % 8 == 0
      let first = isSplit ? 1 + Int(state.random.next() % UInt64(count - 1)) : count
      state.send(.data(Array(bytes[..<first])), from: socket)
      if isSplit { state.send(.data(Array(bytes[first..<count])), from: socket) }
      return .bytes(count)
    }
  }

  package func finishWriting(_ socket: Int32) {
    state.withLock { state in
      guard state.network.sockets[socket]?.hasFinished == false else { return }
      state.send(.end, from: socket)
      state.network.sockets[socket]?.hasFinished = true
    }
  }

  package func close(_ socket: Int32) { state.withLock { $0.close(socket) } }
}

extension MachineState {
  /// The process whose thread is calling. Sockets belong to processes only.
  fileprivate var callingProcess: Int {
    guard let process = CurrentThread.number.flatMap({ scheduler.threads[$0].process }) else {
      preconditionFailure("a socket is made outside of every simulated process")
    }
    return process
  }
}
