import Foundation
import ZooKeeperClient
import ZooKeeperProtocol

// Commands that look, and watch.

extension ShellCommand {
  @Sendable static func ls(_ a: ShellArguments, _ session: ShellSession) async throws {
    let path = a.operands[0]
    let watches = a.options.contains("-w")
    if a.options.contains("-R") {
      try await forEachZnode(below: path, session, watches: watches) { session.console.line($0) }
      return
    }
    let answer = try await session.client().getChildren(path, watch: watches)
    session.console.line("[\(answer.children.sorted().joined(separator: ", "))]")
    if a.options.contains("-s") { print(answer.stat, on: session.console) }
  }

  /// A znode, then what is below it, in the order of names.
  static func forEachZnode(
    below root: String, _ session: ShellSession, watches: Bool = false,
    _ body: (String) async throws -> Void
  ) async throws {
    var waiting = [root]
    while let path = waiting.popLast() {
      try await body(path)
      let children = try await self.children(
        of: path, mayBeGone: path != root, watches: watches, session)
      waiting += children.sorted(by: >).map { path == "/" ? "/\($0)" : "\(path)/\($0)" }
    }
  }

  static func children(
    of path: String, mayBeGone: Bool, watches: Bool = false, _ session: ShellSession
  ) async throws -> [String] {
    do throws(ZooKeeperError) {
      return try await session.client().getChildren(path, watch: watches).children
    } catch {
      // Somebody else may delete it between the listing and the look.
      if error == .noNode, mayBeGone { return [] }
      throw error
    }
  }

  @Sendable static func get(_ a: ShellArguments, _ session: ShellSession) async throws {
    let answer = try await session.client().getData(
      a.operands[0], watch: a.options.contains("-w"))
    session.console.line(answer.data.map { String(decoding: $0, as: UTF8.self) } ?? "null")
    if a.options.contains("-s") { print(answer.stat, on: session.console) }
  }

  @Sendable static func stat(_ a: ShellArguments, _ session: ShellSession) async throws {
    guard
      let stat = try await session.client().exists(a.operands[0], watch: a.options.contains("-w"))
    else { throw ZooKeeperError.noNode }
    print(stat, on: session.console)
  }

  @Sendable static func getACL(_ a: ShellArguments, _ session: ShellSession) async throws {
    let answer = try await session.client().getACL(a.operands[0])
    for entry in answer.acl {
      session.console.line("'\(entry.id.scheme),'\(entry.id.id)")
      session.console.line(": \(ShellACL.letters(entry.perms))")
    }
    if a.options.contains("-s") { print(answer.stat, on: session.console) }
  }

  @Sendable static func getEphemerals(_ a: ShellArguments, _ session: ShellSession) async throws {
    let paths = try await session.client().getEphemerals(a.operands.first ?? "/")
    session.console.line("[\(paths.sorted().joined(separator: ", "))]")
  }

  @Sendable static func getAllChildrenNumber(
    _ a: ShellArguments, _ session: ShellSession
  ) async throws {
    session.console.line("\(try await session.client().getAllChildrenNumber(a.operands[0]))")
  }

  @Sendable static func sync(_ a: ShellArguments, _ session: ShellSession) async throws {
    try await session.client().sync(a.operands[0])
    session.console.line("Sync is OK")
  }

  @Sendable static func whoAmI(_ a: ShellArguments, _ session: ShellSession) async throws {
    let identities = try await session.client().whoAmI()
    session.console.line("Auth scheme: User")
    for identity in identities { session.console.line("\(identity.scheme): \(identity.id)") }
  }

  // MARK: Configuration

  @Sendable static func config(_ a: ShellArguments, _ session: ShellSession) async throws {
    let answer = try await session.client().getConfig(watch: a.options.contains("-w"))
    let text = String(decoding: answer.data ?? [], as: UTF8.self)
    session.console.line(a.options.contains("-c") ? clientAddresses(text) : text)
    if a.options.contains("-s") { print(answer.stat, on: session.console) }
  }

  /// The version, and where the servers take clients: `100000000 host:port,host:port`.
  private static func clientAddresses(_ text: String) -> String {
    var version = ""
    var addresses: [String] = []
    for line in text.split(separator: "\n") {
      if line.hasPrefix("version=") {
        version = String(line.dropFirst(8))
        continue
      }
      let halves = line.split(separator: ";", maxSplits: 1)
      guard line.hasPrefix("server."), halves.count == 2 else { continue }
      let client = String(halves[1])
      let server = halves[0].split(separator: "=").last?.split(separator: ":").first ?? ""
      // A port alone, or with every address, is found at the server's own name.
      let parts = client.split(separator: ":")
      let isOpen = parts.count == 1 || parts[0] == "0.0.0.0"
      addresses.append(isOpen ? "\(server):\(parts.last ?? "")" : client)
    }
    return "\(version) \(addresses.joined(separator: ","))"
  }

  // MARK: Watches

  @Sendable static func addWatch(_ a: ShellArguments, _ session: ShellSession) async throws {
    let mode: AddWatchMode
    switch a.values["-m"]?.uppercased() ?? "PERSISTENT_RECURSIVE" {
    case "PERSISTENT": mode = .persistent
    case "PERSISTENT_RECURSIVE": mode = .persistentRecursive
    default: throw Problem("mode must be PERSISTENT or PERSISTENT_RECURSIVE")
    }
    try await session.client().addWatch(a.operands[0], mode: mode)
  }

  @Sendable static func removeWatches(_ a: ShellArguments, _ session: ShellSession) async throws {
    let kinds: [(String, WatcherType)] = [("-c", .children), ("-d", .data), ("-a", .any)]
    let type = kinds.first { a.options.contains($0.0) }?.1 ?? .any
    try await session.client().removeWatches(
      a.operands[0], type: type, isLocal: a.options.contains("-l"))
  }

  // MARK: Stat

  static func print(_ stat: Stat, on console: Console) {
    func hex(_ value: Int64) -> String { "0x" + String(UInt64(bitPattern: value), radix: 16) }
    func time(_ milliseconds: Int64) -> String {
      let date = Date(timeIntervalSince1970: Double(milliseconds) / 1000)
      return date.formatted(.iso8601)
    }
    console.line("cZxid = \(hex(stat.czxid))")
    console.line("ctime = \(time(stat.ctime))")
    console.line("mZxid = \(hex(stat.mzxid))")
    console.line("mtime = \(time(stat.mtime))")
    console.line("pZxid = \(hex(stat.pzxid))")
    console.line("cversion = \(stat.cversion)")
    console.line("dataVersion = \(stat.version)")
    console.line("aclVersion = \(stat.aversion)")
    console.line("ephemeralOwner = \(hex(stat.ephemeralOwner))")
    console.line("dataLength = \(stat.dataLength)")
    console.line("numChildren = \(stat.numChildren)")
  }
}
