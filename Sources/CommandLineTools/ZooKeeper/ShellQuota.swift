import ZooKeeperClient
import ZooKeeperProtocol

/// What a quota limits, or what there is: ZooKeeper's text form, `count=5,bytes=-1=;…`.
struct QuotaLimits: Equatable {
  var count: Int64 = -1
  var bytes: Int64 = -1
  var countHard: Int64?
  var bytesHard: Int64?

  init() {}

  /// Reads what a znode under `/zookeeper/quota` holds; what is missing is no limit.
  init(_ text: String) {
    for part in text.split(whereSeparator: { ",;".contains($0) }) {
      let pair = part.split(separator: "=")
      guard pair.count >= 2, let value = Int64(pair[1]) else { continue }
      switch pair[0] {
      case "count": count = value
      case "bytes": bytes = value
      case "countHardLimit": countHard = value
      case "byteHardLimit": bytesHard = value
      default: break
      }
    }
  }

  /// Count and bytes come first, as old servers read them; the sign behind them hides the rest.
  var text: String {
    var text = "count=\(count),bytes=\(bytes)"
    if countHard != nil || bytesHard != nil { text += "=" }
    if let bytesHard { text += ";byteHardLimit=\(bytesHard)" }
    if let countHard { text += ";countHardLimit=\(countHard)" }
    return text
  }
}

/// The commands about quotas. A quota lives in `/zookeeper/quota<path>/zookeeper_limits`, what
/// there is in `zookeeper_stats` beside it.
enum ShellQuota {
  private static let root = "/zookeeper/quota"
  private static func folder(_ path: String) -> String { path == "/" ? root : root + path }
  private static func limits(_ path: String) -> String { folder(path) + "/zookeeper_limits" }
  private static func stats(_ path: String) -> String { folder(path) + "/zookeeper_stats" }

  private static func read(_ path: String, _ session: ShellSession) async throws -> QuotaLimits {
    let data = try await session.client().getData(path).data ?? []
    return QuotaLimits(String(decoding: data, as: UTF8.self))
  }

  @Sendable static func list(_ a: ShellArguments, _ session: ShellSession) async throws {
    let path = a.operands[0]
    session.console.problem("absolute path is \(limits(path))")
    guard try await session.client().exists(limits(path)) != nil else {
      throw ShellCommand.Problem("quota for \(path) does not exist.")
    }
    let limit = try await read(limits(path), session)
    session.console.line("Output quota for \(path) \(limit.text)")
    let stat = try await read(stats(path), session)
    session.console.line("Output stat for \(path) \(stat.text)")
  }

  @Sendable static func set(_ a: ShellArguments, _ session: ShellSession) async throws {
    let path = a.operands[0]
    guard !path.hasPrefix(root) else {
      throw ShellCommand.Problem("cannot set a quota under the path: \(root)")
    }
    let given = try options(a)
    let client = try session.client()
    guard try await client.exists(path) != nil else {
      throw ShellCommand.Problem("\(path) does not exist.")
    }
    try await refuseOthers(path, client)
    if try await client.exists(limits(path)) != nil {
      var limit = try await read(limits(path), session)
      apply(given, to: &limit)
      try await client.setData(limits(path), Array(limit.text.utf8))
    } else {
      var limit = QuotaLimits()
      apply(given, to: &limit)
      try await createFolders(path, client)
      try await client.create(limits(path), Array(limit.text.utf8))
      var nothing = QuotaLimits()
      (nothing.count, nothing.bytes) = (0, 0)
      try await client.create(stats(path), Array(nothing.text.utf8))
    }
    try await warn(path, session)
  }

  private static func options(_ a: ShellArguments) throws -> [String: Int64] {
    var given: [String: Int64] = [:]
    for option in ["-n", "-b", "-N", "-B"] where a.options.contains(option) {
      guard let value = Int64(a.values[option] ?? "") else {
        throw ShellCommand.Problem("not a number: \(a.values[option] ?? "")")
      }
      let isCount = option.lowercased() == "-n"
      guard value >= (isCount ? 1 : 0) else {
        throw ShellCommand.Problem(
          isCount
            ? "the num quota must be greater than zero"
            : "the bytes quota must be greater than or equal to zero")
      }
      given[option] = value
    }
    guard given.count == 1 else {
      throw ShellCommand.Problem("usage: setquota -n|-b|-N|-B val path")
    }
    return given
  }

  private static func apply(_ given: [String: Int64], to limit: inout QuotaLimits) {
    if let value = given["-n"] { limit.count = value }
    if let value = given["-b"] { limit.bytes = value }
    if let value = given["-N"] { limit.countHard = value }
    if let value = given["-B"] { limit.bytesHard = value }
  }

  /// Quotas do not nest: neither above nor below may be another.
  private static func refuseOthers(_ path: String, _ client: ZooKeeperClient) async throws {
    var above = ""
    for part in path.split(separator: "/").dropLast() {
      above += "/\(part)"
      if try await client.exists(limits(above)) != nil {
        throw ShellCommand.Problem("\(path) has a parent \(above) which has a quota")
      }
    }
    var waiting = [path]
    while let next = waiting.popLast() {
      let children: [String]
      do throws(ZooKeeperError) { children = try await client.getChildren(folder(next)).children }
      catch {
        if error == .noNode { continue }
        throw error
      }
      for child in children where !child.hasPrefix("zookeeper_") {
        waiting.append(next == "/" ? "/\(child)" : "\(next)/\(child)")
      }
      if next != path, children.contains("zookeeper_limits") {
        throw ShellCommand.Problem("\(path) has a child \(next) which has a quota")
      }
    }
  }

  private static func createFolders(_ path: String, _ client: ZooKeeperClient) async throws {
    var folder = root
    for part in path.split(separator: "/") {
      folder += "/\(part)"
      do throws(ZooKeeperError) { try await client.create(folder, nil) } catch {
        if error != .nodeExists { throw error }
      }
    }
  }

  private static func warn(_ path: String, _ session: ShellSession) async throws {
    let limit = try await read(limits(path), session)
    let stat = try await read(stats(path), session)
    func isExceeded(_ limit: Int64?, by value: Int64) -> Bool {
      limit.map { $0 > -1 && $0 < value } ?? false
    }
    if isExceeded(limit.count, by: stat.count) || isExceeded(limit.countHard, by: stat.count) {
      session.console.line(
        "[Warning]: the count quota you create is less than the existing count:\(stat.count)")
    }
    if isExceeded(limit.bytes, by: stat.bytes) || isExceeded(limit.bytesHard, by: stat.bytes) {
      session.console.line(
        "[Warning]: the bytes quota you create is less than the existing bytes:\(stat.bytes)")
    }
  }

  @Sendable static func delete(_ a: ShellArguments, _ session: ShellSession) async throws {
    let path = a.operands[0]
    let client = try session.client()
    guard try await client.exists(limits(path)) != nil else {
      session.console.line("Quota does not exist for \(path)")
      return
    }
    guard a.options.isEmpty else {
      var limit = try await read(limits(path), session)
      if a.options.contains("-n") { limit.count = -1 }
      if a.options.contains("-b") { limit.bytes = -1 }
      if a.options.contains("-N") { limit.countHard = -1 }
      if a.options.contains("-B") { limit.bytesHard = -1 }
      try await client.setData(limits(path), Array(limit.text.utf8))
      return
    }
    try await client.delete(limits(path))
    try await client.delete(stats(path))
    // Folders that hold no other quota go, too.
    var empty = folder(path)
    while empty != root, try await client.getChildren(empty).children.isEmpty {
      try await client.delete(empty)
      empty = String(empty[..<(empty.lastIndex(of: "/") ?? empty.startIndex)])
    }
  }
}
