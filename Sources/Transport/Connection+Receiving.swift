import Bytes
import Platform

extension Connection: ReadinessHandler {
  public func ready(_ readiness: Readiness) {
    if state == .connecting {
      finishConnecting()
      return
    }
    if state == .securing { return advanceSecuring() }
    if readiness.contains(.readable), mayRead { receive() }
    guard state != .closed else { return }
    if readiness.contains(.writable) { scheduleFlush() }
    // Reset by the peer while nothing is being read: there is no one to flush to either.
    if readiness.contains(.broken), !readiness.contains(.readable) {
      finish(channel.pendingError(on: peer.description).map { .failed($0) } ?? .peerClosed)
    }
  }

  /// One read for each turn. Epoll is level-triggered: what is left comes next turn, and one busy
  /// peer does not starve the others.
  func receive() {
    defer { if channel.hasInput { scheduleFlush() } }
    let scratch = loop.scratch
    if input.isEmpty {
      guard let count = settle(channel.read(into: scratch)) else { return }
      let bytes = UnsafeMutableRawBufferPointer(rebasing: scratch[..<count])
      let consumed = process(bytes)
      if state != .closed {
        input.append(UnsafeMutableRawBufferPointer(rebasing: bytes[consumed...]))
      }
      return
    }
    receiveBehindHeldInput(scratch)
  }

  /// Part of a frame is here: the rest lands behind it, and what follows in the scratch memory.
  private func receiveBehindHeldInput(_ scratch: UnsafeMutableRawBufferPointer) {
    // Room for the frame's rest, but no more than a few times what has really come.
    input.reserve(min(missingBytes(), max(input.count * 3, 256 * 1024)))
    let room = input.freeCount
    guard let count = settle(channel.read(into: input.free, then: scratch)) else { return }
    input.filled(min(count, room))
    let extra = UnsafeMutableRawBufferPointer(rebasing: scratch[..<max(0, count - room)])
    processInput()
    guard state != .closed, extra.count > 0 else { return }
    if input.isEmpty {
      let consumed = process(extra)
      if state != .closed {
        input.append(UnsafeMutableRawBufferPointer(rebasing: extra[consumed...]))
      }
    } else {
      input.append(extra)
      if !hasHeldInput { processInput() }
    }
  }

  var isStream: Bool {
    if case .stream = handler { return true }
    return false
  }

  /// Bytes that the frame at the front of the input still lacks; some for a stream.
  private func missingBytes() -> Int {
    guard case .frames = handler, input.count >= 4 else { return 4096 }
    let length = Int32(bigEndian: input.bytes.loadUnaligned(as: Int32.self))
    return max(4096, Int(length) + 4 - input.count)
  }

  /// The number of bytes a read has brought; nil when there is nothing to process.
  private func settle(_ transfer: Socket.Transfer) -> Int? {
    switch transfer {
    case .bytes(let count):
      receivedBytes += Int64(count)
      lastReceived = loop.now
      lastMoved = loop.now
      return count
    case .wouldBlock: return nil
    case .end:
      sawEnd = true
      // What has been answered still leaves: a peer may close its side after the last request.
      if unsentBytes > 0 || (isStream && parkedReplies > 0) {
        state = .closing
        linger(.peerClosed)
      } else {
        finish(.peerClosed)
      }
      return nil
    case .failed(let error):
      finish(.failed(error))
      return nil
    }
  }

  // MARK: Cutting

  /// Goes on with input that was held back by a pause.
  func processHeld() {
    hasHeldInput = false
    processInput()
  }

  private func processInput() {
    let consumed = process(input.bytes)
    if state == .closed { input.release() } else { input.consume(consumed) }
  }

  /// Hands out all that is complete; returns how many bytes that was. Stops when reading is paused.
  private func process(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
    isReceiving = true
    defer { isReceiving = false }
    var position = 0
    while position < bytes.count {
      // Many small requests in one read can ask for more than the peer will ever take.
      if !isPaused, unsentBytes >= limits.highWaterBytes { pause() }
      if !mayRead {
        hasHeldInput = state == .open
        break
      }
      let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[position...])
      do throws(CloseReason) {
        let consumed =
          switch handler {
          case .frames(let handler): try cutFrame(rest, handler)
          case .stream(let handler): try cutStream(rest, handler)
          }
        position += consumed
        if consumed == 0, !handlerChanged { break }
        handlerChanged = false
      } catch {
        close(error)
        break
      }
    }
    return position
  }

  private func cutFrame(
    _ bytes: UnsafeMutableRawBufferPointer, _ handler: any FrameHandler
  ) throws(CloseReason) -> Int {
    guard bytes.count >= 4 else { return 0 }
    let length = Int(Int32(bigEndian: bytes.loadUnaligned(as: Int32.self)))
    // Decided by the length alone, before any of the frame is waited for.
    guard length >= 0, length <= limits.maxFrameBytes else {
      throw .frameTooLarge(Int64(length))
    }
    guard bytes.count - 4 >= length else { return 0 }
    receivedFrames += 1
    try handler.received(
      frame: UnsafeMutableRawBufferPointer(rebasing: bytes[4..<(4 + length)]), on: self)
    return 4 + length
  }

  private func cutStream(
    _ bytes: UnsafeMutableRawBufferPointer, _ handler: any StreamHandler
  ) throws(CloseReason) -> Int {
    let consumed = try handler.received(bytes: bytes, on: self)
    guard consumed >= 0, consumed <= bytes.count else {
      throw .local("handler consumed more than there was")
    }
    // A handler that never consumes would make this side buffer without end.
    if bytes.count - consumed > limits.maxFrameBytes {
      throw .frameTooLarge(Int64(bytes.count - consumed))
    }
    return consumed
  }
}
