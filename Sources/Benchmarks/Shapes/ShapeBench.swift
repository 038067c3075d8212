import Foundation
import KafkaClient
import Platform
import Synchronization
import Values

/// Runs shapes of load against a cluster, wherever it is.
public struct ShapeBench: Sendable {
  public var bootstrap: String
  /// What the report calls the cluster.
  public var cluster: String
  /// The cluster's processes, where they run on this machine.
  public var processes: [MeasuredProcess] = []
  public var replicationFactor = 3
  /// Where the machine's limits are measured; should be on the brokers' disk.
  public var folder: URL
  public var scalePercent = 100
  /// Gets one line for each step.
  public var progress: @Sendable (String) -> Void = { _ in }
  /// Gets the histograms of each phase.
  public var onHistograms: @Sendable (_ name: String, LatencyHistogram) throws -> Void = { _, _ in }

  public init(bootstrap: String, cluster: String, folder: URL) {
    self.bootstrap = bootstrap
    self.cluster = cluster
    self.folder = folder
  }

  /// Makes the shape's topics, runs its phases one after the other and removes the topics.
  public func run(_ whole: BenchShape) async throws -> ShapeReport {
    let shape = whole.scaled(percent: scalePercent)
    progress("measuring the machine")
    var report = ShapeReport(
      shape: shape.name, summary: shape.summary, source: shape.source, cluster: cluster,
      topics: shape.topics, partitions: shape.partitions, replicationFactor: replicationFactor,
      recordBytes: shape.recordBytes, scalePercent: scalePercent,
      limits: try MachineLimits.measure(in: folder))
    let admin = try AdminClient(["bootstrap.servers": bootstrap])
    let topics = try await makeTopics(shape, admin)
    do {
      for phase in shape.phases {
        let run = PhaseRun(
          bench: self, shape: shape, phase: phase, topics: topics, limits: report.limits)
        report.phases.append(try await run.run())
      }
    } catch {
      _ = try? await admin.deleteTopics(topics)
      await admin.close()
      throw error
    }
    for some in stride(from: 0, to: topics.count, by: 100) {
      _ = try await admin.deleteTopics(Array(topics[some..<min(some + 100, topics.count)]))
    }
    await admin.close()
    return report
  }

  private func makeTopics(_ shape: BenchShape, _ admin: AdminClient) async throws -> [String] {
    let run = UInt32.random(in: .min ... .max)
    let names = (0..<shape.topics).map { "bench-\(shape.name)-\(run)-\($0)" }
    progress("\(shape.name): making \(shape.topics) topics of \(shape.partitions) partitions")
    var configs = shape.topicSettings
    if replicationFactor >= 3 { configs["min.insync.replicas"] = "2" }
    // In pieces: one request may only make so many partitions.
    for start in stride(from: 0, to: names.count, by: 50) {
      let results = try await admin.createTopics(
        names[start..<min(start + 50, names.count)].map {
          NewTopic(
            $0, partitions: Int32(shape.partitions), replicationFactor: Int16(replicationFactor),
            configs: configs)
        })
      for (name, result) in results {
        if case .failure(let error) = result { throw BenchmarkFailure("\(name): \(error)") }
      }
    }
    return names
  }
}
