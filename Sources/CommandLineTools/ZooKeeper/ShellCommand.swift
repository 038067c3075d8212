import Foundation
import ZooKeeperClient
import ZooKeeperProtocol

/// A command's words, sorted into options and operands.
struct ShellArguments {
  let options: Set<String>
  let values: [String: String]
  let operands: [String]

  /// Options that take a value: `-v version`, `-t ttl`.
  private static let valued: Set<String> = ["-v", "-t"]

  init(_ words: [String]) {
    var options: Set<String> = []
    var values: [String: String] = [:]
    var operands: [String] = []
    var rest = words[...]
    while let word = rest.popFirst() {
      // A dash alone, and any dash behind the path, is data.
      if operands.isEmpty, word.count == 2, word.hasPrefix("-") {
        options.insert(word)
        if Self.valued.contains(word) { values[word] = rest.popFirst() ?? "" }
      } else {
        operands.append(word)
      }
    }
    self.options = options
    self.values = values
    self.operands = operands
  }
}

/// The commands of the shell, in the words of ZooKeeper's own.
enum ShellCommand {
  struct Problem: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  private struct Entry: Sendable {
    let usage: String
    let options: Set<String>
    let operands: ClosedRange<Int>
    let run: @Sendable (ShellArguments, ShellSession) async throws -> Void
  }

  private static let entries: [String: Entry] = [
    "ls": Entry(
      usage: "ls [-s] [-w] [-R] path", options: ["-s", "-w", "-R"], operands: 1...1, run: ls),
    "get": Entry(usage: "get [-s] [-w] path", options: ["-s", "-w"], operands: 1...1, run: get),
    "stat": Entry(usage: "stat [-w] path", options: ["-w"], operands: 1...1, run: stat),
    "set": Entry(
      usage: "set [-s] [-v version] path data", options: ["-s", "-v"], operands: 2...2, run: set),
    "create": Entry(
      usage: "create [-s] [-e] [-c] path [data] [acl]", options: ["-s", "-e", "-c"],
      operands: 1...3, run: create),
    "delete": Entry(
      usage: "delete [-v version] path", options: ["-v"], operands: 1...1, run: delete),
    "deleteall": Entry(usage: "deleteall path", options: [], operands: 1...1, run: deleteAll),
    "getAcl": Entry(usage: "getAcl [-s] path", options: ["-s"], operands: 1...1, run: getACL),
    "setAcl": Entry(
      usage: "setAcl [-s] [-v version] path acl", options: ["-s", "-v"], operands: 2...2,
      run: setACL),
    "addauth": Entry(usage: "addauth scheme auth", options: [], operands: 1...2, run: addAuth),
    "sync": Entry(usage: "sync path", options: [], operands: 1...1, run: sync),
    "config": Entry(usage: "config [-s]", options: ["-s"], operands: 0...0, run: config),
    "version": Entry(usage: "version", options: [], operands: 0...0) { _, session in
      session.console.line("jackdaw \(ToolCatalogue.version), ZooKeeper protocol 3.8")
    },
    "help": Entry(usage: "help", options: [], operands: 0...0) { _, session in
      session.console.line(help)
    },
  ]

  static var help: String {
    let usages = entries.values.map { "  " + $0.usage } + ["  close", "  quit"]
    return "commands:\n" + usages.sorted().joined(separator: "\n")
  }

  static func run(
    _ name: String, _ arguments: ShellArguments, in session: ShellSession
  ) async throws {
    guard let entry = entries[name] else {
      throw Problem("Command not found: \(name); 'help' lists the commands")
    }
    let unknown = arguments.options.subtracting(entry.options)
    guard unknown.isEmpty, entry.operands.contains(arguments.operands.count) else {
      throw Problem("usage: \(entry.usage)")
    }
    do {
      try await entry.run(arguments, session)
    } catch let error as ZooKeeperError {
      throw Problem(text(error, arguments.operands.first ?? "/"))
    }
  }

  private static func text(_ error: ZooKeeperError, _ path: String) -> String {
    switch error {
    case .noNode: "Node does not exist: \(path)"
    case .nodeExists: "Node already exists: \(path)"
    case .notEmpty: "Node not empty: \(path)"
    case .noAuth: "Insufficient permission : \(path)"
    case .badVersion: "version No is not valid : \(path)"
    case .invalidACL: "KeeperErrorCode = InvalidACL for \(path)"
    case .noChildrenForEphemerals: "Ephemerals cannot have children: \(path)"
    case .quotaExceeded: "Quota has exceeded : \(path)"
    default: "\(error) for \(path)"
    }
  }

  private static func version(_ arguments: ShellArguments) throws -> Int32 {
    guard let text = arguments.values["-v"] else { return -1 }
    guard let version = Int32(text) else { throw Problem("not a version: \(text)") }
    return version
  }

  // MARK: Reading

  @Sendable private static func ls(_ a: ShellArguments, _ session: ShellSession) async throws {
    let path = a.operands[0]
    if a.options.contains("-R") {
      try await listTree(path, session)
      return
    }
    let answer = try await session.client.getChildren(path, watch: a.options.contains("-w"))
    session.console.line("[\(answer.children.sorted().joined(separator: ", "))]")
    if a.options.contains("-s") { print(answer.stat, on: session.console) }
  }

  private static func listTree(_ root: String, _ session: ShellSession) async throws {
    var waiting = [root]
    while let path = waiting.popLast() {
      session.console.line(path)
      let children = try await self.children(of: path, mayBeGone: path != root, session)
      waiting += children.sorted(by: >).map { path == "/" ? "/\($0)" : "\(path)/\($0)" }
    }
  }

  private static func children(
    of path: String, mayBeGone: Bool, _ session: ShellSession
  ) async throws -> [String] {
    do throws(ZooKeeperError) {
      return try await session.client.getChildren(path).children
    } catch {
      // Somebody else may delete it between the listing and the look.
      if error == .noNode, mayBeGone { return [] }
      throw error
    }
  }

  @Sendable private static func get(_ a: ShellArguments, _ session: ShellSession) async throws {
    let answer = try await session.client.getData(
      a.operands[0], watch: a.options.contains("-w"))
    session.console.line(answer.data.map { String(decoding: $0, as: UTF8.self) } ?? "null")
    if a.options.contains("-s") { print(answer.stat, on: session.console) }
  }

  @Sendable private static func stat(_ a: ShellArguments, _ session: ShellSession) async throws {
    guard
      let stat = try await session.client.exists(a.operands[0], watch: a.options.contains("-w"))
    else { throw ZooKeeperError.noNode }
    print(stat, on: session.console)
  }

  @Sendable private static func getACL(_ a: ShellArguments, _ session: ShellSession) async throws {
    let answer = try await session.client.getACL(a.operands[0])
    for entry in answer.acl {
      session.console.line("'\(entry.id.scheme),'\(entry.id.id)")
      session.console.line(": \(ShellACL.letters(entry.perms))")
    }
    if a.options.contains("-s") { print(answer.stat, on: session.console) }
  }

  @Sendable private static func config(_ a: ShellArguments, _ session: ShellSession) async throws {
    let answer = try await session.client.getData("/zookeeper/config")
    session.console.line(String(decoding: answer.data ?? [], as: UTF8.self))
    if a.options.contains("-s") { print(answer.stat, on: session.console) }
  }

  // MARK: Changing

  @Sendable private static func set(_ a: ShellArguments, _ session: ShellSession) async throws {
    let stat = try await session.client.setData(
      a.operands[0], Array(a.operands[1].utf8), version: try version(a))
    if a.options.contains("-s") { print(stat, on: session.console) }
  }

  @Sendable private static func create(_ a: ShellArguments, _ session: ShellSession) async throws {
    let mode: CreateMode
    switch (a.options.contains("-e"), a.options.contains("-s"), a.options.contains("-c")) {
    case (false, false, false): mode = .persistent
    case (true, false, false): mode = .ephemeral
    case (false, true, false): mode = .persistentSequential
    case (true, true, false): mode = .ephemeralSequential
    case (false, false, true): mode = .container
    default: throw Problem("-c cannot be combined with -s or -e")
    }
    let data = a.operands.count > 1 ? Array(a.operands[1].utf8) : nil
    let acl = a.operands.count > 2 ? try ShellACL.parse(a.operands[2]) : ACL.openUnsafe
    let answer = try await session.client.create(a.operands[0], data, mode: mode, acl: acl)
    session.console.line("Created \(answer.path)")
  }

  @Sendable private static func delete(_ a: ShellArguments, _ session: ShellSession) async throws {
    try await session.client.delete(a.operands[0], version: try version(a))
  }

  /// Children before parents; what somebody else deletes meanwhile is no error.
  @Sendable private static func deleteAll(
    _ a: ShellArguments, _ session: ShellSession
  ) async throws {
    var waiting = [a.operands[0]]
    var found: [String] = []
    while let path = waiting.popLast() {
      found.append(path)
      let children = try await self.children(of: path, mayBeGone: found.count > 1, session)
      waiting += children.map { path == "/" ? "/\($0)" : "\(path)/\($0)" }
    }
    for path in found.reversed() where path != "/" && !path.hasPrefix("/zookeeper") {
      do throws(ZooKeeperError) {
        try await session.client.delete(path)
      } catch {
        if error != .noNode { throw error }
      }
    }
  }

  @Sendable private static func setACL(_ a: ShellArguments, _ session: ShellSession) async throws {
    let stat = try await session.client.setACL(
      a.operands[0], try ShellACL.parse(a.operands[1]), version: try version(a))
    if a.options.contains("-s") { print(stat, on: session.console) }
  }

  @Sendable private static func addAuth(_ a: ShellArguments, _ session: ShellSession) async throws {
    let auth = a.operands.count > 1 ? Array(a.operands[1].utf8) : []
    try await session.client.addAuth(scheme: a.operands[0], auth)
  }

  @Sendable private static func sync(_ a: ShellArguments, _ session: ShellSession) async throws {
    try await session.client.sync(a.operands[0])
    session.console.line("Sync is OK")
  }

  // MARK: Stat

  private static func print(_ stat: Stat, on console: Console) {
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

/// ACLs as the shell writes them: `world:anyone:cdrwa,ip:127.0.0.1:r`.
enum ShellACL {
  private static let bits: [(Character, Permissions)] = [
    ("c", .create), ("d", .delete), ("r", .read), ("w", .write), ("a", .admin),
  ]

  static func letters(_ permissions: Permissions) -> String {
    String(bits.filter { permissions.contains($0.1) }.map(\.0))
  }

  static func parse(_ text: String) throws -> [ACL] {
    try text.split(separator: ",").map { entry in
      // The id may hold colons (digest:user:hash): the scheme is before the first, the letters
      // after the last.
      guard let first = entry.firstIndex(of: ":"), let last = entry.lastIndex(of: ":"),
        first < last
      else { throw ShellCommand.Problem("\(entry) does not have the form scheme:id:perm") }
      var permissions: Permissions = []
      for letter in entry[entry.index(after: last)...] {
        guard let bit = bits.first(where: { $0.0 == letter }) else {
          throw ShellCommand.Problem("Unknown perm type: \(letter)")
        }
        permissions.insert(bit.1)
      }
      let id = entry[entry.index(after: first)..<last]
      return ACL(
        perms: permissions, id: AuthID(scheme: String(entry[..<first]), id: String(id)))
    }
  }
}
