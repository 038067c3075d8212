import KafkaMessages
import KafkaProtocol
import Settings

/// `jackdaw log-dirs`: what lies in the brokers' log directories.
struct LogDirsTool: Tool {
  let name = "log-dirs"
  let summary = "Describe the brokers' log directories."

  var syntax: CommandLineSyntax {
    CommandLineSyntax(
      command: "jackdaw log-dirs", summary: "Describe the brokers' log directories, as JSON.",
      flags: AdminSession.flags + [
        .toggle("--describe", "Describe (the only action)."),
        .value("--broker-list", "1,2,…", "Only these brokers."),
        .value("--topic-list", "t,u,…", "Only these topics."),
      ])
  }

  private struct Report: Encodable {
    struct Broker: Encodable {
      let broker: Int32
      let logDirs: [Directory]
    }
    struct Directory: Encodable {
      let logDir: String
      let error: String?
      let totalBytes: Int64
      let usableBytes: Int64
      let partitions: [Partition]
    }
    struct Partition: Encodable {
      let partition: String
      let size: Int64
      let offsetLag: Int64
      let isFuture: Bool
    }
    let version: Int
    let brokers: [Broker]
  }

  func run(_ line: ParsedCommandLine, on console: Console) async throws -> Int32 {
    guard line.has("--describe") else { throw SettingsError("missing flag", key: "--describe") }
    let topics = line.value("--topic-list").map { Set($0.split(separator: ",").map(String.init)) }
    let report = try await AdminSession.with(line) { session in
      let all = session.cluster.metadata.sortedNodes.map(\.id)
      var wanted = all
      if let text = line.value("--broker-list") {
        wanted = text.split(separator: ",").compactMap { Int32($0) }
        if let unknown = wanted.first(where: { !all.contains($0) }) {
          throw ToolFailure("broker \(unknown) is not in the cluster, which has \(all)")
        }
      }
      console.line("Querying brokers for log directories information")
      var brokers: [Report.Broker] = []
      for id in wanted {
        var request = DescribeLogDirsRequest()
        request.topics = nil
        let response = try await session.send(request, to: .node(id))
        try ErrorCode.check(response.errorCode, nil, "broker \(id)")
        brokers.append(
          Report.Broker(broker: id, logDirs: response.results.map { directory($0, topics) }))
      }
      return Report(version: 1, brokers: brokers)
    }
    console.line("Received log directory information from the brokers")
    try console.json(report)
    return 0
  }

  private func directory(
    _ result: DescribeLogDirsResponse.DescribeLogDirsResult, _ topics: Set<String>?
  ) -> Report.Directory {
    let code = ErrorCode(result.errorCode)
    let partitions = result.topics.filter { topics?.contains($0.name) ?? true }.flatMap { topic in
      topic.partitions.map {
        Report.Partition(
          partition: "\(topic.name)-\($0.partitionIndex)", size: $0.partitionSize,
          offsetLag: $0.offsetLag, isFuture: $0.isFutureKey)
      }
    }
    return Report.Directory(
      logDir: result.logDir, error: code == .none ? nil : code.name,
      totalBytes: result.totalBytes, usableBytes: result.usableBytes,
      partitions: partitions.sorted { $0.partition < $1.partition })
  }
}
