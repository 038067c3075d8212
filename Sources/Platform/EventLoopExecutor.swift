/// Runs tasks on an event loop, between its sockets and timers: one after the other, in the order
/// in which they become ready, so that what they do depends on nothing but what the loop is told.
///
/// A loop that has stopped runs nothing: the loop must live as long as the tasks.
public final class EventLoopExecutor: TaskExecutor {
  public let loop: EventLoop

  public init(_ loop: EventLoop) { self.loop = loop }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    loop.execute { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
  }
}
