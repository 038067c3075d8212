// swift-tools-version: 6.2
import PackageDescription

// The layers of docs/architecture.md, bottom up. Imports point down only; the conventions test
// reads this table and refuses any `import` that is not listed here.
struct Module {
  let name: String
  let layer: Int
  let uses: [String]
  var isExecutable = false
  var tests: [String]? = []  // what its test target needs besides the module; nil: no test target
}

let modules: [Module] = [
  // 0 ground
  Module(name: "Values", layer: 0, uses: []),
  Module(name: "Bytes", layer: 0, uses: []),
  Module(name: "Containers", layer: 0, uses: []),
  // 1 system
  Module(
    name: "Platform", layer: 1, uses: ["Values", "Bytes", "Containers", "CPlatform", "COpenSSL"]),
  Module(name: "Cryptography", layer: 1, uses: ["COpenSSL"]),
  Module(name: "Telemetry", layer: 1, uses: ["Values", "Containers", "CPlatform"]),
  Module(name: "Settings", layer: 1, uses: ["Values"]),
  Module(name: "Plots", layer: 1, uses: []),
  // 2 formats
  Module(name: "KafkaProtocol", layer: 2, uses: ["Values", "Bytes"]),
  Module(
    name: "KafkaMessages", layer: 2, uses: ["Values", "Bytes", "KafkaProtocol"],
    tests: ["KafkaRecords"]),
  Module(name: "KafkaRecords", layer: 2, uses: ["Values", "Bytes", "KafkaProtocol"]),
  Module(name: "ZooKeeperProtocol", layer: 2, uses: ["Values", "Bytes"]),
  Module(name: "Compression", layer: 2, uses: ["Bytes", "CPlatform"]),
  Module(name: "Records", layer: 2, uses: ["Values", "Bytes", "Compression", "CPlatform"]),
  // 3 decisions (pure)
  Module(name: "Decision", layer: 3, uses: ["Values"]),
  Module(name: "Raft", layer: 3, uses: ["Values", "KafkaProtocol"]),
  Module(name: "Zab", layer: 3, uses: ["Values", "Bytes", "Containers", "ZooKeeperProtocol"]),
  Module(
    name: "Znodes", layer: 3,
    uses: ["Values", "Bytes", "Containers", "Decision", "ZooKeeperProtocol"]),
  Module(
    name: "Metadata", layer: 3,
    uses: ["Values", "Bytes", "Containers", "Decision", "KafkaRecords"],
    tests: ["Records"]),
  Module(
    name: "Control", layer: 3,
    uses: [
      "Values", "Bytes", "Containers", "Decision", "Metadata", "Quotas", "KafkaProtocol",
      "KafkaMessages", "KafkaRecords",
    ]),
  Module(
    name: "Authorization", layer: 3,
    uses: ["Values", "Metadata", "Control", "KafkaProtocol", "KafkaMessages"],
    tests: ["KafkaRecords"]),
  Module(
    name: "Replication", layer: 3, uses: ["Values", "Containers", "Decision", "KafkaProtocol"]),
  Module(
    name: "Groups", layer: 3,
    uses: ["Values", "Bytes", "Containers", "Decision", "KafkaProtocol", "KafkaRecords"],
    tests: ["Records"]),
  Module(
    name: "Transactions", layer: 3, uses: ["Values", "Bytes", "KafkaProtocol", "KafkaRecords"],
    tests: ["Records"]),
  Module(
    name: "Quotas", layer: 3, uses: ["Values", "Metadata"], tests: ["KafkaRecords"]),
  Module(
    name: "ClientTelemetry", layer: 3, uses: ["Values", "Bytes", "Metadata", "KafkaProtocol"],
    tests: ["KafkaRecords"]),
  Module(name: "Histories", layer: 3, uses: ["Values"]),
  // 4 input and output
  Module(
    name: "LogStorage", layer: 4,
    uses: [
      "Values", "Bytes", "Containers", "Platform", "Telemetry", "Records", "Compression",
    ]),
  Module(
    name: "Transport", layer: 4,
    uses: ["Values", "Bytes", "Containers", "Platform", "Telemetry"]),
  Module(
    name: "FaultProxy", layer: 4,
    uses: ["Values", "Bytes", "Platform", "Telemetry", "Transport"]),
  Module(
    name: "KafkaTransport", layer: 4,
    uses: [
      "Values", "Bytes", "Platform", "Telemetry", "Transport", "KafkaProtocol", "KafkaMessages",
      "Authorization", "Control",
    ]),
  Module(
    name: "MetadataLog", layer: 4,
    uses: [
      "Values", "Bytes", "Containers", "Platform", "Telemetry", "Settings", "Transport", "Records",
      "KafkaProtocol", "KafkaMessages", "KafkaRecords", "KafkaTransport", "LogStorage", "Metadata",
      "Control", "Authorization", "ClientTelemetry", "Raft",
    ]),
  Module(name: "HTTP", layer: 4, uses: ["Values", "Bytes", "Platform", "Telemetry", "Transport"]),
  Module(
    name: "KafkaClient", layer: 4,
    uses: [
      "Values", "Bytes", "Containers", "Platform", "Telemetry", "Settings", "Transport", "Records",
      "Compression", "KafkaProtocol", "KafkaMessages", "KafkaRecords",
    ]),
  Module(
    name: "ZooKeeperClient", layer: 4,
    uses: [
      "Values", "Bytes", "Containers", "Platform", "Telemetry", "Transport", "ZooKeeperProtocol",
    ]),
  // 5 nodes
  Module(name: "ServerProcess", layer: 5, uses: ["Platform", "Settings", "Telemetry"]),
  Module(
    name: "CoordinatorNode", layer: 5,
    uses: [
      "Values", "Bytes", "Containers", "Platform", "Cryptography", "Telemetry", "Settings",
      "ServerProcess",
      "Transport", "HTTP", "ZooKeeperProtocol", "Zab", "Znodes", "Decision", "Compression",
    ]),
  Module(
    name: "ControllerNode", layer: 5,
    uses: [
      "Values", "Bytes", "Platform", "Cryptography", "Telemetry", "Settings", "ServerProcess",
      "Transport", "HTTP",
      "KafkaProtocol", "KafkaMessages", "KafkaRecords", "KafkaTransport", "LogStorage", "Metadata",
      "Control", "Raft", "MetadataLog", "Authorization",
    ]),
  Module(
    name: "BrokerNode", layer: 5,
    uses: [
      "Values", "Bytes", "Containers", "Platform", "Cryptography", "Telemetry", "Settings",
      "ServerProcess",
      "Transport", "HTTP", "KafkaProtocol", "KafkaMessages", "KafkaRecords", "Records",
      "Compression", "ZooKeeperProtocol", "ZooKeeperClient", "LogStorage", "Decision", "Metadata",
      "Control", "Replication", "Groups", "Transactions", "KafkaTransport", "MetadataLog", "Raft",
      "Authorization", "Quotas", "ClientTelemetry",
    ],
    tests: ["KafkaClient"]),
  Module(
    name: "LocalCluster", layer: 5,
    uses: [
      "Values", "Bytes", "Platform", "Telemetry", "Settings", "KafkaClient", "ZooKeeperClient",
      "KafkaProtocol", "KafkaMessages", "MetadataLog",
    ]),
  Module(
    name: "Drills", layer: 5,
    uses: [
      "Values", "Bytes", "Platform", "Telemetry", "Settings", "Plots", "Histories", "FaultProxy",
      "KafkaProtocol", "KafkaMessages", "KafkaClient", "ZooKeeperProtocol", "ZooKeeperClient",
      "LocalCluster",
    ]),
  Module(
    name: "Benchmarks", layer: 5,
    uses: [
      "Values", "Bytes", "Platform", "Telemetry", "Settings", "Plots", "KafkaClient",
      "ZooKeeperProtocol", "ZooKeeperClient", "LocalCluster", "KafkaRecords", "Metadata",
      "MetadataLog", "Raft",
    ]),
  Module(
    name: "CommandLineTools", layer: 5,
    uses: [
      "Values", "Bytes", "Containers", "Platform", "Telemetry", "Settings", "Transport", "Records",
      "Compression", "LogStorage", "KafkaProtocol", "KafkaMessages", "KafkaRecords", "KafkaClient",
      "ZooKeeperProtocol", "ZooKeeperClient", "LocalCluster", "Drills", "Benchmarks",
      "Cryptography", "Metadata", "MetadataLog", "Raft", "ClusterSimulation", "Control",
      "Authorization",
    ]),
  // 6 executables
  Module(
    name: "jackdaw-coordinator", layer: 6,
    uses: ["Values", "Platform", "Telemetry", "Settings", "CoordinatorNode"],
    isExecutable: true, tests: nil),
  Module(
    name: "jackdaw-controller", layer: 6, uses: ["ControllerNode"],
    isExecutable: true, tests: nil),
  Module(
    name: "jackdaw-broker", layer: 6,
    uses: ["Values", "Platform", "Telemetry", "Settings", "BrokerNode", "ControllerNode"],
    isExecutable: true, tests: nil),
  Module(
    name: "jackdaw", layer: 6, uses: ["Values", "Telemetry", "Settings", "CommandLineTools"],
    isExecutable: true, tests: nil),
  Module(name: "schemac", layer: 6, uses: [], isExecutable: true),
  // beside
  Module(
    name: "Simulation", layer: 5,
    uses: [
      "Values", "Bytes", "Containers", "Decision", "ZooKeeperProtocol", "Zab", "Znodes",
      "KafkaProtocol", "KafkaRecords", "Metadata", "Control", "Replication", "Groups", "Raft",
    ]),
  Module(
    name: "SimulatedMachine", layer: 5,
    uses: ["Values", "CPlatform", "Platform", "Simulation"],
    tests: ["Transport", "Bytes"]),
  Module(
    name: "ClusterSimulation", layer: 5,
    uses: [
      "Values", "Bytes", "Platform", "Telemetry", "Settings", "Records", "Histories",
      "KafkaClient", "LocalCluster", "Drills", "CoordinatorNode", "ControllerNode", "BrokerNode",
      "SimulatedMachine",
    ],
    tests: ["LogStorage"]),
  Module(name: "TestKit", layer: 5, uses: ["Values", "Bytes", "Platform"], tests: nil),
]

// JACKDAW_ONLY="Zab,Znodes" builds these modules, what they use and their tests: a fast inner loop.
let wanted: Set<String>? = Context.environment["JACKDAW_ONLY"].map { list in
  var closure = Set(["TestKit"])
  var queue = list.split(separator: ",").map(String.init) + ["TestKit"]
  while let name = queue.popLast() {
    closure.insert(name)
    guard let module = modules.first(where: { $0.name == name }) else { continue }
    queue += (module.uses + (module.tests ?? [])).filter { !closure.contains($0) }
  }
  return closure
}
let asked: Set<String>? = Context.environment["JACKDAW_ONLY"].map {
  Set($0.split(separator: ",").map(String.init))
}

let settings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableExperimentalFeature("Lifetimes"),
  .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

let cModules: [(name: String, target: Target)] = [
  ("CPlatform", .target(name: "CPlatform", cSettings: [.unsafeFlags(["-Werror", "-Wall"])])),
  (
    "COpenSSL",
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])])
  ),
]

let present = modules.filter { wanted?.contains($0.name) ?? true }
let available = Set(present.map(\.name) + cModules.map(\.name))

var targets: [Target] = cModules.map(\.target)
for module in present {
  let uses = module.uses.map { Target.Dependency(stringLiteral: $0) }
  let exclude = module.name == "KafkaProtocol" ? ["Schemas"] : []
  targets.append(
    module.isExecutable
      ? .executableTarget(name: module.name, dependencies: uses, swiftSettings: settings)
      : .target(
        name: module.name, dependencies: uses, exclude: exclude, swiftSettings: settings))
  guard let extra = module.tests, asked?.contains(module.name) ?? true else { continue }
  let needs = Set([module.name, "TestKit"] + module.uses + extra)
  targets.append(
    .testTarget(
      name: "\(module.name)Tests",
      dependencies: needs.intersection(available).sorted().map {
        Target.Dependency(stringLiteral: $0)
      },
      swiftSettings: settings))
}
if asked?.contains("Conventions") ?? true {
  targets.append(
    .testTarget(
      name: "ConventionsTests", dependencies: ["TestKit"], exclude: ["ratchet.txt"],
      swiftSettings: settings))
}

let package = Package(name: "jackdaw", targets: targets, swiftLanguageModes: [.v6])
