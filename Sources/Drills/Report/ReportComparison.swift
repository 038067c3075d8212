// Two reports side by side.

/// What differs between two runs: modes, settings, builds, times, counts.
public struct ReportComparison: Codable, Sendable {
  public struct Row: Codable, Sendable {
    public var name: String
    public var first: String
    public var second: String
    /// The second in percent of the first, where both are figures.
    public var percent: Int?
  }
  public var rows: [Row]

  public init(_ first: DrillReport, _ second: DrillReport) {
    rows = [
      Row(name: "drill", first: first.name, second: second.name),
      Row(name: "mode", first: first.mode, second: second.mode),
      Row(name: "cluster", first: first.cluster, second: second.cluster),
      Row(name: "build", first: first.build, second: second.build),
      Row(name: "valid", first: "\(first.valid)", second: "\(second.valid)"),
    ]
    for key in Set(first.settings.keys).union(second.settings.keys).sorted() {
      rows.append(
        Row(
          name: key, first: first.settings[key] ?? "-", second: second.settings[key] ?? "-"))
    }
    let times: [(String, KeyPath<DrillReport.Recovery, Int64?>)] = [
      ("to detect, ms", \.toDetectMs), ("to elect, ms", \.toElectMs),
      ("to the first write, ms", \.toFirstWriteMs), ("to full ISR, ms", \.toFullISRMs),
      ("longest without a write, ms", \.longestWithoutWriteMs),
      ("longest without a read, ms", \.longestWithoutReadMs),
    ]
    for (name, path) in times {
      add(name, first.recovery[keyPath: path], second.recovery[keyPath: path])
    }
    add(
      "records acknowledged", Int64(first.records.acknowledged), Int64(second.records.acknowledged))
    add("records unknown", Int64(first.records.unknown), Int64(second.records.unknown))
    for kind in Set(first.anomalies.keys).union(second.anomalies.keys).sorted() {
      add(kind, Int64(first.anomalies[kind] ?? 0), Int64(second.anomalies[kind] ?? 0))
    }
  }

  private mutating func add(_ name: String, _ first: Int64?, _ second: Int64?) {
    var percent: Int?
    if let first, let second, first > 0 { percent = Int(second * 100 / first) }
    rows.append(
      Row(
        name: name, first: first.map { "\($0)" } ?? "-", second: second.map { "\($0)" } ?? "-",
        percent: percent))
  }
}
