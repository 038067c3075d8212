import Platform
import ZooKeeperClient
import ZooKeeperProtocol

// Commands that change the tree, or who we are.

extension ShellCommand {
  @Sendable static func set(_ a: ShellArguments, _ session: ShellSession) async throws {
    let stat = try await session.client().setData(
      a.operands[0], Array(a.operands[1].utf8), version: try a.version())
    if a.options.contains("-s") { print(stat, on: session.console) }
  }

  @Sendable static func create(_ a: ShellArguments, _ session: ShellSession) async throws {
    let (path, client) = (a.operands[0], try session.client())
    let (isEphemeral, isSequential) = (a.options.contains("-e"), a.options.contains("-s"))
    let data = a.operands.count > 1 ? Array(a.operands[1].utf8) : nil
    let acl = a.operands.count > 2 ? try ShellACL.parse(a.operands[2]) : ACL.openUnsafe
    if a.options.contains("-t") {
      guard let ttl = try a.integer("-t"), ttl > 0 else {
        throw Problem("-t argument must be a long value above zero")
      }
      if isEphemeral { throw Problem("TTLs cannot be used with Ephemeral znodes") }
      if a.options.contains("-c") { throw Problem("TTLs cannot be used with Container znodes") }
      let answer = try await client.create(
        path, data, ttlMs: ttl, isSequential: isSequential, acl: acl)
      session.console.line("Created \(answer.path)")
      return
    }
    let mode: CreateMode
    switch (isEphemeral, isSequential, a.options.contains("-c")) {
    case (false, false, false): mode = .persistent
    case (true, false, false): mode = .ephemeral
    case (false, true, false): mode = .persistentSequential
    case (true, true, false): mode = .ephemeralSequential
    case (false, false, true): mode = .container
    default:
      throw Problem(
        "-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.")
    }
    let answer = try await client.create(path, data, mode: mode, acl: acl)
    session.console.line("Created \(answer.path)")
  }

  @Sendable static func delete(_ a: ShellArguments, _ session: ShellSession) async throws {
    try await session.client().delete(a.operands[0], version: try a.version())
  }

  /// Children before parents, so many at a time; what somebody else deletes meanwhile is no error.
  @Sendable static func deleteAll(_ a: ShellArguments, _ session: ShellSession) async throws {
    let batch = Int(try a.integer("-b") ?? 1000)
    guard batch > 0 else { throw Problem("-b argument must be an int value above zero") }
    var found: [String] = []
    try await forEachZnode(below: a.operands[0], session) { found.append($0) }
    let doomed = found.reversed().filter { $0 != "/" && !$0.hasPrefix("/zookeeper") }
    var rest = doomed[...]
    let client = try session.client()
    while !rest.isEmpty {
      let part = rest.prefix(batch)
      rest = rest.dropFirst(batch)
      // One request for each, all under way together: a multi would undo all for the sake of one
      // that is gone.
      try await withThrowingTaskGroup(of: Void.self) { group in
        // Children must go before their parents: those of one depth go together.
        for level in Self.levels(of: part) {
          for path in level {
            group.addTask {
              do throws(ZooKeeperError) { try await client.delete(path) } catch {
                if error != .noNode { throw error }
              }
            }
          }
          try await group.waitForAll()
        }
      }
    }
  }

  /// Paths by their depth, the deepest first.
  private static func levels(of paths: some Sequence<String>) -> [[String]] {
    var levels: [Int: [String]] = [:]
    for path in paths { levels[path.count { $0 == "/" }, default: []].append(path) }
    return levels.keys.sorted(by: >).map { levels[$0] ?? [] }
  }

  @Sendable static func setACL(_ a: ShellArguments, _ session: ShellSession) async throws {
    let (path, acl, version) = (a.operands[0], try ShellACL.parse(a.operands[1]), try a.version())
    let client = try session.client()
    var paths = [path]
    if a.options.contains("-R") {
      paths = []
      try await forEachZnode(below: path, session) { paths.append($0) }
    }
    for path in paths {
      let stat = try await client.setACL(path, acl, version: version)
      if a.options.contains("-s") { print(stat, on: session.console) }
    }
  }

  @Sendable static func addAuth(_ a: ShellArguments, _ session: ShellSession) async throws {
    let auth = a.operands.count > 1 ? Array(a.operands[1].utf8) : []
    try await session.client().addAuth(scheme: a.operands[0], auth)
  }

  @Sendable static func reconfigure(_ a: ShellArguments, _ session: ShellSession) async throws {
    var change = ReconfigRequest()
    change.joiningServers = a.values["-add"]
    change.leavingServers = a.values["-remove"]
    change.newMembers = a.values["-members"]
    if let file = a.values["-file"] {
      guard change.newMembers == nil else {
        throw Problem("Can't use -file and -members together")
      }
      guard let bytes = try FileSystem.readFile(file) else {
        throw Problem("\(file): no such file")
      }
      let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
      change.newMembers = lines.filter { $0.hasPrefix("server.") || $0.hasPrefix("group") }
        .joined(separator: ",")
    }
    let isIncremental = change.joiningServers != nil || change.leavingServers != nil
    guard isIncremental != (change.newMembers != nil) else {
      throw Problem("usage: \(entries["reconfig"]?.usage ?? "")")
    }
    if let version = a.values["-v"] {
      guard let number = UInt64(version, radix: 16) else {
        throw Problem("not a version: \(version)")
      }
      change.curConfigID = Int64(bitPattern: number)
    }
    let answer = try await session.client().reconfigure(change)
    session.console.line("Committed new configuration:")
    session.console.line(String(decoding: answer.data ?? [], as: UTF8.self))
    if a.options.contains("-s") { print(answer.stat, on: session.console) }
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
    try entries(of: text).map { entry in
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

  /// The parts between commas; the commas of a certificate's subject part nothing.
  private static func entries(of text: String) -> [String] {
    var entries: [String] = []
    for part in text.split(separator: ",") {
      if let last = entries.last, last.hasPrefix("x509:"), !endsInLetters(last) {
        entries[entries.count - 1] = last + "," + part
      } else {
        entries.append(String(part))
      }
    }
    return entries
  }

  private static func endsInLetters(_ entry: String) -> Bool {
    guard let last = entry.lastIndex(of: ":"), last != entry.firstIndex(of: ":") else {
      return false
    }
    return entry[entry.index(after: last)...].allSatisfy { "cdrwa".contains($0) }
  }
}
