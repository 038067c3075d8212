// One direction of one proxied connection.
import Bytes
import Platform
import Transport
import Values

/// Bytes on their way: each chunk leaves when its time has come and the link is not cut, in order.
final class Flow {
  private struct Chunk {
    var readyAt: Instant
    var bytes: [UInt8]
  }

  let link: Link
  var source: Connection?
  var sink: Connection?
  private unowned let owner: ProxyPipes
  private var chunks: [Chunk] = []
  private var waitingBytes = 0
  private var isHolding = false
  private var hasEnded = false
  private var isSinkGone = false
  private var isTimerSet = false
  /// When the link is free again, with a limited rate.
  private var freeAt = Instant.zero
  /// Above this the sender is not read from, as a full window would stop it.
  private static let windowBytes = 1 << 20

  init(_ link: Link, _ owner: ProxyPipes) {
    self.link = link
    self.owner = owner
  }

  var isCut: Bool { owner.rules.rule(link).isCut }

  /// Nothing will move here any more.
  var isDone: Bool { isSinkGone || (hasEnded && chunks.isEmpty && sink?.isOpen != true) }

  // MARK: In

  func take(_ bytes: UnsafeMutableRawBufferPointer) {
    if isSinkGone { return }
    let rule = owner.rules.rule(link)
    if chance(rule.resetProbability) {
      // Not from within the connection's own call.
      owner.loop.schedule(afterMs: 0) { [weak source] in
        source?.close(.local("reset by the link's rule"))
      }
      return
    }
    chunks.append(Chunk(readyAt: arrival(of: bytes.count, rule), bytes: Array(bytes)))
    waitingBytes += bytes.count
    pump()
  }

  private func chance(_ probability: Double) -> Bool {
    probability > 0 && Double.random(in: 0..<1, using: &owner.random) < probability
  }

  private func arrival(of count: Int, _ rule: LinkRule) -> Instant {
    let now = owner.loop.now
    var at = now.advanced(milliseconds: rule.delayMs)
    if rule.jitterMs > 0 {
      at = at.advanced(milliseconds: Int64.random(in: 0...rule.jitterMs, using: &owner.random))
    }
    if chance(rule.stallProbability) { at = at.advanced(milliseconds: rule.stallMs) }
    if let rate = rule.bytesPerSecond, rate > 0 {
      let begin = max(at, freeAt)
      freeAt = Instant(
        nanoseconds: begin.nanoseconds + Int64(count) * 1_000_000_000 / Int64(rate))
      at = freeAt
    }
    // A stream stays in order: nothing overtakes.
    return max(at, chunks.last?.readyAt ?? .zero)
  }

  /// The sender has closed its side: the receiver hears of it when everything before has arrived.
  func end() {
    hasEnded = true
    source = nil
    pump()
  }

  func sinkIsGone() {
    isSinkGone = true
    chunks = []
    waitingBytes = 0
    sink = nil
    // Its other direction carries the end to the sender, in order and under that link's rule.
    if isHolding {
      isHolding = false
      source?.release()
    }
  }

  // MARK: Out

  func pump() {
    if !isCut, let sink, sink.isOpen {
      let now = owner.loop.now
      var sent = 0
      while sent < chunks.count, chunks[sent].readyAt <= now {
        sink.output.writeBytes(chunks[sent].bytes)
        waitingBytes -= chunks[sent].bytes.count
        sent += 1
      }
      chunks.removeFirst(sent)
      if hasEnded, chunks.isEmpty { sink.closeAfterFlush(.peerClosed) }
    }
    adjustWindow()
    guard let next = chunks.first, !isCut, !isTimerSet else { return }
    isTimerSet = true
    let wait = max(1, next.readyAt.milliseconds(since: owner.loop.now) + 1)
    owner.loop.schedule(afterMs: wait) { [weak self] in
      self?.isTimerSet = false
      self?.pump()
    }
  }

  private func adjustWindow() {
    let isFull = waitingBytes + (sink?.unsentBytes ?? 0) > Self.windowBytes
    if isFull, !isHolding {
      isHolding = true
      source?.hold()
      poll()
    } else if !isFull, isHolding {
      isHolding = false
      source?.release()
    }
  }

  /// Nobody tells when a connection has sent its bytes; it is looked at until it has.
  private func poll() {
    owner.loop.schedule(afterMs: 5) { [weak self] in
      guard let self, isHolding else { return }
      pump()
      if isHolding { poll() }
    }
  }
}
