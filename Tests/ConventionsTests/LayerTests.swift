import Testing

/// Imports point down the table in Package.swift; decisions stay pure.
@Suite struct LayerTests {
  private static let toolchain: Set<String> = [
    "Swift", "Synchronization", "Dispatch", "Foundation", "FoundationEssentials", "Glibc",
    "PackageDescription", "Testing", "RegexBuilder",
  ]

  @Test func importsAreListedInTheTable() {
    for file in SourceTree.written where file.isSource {
      guard let module = SourceTree.modules[file.module] else {
        if !file.module.hasPrefix("C") {
          Issue.record("\(file.path): not in Package.swift's table")
        }
        continue
      }
      for name in SourceTree.imports(of: file) where !Self.toolchain.contains(name) {
        #expect(
          module.uses.contains(name),
          "\(file.path) imports \(name), which the table does not list")
      }
    }
  }

  @Test func theTablePointsDown() {
    // Within a layer only what the architecture names may be imported.
    let named: Set<String> = [
      "Platform>Containers", "Records>Compression", "KafkaMessages>KafkaProtocol",
      "KafkaRecords>KafkaProtocol", "LogStorage>Platform", "HTTP>Transport",
      "KafkaClient>Transport", "ZooKeeperClient>Transport", "CommandLineTools>LocalCluster",
      "CommandLineTools>LogStorage", "KafkaTransport>Transport",
      "MetadataLog>LogStorage", "MetadataLog>Transport", "MetadataLog>KafkaTransport",
      "FaultProxy>Transport", "Drills>LocalCluster", "Benchmarks>LocalCluster",
      "CommandLineTools>Drills", "CommandLineTools>Benchmarks", "Authorization>Metadata",
      "Authorization>Control", "Quotas>Metadata",
      "Control>Quotas", "ClientTelemetry>Metadata", "BrokerNode>ServerProcess",
      "ControllerNode>ServerProcess", "CoordinatorNode>ServerProcess",
      "ClusterSimulation>LocalCluster", "ClusterSimulation>Drills",
      "ClusterSimulation>CoordinatorNode", "ClusterSimulation>ControllerNode",
      "ClusterSimulation>BrokerNode", "ClusterSimulation>SimulatedMachine",
      "CommandLineTools>ClusterSimulation", "SimulatedMachine>Simulation",
    ]
    for module in SourceTree.modules.values {
      for used in module.uses {
        guard let other = SourceTree.modules[used] else { continue }
        let isDecision = used == "Decision" || (module.name == "Control" && used == "Metadata")
        #expect(
          other.layer < module.layer || named.contains("\(module.name)>\(used)") || isDecision,
          "\(module.name) (layer \(module.layer)) uses \(used) (layer \(other.layer))")
      }
    }
  }

  @Test func decisionsArePure() {
    let impure = ["Synchronization", "Dispatch", "Foundation", "FoundationEssentials", "Glibc"]
    for file in SourceTree.written where file.isSource {
      guard SourceTree.modules[file.module]?.layer == 3 else { continue }
      for name in SourceTree.imports(of: file) {
        #expect(!impure.contains(name), "\(file.path) imports \(name)")
      }
      let words = [" async ", "await ", "Task {", "Mutex(", ".random(", "ContinuousClock"]
      guard words.contains(where: { file.text.contains($0) }) else { continue }
      for (index, line) in file.lines.enumerated() {
        let code = SourceTree.code(line)
        for word in words
        where code.contains(word) && !code.contains("using:") {
          Issue.record("\(file.path):\(index + 1): \(word.trimmingPrefix(" ")) in a pure layer")
        }
      }
    }
  }

  @Test func foundationStaysAboveLayerFour() {
    for file in SourceTree.written where file.isSource {
      guard let module = SourceTree.modules[file.module], module.layer <= 4 else { continue }
      #expect(
        !SourceTree.imports(of: file).contains("Foundation"), "\(file.path) imports Foundation")
    }
  }
}
