/// Periodic work: ISR checks on a loop; flushing, retention, cleaning and checkpoints on I/O
/// threads.
import LogStorage
import Platform
import Synchronization
import Values

extension ReplicaManager {
  /// Begins everything that runs again and again; it ends with the loop.
  func startMaintenance(on loop: BrokerLoop) {
    let config = services.config
    // Half the lag time: a follower is found missing at the latest after one and a half.
    let checkMs = max(50, config.replication.lagTimeMaxMs / 2)
    loop.eventLoop.execute { [self] in
      loop.eventLoop.repeating(everyMs: checkMs) { [self] in
        checkISRs(on: loop)
        return !services.isShuttingDown
      }
    }
    every(config.replication.highWatermarkCheckpointIntervalMs, on: loop) { manager in
      manager.logs.checkpointHighWatermarks()
    }
    every(min(config.log.flushSchedulerIntervalMs, 3_000), on: loop) { manager in
      manager.logs.flushDirty(now: Clock.wallNow())
    }
    every(config.log.flushOffsetCheckpointIntervalMs, on: loop) {
      $0.logs.checkpointRecoveryPoints()
    }
    every(config.log.flushStartOffsetCheckpointIntervalMs, on: loop) {
      $0.logs.checkpointLogStarts()
    }
    every(config.log.retentionCheckIntervalMs, on: loop) { manager in
      let now = Clock.wallNow()
      manager.logs.runRetention(now: now)
      manager.logs.expireProducers(now: now)
    }
    if config.log.isCleanerEnabled {
      every(config.log.cleanerBackoffMs, on: loop) { $0.clean() }
    }
    every(min(30_000, config.log.retentionCheckIntervalMs), on: loop) { manager in
      manager.logs.removeCondemned(now: Clock.wallNow())
    }
  }

  /// Runs work on an I/O thread, so many milliseconds after it last ended.
  func every(
    _ intervalMs: Int64, on loop: BrokerLoop,
    _ work: @escaping @Sendable (ReplicaManager) -> Void
  ) {
    loop.eventLoop.execute { [self] in
      loop.eventLoop.schedule(afterMs: max(10, intervalMs)) { [self] in
        if services.isShuttingDown { return }
        services.io.submit { [self] in
          work(self)
          every(intervalMs, on: loop, work)
        }
      }
    }
  }

  /// Cleans compacted logs until none is dirty enough.
  private func clean() {
    let log = services.config.log
    var limits = CleanerConfig()
    limits.dedupeBufferSize = Int(clamping: log.cleanerDedupeBufferSize)
    limits.loadFactor = log.cleanerDedupeBufferLoadFactor
    if log.cleanerIOMaxBytesPerSecond < 1e15 {
      let nanosecondsPerByte = 1e9 / max(1, log.cleanerIOMaxBytesPerSecond)
      limits.throttle = { bytes in
        Thread.sleep(nanoseconds: Int64(Double(bytes) * nanosecondsPerByte))
      }
    }
    while !services.isShuttingDown, logs.runCleaner(limits: limits, now: Clock.wallNow()) {}
  }

  private func checkISRs(on loop: BrokerLoop) {
    for partition in services.partitions.all where partition.isLeader {
      perform(partition.step(.tick, at: loop.now), partition, on: loop)
    }
  }

  /// Flushes a log on an I/O thread.
  func flushSoon(_ partition: Partition) {
    services.io.submit { [self] in
      guard let log = partition.log else { return }
      do throws(LogError) { try log.flush(now: Clock.wallNow()) } catch {
        logs.note(error, of: partition.id)
      }
    }
  }
}
