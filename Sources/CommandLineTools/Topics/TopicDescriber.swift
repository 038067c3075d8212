import KafkaMessages
import KafkaProtocol
import Settings
import Values

/// `topics --describe`: a line for each topic and one for each partition, or only the partitions
/// that somebody should look at.
struct TopicDescriber {
  let line: ParsedCommandLine
  let session: AdminSession
  let console: Console

  struct Row: Encodable {
    struct Partition: Encodable {
      let partition: Int32
      let leader: Int32?
      let replicas: [Int32]
      let isr: [Int32]
      /// Left out where the broker cannot tell.
      let elr: [Int32]?
      let lastKnownElr: [Int32]?
    }
    let topic: String
    let topicId: String
    let configs: [String: String]
    let partitions: [Partition]
  }

  private var isFiltering: Bool {
    ["--under-replicated-partitions", "--unavailable-partitions", "--under-min-isr-partitions",
      "--at-min-isr-partitions",
    ].contains(where: line.has)
  }

  func run() async throws {
    var topics = try await session.topics(
      matching: line.value("--topic-id") == nil ? line.value("--topic") : nil,
      excludingInternal: line.has("--exclude-internal"))
    if let text = line.value("--topic-id") {
      guard let id = Uuid(text) else {
        throw SettingsError("not a topic id", key: "--topic-id", value: text)
      }
      topics = topics.filter { $0.topicID == id }
    }
    let wanted = line.value("--topic-id") ?? line.value("--topic")
    if topics.isEmpty, let wanted, !line.has("--if-exists") {
      throw ToolFailure("topic '\(wanted)' does not exist as expected")
    }
    let described = try await describedConfigs(topics.compactMap(\.name))
    let eligible = try await EligibleReplicas.of(
      topics.compactMap(\.name), session,
      pageSize: line.integer("--partition-size-limit-per-response", in: 1...Int(Int32.max)))
    var rows: [Row] = []
    for topic in topics {
      let configs = described[topic.name ?? ""] ?? []
      let own = configs.filter { ConfigSource(rawValue: $0.configSource) == .dynamicTopic }
      if line.has("--topics-with-overrides"), own.isEmpty { continue }
      let partitions = topic.partitions.sorted { $0.partitionIndex < $1.partitionIndex }
        .filter { isShown($0, minIsr: minIsr(configs)) }
      if isFiltering, partitions.isEmpty { continue }
      if line.value("--output") == "json" {
        rows.append(row(topic, own, partitions, eligible))
      } else {
        write(topic, own, partitions, eligible)
      }
    }
    if line.value("--output") == "json" { try console.json(rows) }
  }

  private func describedConfigs(
    _ names: [String]
  ) async throws -> [String: [DescribeConfigsResponse.DescribeConfigsResourceResult]] {
    guard !names.isEmpty else { return [:] }
    var request = DescribeConfigsRequest()
    request.resources = names.map { name in
      DescribeConfigsRequest.DescribeConfigsResource {
        $0.resourceType = ConfigResourceType.topic.rawValue
        $0.resourceName = name
        $0.configurationKeys = nil
      }
    }
    let response = try await session.send(request)
    var found: [String: [DescribeConfigsResponse.DescribeConfigsResourceResult]] = [:]
    for result in response.results where result.errorCode == 0 {
      found[result.resourceName] = result.configs
    }
    return found
  }

  private func minIsr(
    _ configs: [DescribeConfigsResponse.DescribeConfigsResourceResult]
  ) -> Int {
    let value = configs.first { $0.name == "min.insync.replicas" }?.value
    return value.flatMap { Int($0) } ?? 1
  }

  private func isShown(
    _ partition: MetadataResponse.MetadataResponsePartition, minIsr: Int
  ) -> Bool {
    guard isFiltering else { return true }
    let isr = partition.isrNodes.count
    if line.has("--unavailable-partitions"), partition.leaderID < 0 { return true }
    if line.has("--under-replicated-partitions"), isr < partition.replicaNodes.count { return true }
    if line.has("--under-min-isr-partitions"), isr < minIsr { return true }
    return line.has("--at-min-isr-partitions") && isr == minIsr
  }

  private func write(
    _ topic: MetadataResponse.MetadataResponseTopic,
    _ own: [DescribeConfigsResponse.DescribeConfigsResourceResult],
    _ partitions: [MetadataResponse.MetadataResponsePartition], _ eligible: EligibleReplicas
  ) {
    let name = topic.name ?? ""
    if !isFiltering {
      let configs = own.map { "\($0.name)=\($0.value ?? "")" }.sorted().joined(separator: ",")
      let factor = topic.partitions.map(\.replicaNodes.count).max() ?? 0
      console.line(
        "Topic: \(name)\tTopicId: \(topic.topicID)\tPartitionCount: \(topic.partitions.count)"
          + "\tReplicationFactor: \(factor)\tConfigs: \(configs)")
    }
    for partition in partitions {
      let leader = partition.leaderID < 0 ? "none" : "\(partition.leaderID)"
      let known = eligible[name, partition.partitionIndex]
      console.line(
        "\tTopic: \(name)\tPartition: \(partition.partitionIndex)\tLeader: \(leader)"
          + "\tReplicas: \(ids(partition.replicaNodes))\tIsr: \(ids(partition.isrNodes))"
          + "\tElr: \(known.eligible.map(ids) ?? "N/A")"
          + "\tLastKnownElr: \(known.lastKnown.map(ids) ?? "N/A")")
    }
  }

  private func ids(_ list: [Int32]) -> String {
    list.map(String.init).joined(separator: ",")
  }

  private func row(
    _ topic: MetadataResponse.MetadataResponseTopic,
    _ own: [DescribeConfigsResponse.DescribeConfigsResourceResult],
    _ partitions: [MetadataResponse.MetadataResponsePartition], _ eligible: EligibleReplicas
  ) -> Row {
    Row(
      topic: topic.name ?? "", topicId: topic.topicID.description,
      configs: Dictionary(own.map { ($0.name, $0.value ?? "") }) { $1 },
      partitions: partitions.map {
        let known = eligible[topic.name ?? "", $0.partitionIndex]
        return Row.Partition(
          partition: $0.partitionIndex, leader: $0.leaderID < 0 ? nil : $0.leaderID,
          replicas: $0.replicaNodes, isr: $0.isrNodes, elr: known.eligible,
          lastKnownElr: known.lastKnown)
      })
  }
}

/// `ConfigResource.Type` of the wire.
enum ConfigResourceType: Int8 {
  case topic = 2
  case broker = 4
  case brokerLogger = 8
  case clientMetrics = 16
}

/// Where a value comes from, as DescribeConfigs numbers it.
enum ConfigSource: Int8 {
  case unknown = 0
  case dynamicTopic = 1
  case dynamicBroker = 2
  case dynamicDefaultBroker = 3
  case staticBroker = 4
  case `default` = 5
  case dynamicBrokerLogger = 6
  case clientMetrics = 7

  var text: String {
    switch self {
    case .unknown: "UNKNOWN"
    case .dynamicTopic: "DYNAMIC_TOPIC_CONFIG"
    case .dynamicBroker: "DYNAMIC_BROKER_CONFIG"
    case .dynamicDefaultBroker: "DYNAMIC_DEFAULT_BROKER_CONFIG"
    case .staticBroker: "STATIC_BROKER_CONFIG"
    case .default: "DEFAULT_CONFIG"
    case .dynamicBrokerLogger: "DYNAMIC_BROKER_LOGGER_CONFIG"
    case .clientMetrics: "CLIENT_METRICS_CONFIG"
    }
  }
}
