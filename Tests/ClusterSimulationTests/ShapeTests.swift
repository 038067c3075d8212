import TestKit
import Testing

@testable import ClusterSimulation

@Suite struct ShapeTests {
  private static func draw(_ seed: UInt64, isKRaft: Bool) -> SimulationOptions {
    var options = SimulationOptions(
      seed: seed, mode: isKRaft ? .kraft : .zookeeper, folder: "/nowhere")
    options.drawShape()
    return options
  }

  @Test func seedsReachEveryShapeOfTheirMode() {
    var shapes: Set<String> = []
    for seed in Seeds.range(100) {
      let (kraft, zookeeper) = (
        Self.draw(seed, isKRaft: true), Self.draw(seed, isKRaft: false)
      )
      #expect(Self.draw(seed, isKRaft: true).shape == kraft.shape)
      #expect(!zookeeper.isCombined, "ZooKeeper mode has no such nodes")
      shapes.formUnion([kraft.shape, zookeeper.shape])
    }
    // 3 or 4 brokers, moves or none; in KRaft mode with controllers of their own or without.
    #expect(shapes.count == 12, "\(shapes.sorted())")
  }
}
