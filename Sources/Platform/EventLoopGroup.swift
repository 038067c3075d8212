import Synchronization

/// The loops of a process: connections are dealt out to them in turn.
public final class EventLoopGroup: Sendable {
  public let loops: [EventLoop]
  private let counter = Atomic<Int>(0)

  /// Starts so many loops, at least one; they are named `name-0`, `name-1`, …
  public init(count: Int, name: String = "network") throws(SystemError) {
    var loops: [EventLoop] = []
    for index in 0..<max(1, count) {
      loops.append(try EventLoop(name: "\(name)-\(index)", index: index))
    }
    self.loops = loops
  }

  /// The next loop, round robin.
  public func next() -> EventLoop {
    let ticket = counter.wrappingAdd(1, ordering: .relaxed).oldValue
    return loops[Int(UInt(bitPattern: ticket) % UInt(loops.count))]
  }

  /// Ends all loops and waits for their threads.
  public func stop() {
    for loop in loops { loop.stop() }
    for loop in loops { loop.join() }
  }
}
