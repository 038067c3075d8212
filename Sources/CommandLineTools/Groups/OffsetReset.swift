import KafkaClient
import Foundation
import KafkaMessages
import KafkaProtocol
import Settings
import Values

/// `consumer-groups --reset-offsets`: works out new offsets, shows them, and commits them when told
/// to.
struct OffsetReset {
  let line: ParsedCommandLine
  let session: AdminSession
  let console: Console

  private static let ways = [
    "--to-earliest", "--to-latest", "--to-current", "--to-offset", "--shift-by", "--to-datetime",
    "--by-duration", "--from-file",
  ]

  func run(_ groups: [String]) async throws {
    let ways = Self.ways.filter(line.has)
    guard ways.count == 1 else {
      throw SettingsError("exactly one of \(Self.ways.joined(separator: ", ")) is needed")
    }
    for group in groups {
      let described = try await GroupQueries.describe(group, session)
      guard ["Empty", "Dead"].contains(described.groupState) else {
        throw ToolFailure(
          "group '\(group)' has members (it is \(described.groupState)); stop them first")
      }
      let targets = try await newOffsets(group, ways[0])
      show(group, targets)
      if line.has("--execute") { try await commit(group, targets) }
    }
    if !line.has("--execute"), !line.has("--export") {
      console.problem("nothing was changed; --execute does it")
    }
  }

  private func show(_ group: String, _ targets: [(TopicPartition, Int64)]) {
    if line.has("--export") {
      for (partition, offset) in targets {
        console.line("\"\(partition.topic)\",\(partition.partition),\(offset)")
      }
      return
    }
    console.table(
      ["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"],
      targets.map { [group, $0.0.topic, "\($0.0.partition)", "\($0.1)"] })
  }

  // MARK: Working out

  private func newOffsets(
    _ group: String, _ way: String
  ) async throws -> [(TopicPartition, Int64)] {
    if way == "--from-file" { return try await clamp(try fileOffsets()) }
    let current = Dictionary(
      try await GroupQueries.offsets(group, session).map { ($0.partition, $0.offset) }) { $1 }
    let partitions: [TopicPartition]
    if line.has("--all-topics") {
      partitions = current.keys.sorted()
    } else {
      partitions = try await GroupQueries.partitions(line.all("--topic"), session)
    }
    guard !partitions.isEmpty else { throw SettingsError("--topic or --all-topics is needed") }
    switch way {
    case "--to-earliest": return try await PartitionOffsets.list(partitions, at: -2, session)
    case "--to-latest": return try await PartitionOffsets.list(partitions, at: -1, session)
    case "--to-offset":
      let offset = Int64(try line.integer(way, in: 0...Int.max) ?? 0)
      return try await clamp(partitions.map { ($0, offset) })
    case "--to-current", "--shift-by":
      let shift = Int64(try line.integer("--shift-by") ?? 0)
      let known = partitions.compactMap { partition in
        current[partition].map { (partition, $0.addingReportingOverflow(shift).partialValue) }
      }
      return try await clamp(known)
    default:
      let time = way == "--to-datetime" ? try datetime() : try ago()
      let found = try await PartitionOffsets.list(partitions, at: time, session)
      let ends = Dictionary(
        try await PartitionOffsets.list(partitions, at: -1, session).map { ($0.0, $0.1) }) { $1 }
      // Nothing so young: the end.
      return found.map { ($0.0, $0.1 >= 0 ? $0.1 : ends[$0.0] ?? 0) }
    }
  }

  /// Offsets outside the log become its nearer end.
  private func clamp(
    _ wanted: [(TopicPartition, Int64)]
  ) async throws -> [(TopicPartition, Int64)] {
    let partitions = wanted.map(\.0)
    let starts = Dictionary(
      try await PartitionOffsets.list(partitions, at: -2, session).map { ($0.0, $0.1) }) { $1 }
    let ends = Dictionary(
      try await PartitionOffsets.list(partitions, at: -1, session).map { ($0.0, $0.1) }) { $1 }
    return wanted.map { partition, offset in
      let clamped = min(max(offset, starts[partition] ?? 0), ends[partition] ?? 0)
      if clamped != offset {
        console.problem("\(partition): \(offset) is outside the log; \(clamped) is taken")
      }
      return (partition, clamped)
    }
  }

  private func fileOffsets() throws -> [(TopicPartition, Int64)] {
    let path = try line.require("--from-file")
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw ToolFailure("\(path): no such file, or not readable")
    }
    return try text.split(separator: "\n").enumerated().map { number, row in
      let cells = row.split(separator: ",").map {
        $0.trimmingCharacters(in: CharacterSet(charactersIn: "\" \r"))
      }
      guard cells.count == 3, let partition = Int32(cells[1]), let offset = Int64(cells[2]) else {
        throw ToolFailure("\(path):\(number + 1): expected \"topic\",partition,offset")
      }
      return (TopicPartition(cells[0], partition), offset)
    }
  }

  private func datetime() throws -> Int64 {
    let text = try line.require("--to-datetime")
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = .current
    for format in ["yyyy-MM-dd'T'HH:mm:ss.SSS", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"] {
      formatter.dateFormat = format
      if let date = formatter.date(from: text) { return Int64(date.timeIntervalSince1970 * 1000) }
    }
    throw SettingsError(
      "expected YYYY-MM-DDThh:mm:ss.sss", key: "--to-datetime", value: text)
  }

  private func ago() throws -> Int64 {
    let text = try line.require("--by-duration")
    let pattern = #/P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?/#
    guard let match = text.wholeMatch(of: pattern) else {
      throw SettingsError("expected PnDTnHnMnS", key: "--by-duration", value: text)
    }
    func number(_ part: Substring?) -> Int64 { part.flatMap { Int64($0) } ?? 0 }
    let seconds =
      number(match.1) * 86400 + number(match.2) * 3600 + number(match.3) * 60 + number(match.4)
    return Int64(Date().timeIntervalSince1970 * 1000) - seconds * 1000
  }

  // MARK: Committing

  private func commit(_ group: String, _ targets: [(TopicPartition, Int64)]) async throws {
    let offsets = Dictionary(
      targets.map { ($0.0, CommittedOffset($0.1)) }, uniquingKeysWith: { $1 })
    let refused = try await session.admin.alterGroupOffsets(group, offsets)
    for (partition, code) in refused.sorted(by: { $0.key < $1.key }) {
      try ErrorCode.check(code.rawValue, nil, "\(partition)")
    }
  }
}
