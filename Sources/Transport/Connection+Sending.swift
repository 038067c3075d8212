import Bytes
import Platform

/// How far the kernel has taken what is being sent.
struct SendProgress {
  /// Bytes of memory sent.
  var position = 0
  /// Splices sent whole, and bytes sent of the next one.
  var splice = 0
  var inSplice = 0
  /// Bytes of the next one that were found in memory, or brought there.
  var warm = 0
  /// Bytes left, spliced ones included.
  var remaining = 0
}

extension Connection: TurnHook {
  /// The end of a turn that has written, or that may read again.
  public func endOfTurn() {
    isFlushScheduled = false
    guard state != .closed else { return }
    if !isBeingMade { sendOnce() }
    guard state != .closed else { return }
    let owesNothing = queue.parkedCount == 0 || closeReason == .peerClosed && !isStream
    if state == .closing, unsentBytes == 0, owesNothing {
      finish(closeReason ?? .local("closed"))
      return
    }
    updatePressure()
    updateInterest()
    // What TLS has taken off the socket already must be asked for.
    if channel.hasInput, mayRead {
      loop.execute { [self] in if mayRead { receive() } }
    }
  }

  /// Gives the kernel what it takes, until it takes no more or nothing is left.
  func sendOnce() {
    while !isWarming {
      if progress.remaining == 0 {
        guard let next = queue.takeReady() else { return }
        sending = next
        progress = SendProgress()
        progress.remaining = next.count
      }
      guard let buffer = sending else { return }
      switch sendNextPiece(buffer) {
      case .bytes(let count):
        sentBytes += Int64(count)
        lastMoved = loop.now
        progress.remaining -= count
        // Whoever closes the connection may be writing into the buffer still.
        if progress.remaining == 0, !isEnding {
          sending = nil
          queue.pool.give(buffer)
        }
      case .wouldBlock: return
      case .end:
        // The file has become shorter than what was promised: the frame cannot be completed.
        finish(.local("file region ended early"))
        return
      case .failed(let error):
        finish(.failed(error))
        return
      }
    }
  }

  /// One call: a run of memory up to the next splice, or a splice.
  private func sendNextPiece(_ buffer: OutputBuffer) -> Socket.Transfer {
    let splices = buffer.writer.splices
    if progress.splice < splices.count {
      let splice = splices[progress.splice]
      if progress.position == splice.position { return sendSplice(splice) }
      return sendMemory(buffer, upTo: splice.position, more: true)
    }
    return sendMemory(buffer, upTo: buffer.writer.count, more: false)
  }

  private func sendMemory(
    _ buffer: OutputBuffer, upTo end: Int, more: Bool
  ) -> Socket.Transfer {
    let start = progress.position
    let result = buffer.writer.withUnsafeBytes { bytes in
      channel.write(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), more: more)
    }
    if case .bytes(let count) = result { progress.position += count }
    return result
  }

  private func sendSplice(_ splice: Splice) -> Socket.Transfer {
    guard var region = regions[splice.token] else { return .end }
    region.count = splice.count
    if let pool = limits.coldReads {
      // A connection that is being closed waits for nothing; whoever closes it may be in the middle
      // of a frame that lies in the scratch memory.
      if progress.inSplice >= progress.warm, isEnding || !findWarm(region, pool) {
        return .wouldBlock
      }
      region.count = progress.warm
    }
    let result = channel.send(region, skipping: progress.inSplice)
    if case .bytes(let count) = result {
      progress.inSplice += count
      if progress.inSplice == splice.count {
        regions.remove(splice.token)
        progress.splice += 1
        progress.inSplice = 0
        progress.warm = 0
      }
    }
    return result
  }

  /// Looks whether the next part of a region is in memory; if not, has it brought there, and goes
  /// on when it is.
  private func findWarm(_ region: FileRegion, _ pool: IOPool) -> Bool {
    let end = min(region.count, progress.inSplice + 1 << 20)
    let range = region.position + Int64(progress.inSplice)..<region.position + Int64(end)
    if region.file.isCached(range, scratch: loop.scratch) {
      progress.warm = end
      return true
    }
    isWarming = true
    pool.submit({ region.file.bringIntoCache(range) }, then: loop) { [self] in
      isWarming = false
      progress.warm = end
      scheduleFlush()
    }
    return false
  }

  // MARK: Back-pressure

  /// Stops reading above the high-water mark, and reads again below the low one.
  private func updatePressure() {
    let unsent = unsentBytes
    if !isPaused {
      isPaused = unsent >= limits.highWaterBytes || parkedReplies >= limits.maxParkedReplies
    } else if unsent <= limits.lowWaterBytes, parkedReplies <= limits.maxParkedReplies / 2 {
      isPaused = false
    }
    // Frames that came before the pause are still here, and the socket will not speak of them.
    if hasHeldInput, mayRead, !isReceiving { processHeld() }
  }

  func updateInterest() {
    guard let watch, state != .closed, state != .securing else { return }
    var wanted: Readiness = mayRead ? .readable : []
    if progress.remaining > 0 && !isWarming || state == .connecting { wanted.insert(.writable) }
    if wanted == interest { return }
    interest = wanted
    do { try loop.change(watch, to: wanted) } catch { finish(.failed(error)) }
  }
}
