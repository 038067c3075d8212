import KafkaClient
import Platform
import Values

/// One phase of a shape while it runs: consumers that wait for work, producers that give it, a
/// warm-up, and a stretch of time that counts.
struct PhaseRun: Sendable {
  let bench: ShapeBench
  let shape: BenchShape
  let phase: BenchShape.Phase
  let topics: [String]
  let limits: MachineLimits

  /// What the stretch that counts came to, beside the clients' own tallies.
  private struct Stretch {
    var seconds = 0.0
    var before: ProcessUse
    var after: ProcessUse
    var ownNanoseconds: Int64 = 0
    var highestRate: Double?
    var drainedAfterSeconds: Double?
  }

  private var tally: Tally {
    // So many intervals make a picture; shorter ones would only make it restless.
    Tally(intervalNanoseconds: max(1, Int64(phase.seconds) / 120) * 1_000_000_000)
  }

  func run() async throws -> ShapeReport.Phase {
    if let bytes = phase.backlogBytes { try await fill(bytes) }
    var groups: [[TimingConsumer]] = []
    for group in 0..<(phase.consumers > 0 ? phase.groups : 0) {
      let name = "bench-\(shape.name)-\(UInt32.random(in: .min ... .max))-\(group)"
      groups.append(
        try (0..<phase.consumers).map { _ in
          try TimingConsumer(
            topics: topics, group: name, bootstrap: bench.bootstrap,
            fromStart: phase.backlogBytes != nil, tally: tally)
        })
    }
    let producers = try makeProducers(phase.producers, rate: phase.rate)
    for producer in producers { try await producer.warm() }
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
      let stretch = try await measure(producers, groups, &tasks)
      for consumer in groups.joined() { consumer.stop() }
      try await tasks.waitForAll()
      for producer in producers { await producer.close() }
      return try result(producers, groups, stretch)
    }
  }

  private func makeProducers(_ count: Int, rate: Int) throws -> [PacedProducer] {
    let plan = PacedProducer.Plan(
      topics: topics, recordBytes: shape.recordBytes, keys: shape.keys, acks: phase.acks)
    return try (0..<count).map { _ in
      try PacedProducer(plan, bootstrap: bench.bootstrap, rate: rate / count, tally: tally)
    }
  }

  /// Writes what the groups will find unread.
  private func fill(_ bytes: Int) async throws {
    bench.progress("\(shape.name), \(phase.name): writing a backlog of \(bytes / 1_000_000) MB")
    let producers = try makeProducers(phase.producers, rate: 0)
    let each = bytes / shape.recordBytes / producers.count
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      for producer in producers {
        tasks.addTask {
          try await producer.run(limit: each)
          await producer.close()
        }
      }
      try await tasks.waitForAll()
    }
    if let failure = producers.compactMap(\.tally.value.firstFailure).first {
      throw BenchmarkFailure("the backlog could not be written: \(failure)")
    }
  }

  // MARK: The stretch that counts

  private func measure(
    _ producers: [PacedProducer], _ groups: [[TimingConsumer]],
    _ tasks: inout ThrowingTaskGroup<Void, any Error>
  ) async throws -> Stretch {
    let tallies = producers.map(\.tally) + groups.joined().map(\.tally)
    if phase.backlogBytes == nil {
      for consumer in groups.joined() { tasks.addTask { try await consumer.run() } }
      try await waitForAssignments(groups)
    }
    bench.progress("\(shape.name), \(phase.name): warming up")
    if let records = phase.records {
      try await send(max(1, records / 20), producers)
    } else {
      for producer in producers { tasks.addTask { try await producer.run() } }
      try await Task.sleep(for: .seconds(shape.warmUpSeconds))
    }
    bench.progress("\(shape.name), \(phase.name): measuring")
    let start = Clock.now()
    for tally in tallies { tally.open(from: start.nanoseconds) }
    var stretch = Stretch(
      before: ProcessUse(bench.processes), after: ProcessUse(bench.processes))
    let own = ProcessInformation.ownProcessorNanoseconds
    if phase.backlogBytes != nil {
      for consumer in groups.joined() { tasks.addTask { try await consumer.run() } }
      stretch.drainedAfterSeconds = try await drain(producers, groups, from: start)
    } else if let records = phase.records {
      try await send(records, producers)
    } else if let every = phase.risesEvery {
      stretch.highestRate = try await rise(producers, every: every)
    } else {
      try await Task.sleep(for: .seconds(phase.seconds))
    }
    let end = Clock.now()
    for tally in tallies { tally.close(at: end.nanoseconds) }
    for producer in producers { producer.stop() }
    if phase.backlogBytes == nil { try await arrive(producers, groups) }
    stretch.seconds = Double(end.nanoseconds - start.nanoseconds) / 1e9
    stretch.after = ProcessUse(bench.processes)
    stretch.ownNanoseconds = ProcessInformation.ownProcessorNanoseconds - own
    return stretch
  }

  private func send(_ records: Int, _ producers: [PacedProducer]) async throws {
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      for producer in producers {
        tasks.addTask { try await producer.run(limit: records / producers.count) }
      }
      tasks.addTask {
        try await Task.sleep(for: .seconds(phase.seconds))
        for producer in producers { producer.stop() }
      }
      for _ in producers { try await tasks.next() }
      tasks.cancelAll()
      while let outcome = await tasks.nextResult() {
        if case .failure(let error) = outcome, !(error is CancellationError) { throw error }
      }
    }
  }

  /// Each group has shared out all partitions among all of its members, and knows where to begin.
  /// The first member of a group has all partitions for a moment: what is sent before the others
  /// have come would be read by nobody, for they begin at the end.
  private func waitForAssignments(_ groups: [[TimingConsumer]]) async throws {
    let wanted = shape.topics * shape.partitions
    let limit = Clock.now().advanced(milliseconds: 120_000)
    for group in groups {
      while true {
        var count = 0
        var generations: Set<Int32> = []
        for consumer in group {
          count += await consumer.assignedCount()
          generations.insert(await consumer.generation())
        }
        if Self.isComplete(generations, assigned: count, of: wanted) { break }
        guard Clock.now() < limit else {
          throw BenchmarkFailure(
            "a group of \(group.count) shared out \(count) of \(wanted) in generations "
              + "\(generations.sorted())")
        }
        try await Task.sleep(for: .milliseconds(50))
      }
      for consumer in group { try await consumer.settle() }
    }
  }

  /// Whether members that name these generations (-1: none) have shared out everything.
  static func isComplete(_ generations: Set<Int32>, assigned: Int, of wanted: Int) -> Bool {
    generations.count == 1 && generations != [-1] && assigned == wanted
  }

  /// What was acknowledged arrives, within half a minute.
  private func arrive(_ producers: [PacedProducer], _ groups: [[TimingConsumer]]) async throws {
    let limit = Clock.now().advanced(milliseconds: 30_000)
    while Clock.now() < limit {
      let isAllSent = producers.allSatisfy(\.hasFinished)
      let sent = producers.reduce(0) { $0 + $1.tally.value.latency.count }
      let isAllRead = groups.allSatisfy { group in
        group.reduce(0) { $0 + $1.tally.value.latency.count } >= sent
      }
      if isAllSent, isAllRead { return }
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  /// Raises the rate until it is not followed.
  /// - Returns: the highest rate of acknowledged records that a step reached.
  private func rise(_ producers: [PacedProducer], every seconds: Int) async throws -> Double {
    var rate = phase.rate
    var highest = 0.0
    let limit = Clock.now().advanced(milliseconds: Int64(phase.seconds) * 1000)
    while Clock.now() < limit {
      let before = producers.reduce(0) { $0 + $1.tally.total }
      let start = Clock.now()
      try await Task.sleep(for: .seconds(seconds))
      let count = producers.reduce(0) { $0 + $1.tally.total } - before
      let reached = Double(count) * 1000 / Double(max(1, Clock.now().milliseconds(since: start)))
      highest = max(highest, reached)
      bench.progress("\(shape.name), \(phase.name): wanted \(rate)/s, reached \(Int(reached))/s")
      if reached < Double(rate) * 0.95 { break }
      rate = rate * 3 / 2
      for producer in producers { producer.setRate(rate / producers.count) }
    }
    return highest
  }

  /// Waits until every group has less unread than producers send in half a second.
  /// - Returns: seconds since `start`; nil when the time was over before.
  private func drain(
    _ producers: [PacedProducer], _ groups: [[TimingConsumer]], from start: Instant
  ) async throws -> Double? {
    let backlog = (phase.backlogBytes ?? 0) / shape.recordBytes / producers.count * producers.count
    let limit = start.advanced(milliseconds: Int64(phase.seconds) * 1000)
    while Clock.now() < limit {
      try await Task.sleep(for: .milliseconds(50))
      let sent = backlog + producers.reduce(0) { $0 + $1.tally.total }
      let isDrained = groups.allSatisfy { group in
        sent - group.reduce(0) { $0 + $1.tally.total } < phase.rate / 2
      }
      if isDrained { return Double(Clock.now().nanoseconds - start.nanoseconds) / 1e9 }
    }
    return nil
  }

  // MARK: The result

  private func result(
    _ producers: [PacedProducer], _ groups: [[TimingConsumer]], _ stretch: Stretch
  ) throws -> ShapeReport.Phase {
    var sent = tally
    var read = tally
    for producer in producers { sent.merge(producer.tally.value) }
    for consumer in groups.joined() { read.merge(consumer.tally.value) }
    try bench.onHistograms("\(phase.name) produce", sent.latency)
    try bench.onHistograms("\(phase.name) end-to-end", read.latency)
    let seconds = max(stretch.seconds, 0.001)
    // Of a backlog all bytes count: they were moved in this time.
    let readBytes =
      phase.backlogBytes == nil ? read.bytes : read.total * shape.recordBytes
    let produced = Double(sent.bytes) / 1_048_576 / seconds
    let consumed = Double(readBytes) / 1_048_576 / seconds
    let gibibytes = Double(sent.bytes + readBytes) / 1_073_741_824
    return ShapeReport.Phase(
      name: phase.name, producers: phase.producers, consumers: phase.consumers,
      groups: groups.count, acks: phase.acks, wantedRate: phase.rate > 0 ? phase.rate : nil,
      seconds: seconds, rate: Double(sent.latency.count) / seconds,
      producedMiBPerSecond: produced, consumedMiBPerSecond: consumed, failed: sent.failed,
      firstFailure: sent.firstFailure, unread: unread(sent, groups),
      produce: .init(sent.latency), endToEnd: .init(read.latency),
      timeline: timeline(sent),
      processes: stretch.after.since(stretch.before, gibibytes: gibibytes),
      ownProcessorSeconds: Double(stretch.ownNanoseconds) / 1e9,
      shareOfSequentialWrite: produced * Double(bench.replicationFactor) / limits.sequentialWrite,
      shareOfSocketCopy: consumed / limits.socketCopy, highestRate: stretch.highestRate,
      drainedAfterSeconds: stretch.drainedAfterSeconds, hadBacklog: phase.backlogBytes != nil,
      tailRatio: shape.comparesTenths ? tailRatio(sent.intervals) : nil)
  }

  private func unread(_ sent: Tally, _ groups: [[TimingConsumer]]) -> Int {
    guard phase.backlogBytes == nil else { return 0 }
    return groups.reduce(0) { missing, group in
      let read = group.reduce(0) { $0 + $1.tally.value.latency.count }
      return missing + max(0, sent.latency.count - read)
    }
  }

  private func timeline(_ tally: Tally) -> [ShapeReport.Moment] {
    let lengthMs = max(1, Int64(phase.seconds) / 120) * 1000
    return tally.intervals.enumerated().map { index, interval in
      ShapeReport.Moment(
        atMs: Int64(index) * lengthMs,
        mibPerSecond: Double(interval.bytes) / 1_048_576 / (Double(lengthMs) / 1000),
        p50: interval.latency.percentileMs(0.5), p99: interval.latency.percentileMs(0.99),
        max: interval.latency.maximumMs)
    }
  }

  /// p99 of the last tenth of the time over that of the first.
  private func tailRatio(_ intervals: [Tally.Interval]) -> Double? {
    let tenth = max(1, intervals.count / 10)
    var (first, last) = (LatencyHistogram(), LatencyHistogram())
    for interval in intervals.prefix(tenth) { first.merge(interval.latency) }
    for interval in intervals.suffix(tenth) { last.merge(interval.latency) }
    let before = first.percentileMs(0.99)
    return before > 0 ? last.percentileMs(0.99) / before : nil
  }
}
