import ZooKeeperClient
import ZooKeeperProtocol

/// The commands of the shell, in the words of ZooKeeper 3.8's own. Those about the session itself
/// (`connect`, `history`, …) are `ShellSession`'s.
enum ShellCommand {
  struct Problem: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  struct Entry: Sendable {
    let usage: String
    /// True for those that take a value.
    var options: [String: Bool] = [:]
    let operands: ClosedRange<Int>
    var isTrailing = false
    let run: @Sendable (ShellArguments, ShellSession) async throws -> Void
  }

  private static let reading: [String: Entry] = [
    "ls": Entry(
      usage: "ls [-s] [-w] [-R] path", options: ["-s": false, "-w": false, "-R": false],
      operands: 1...1, run: ls),
    "get": Entry(
      usage: "get [-s] [-w] path", options: ["-s": false, "-w": false], operands: 1...1, run: get),
    "stat": Entry(usage: "stat [-w] path", options: ["-w": false], operands: 1...1, run: stat),
    "getAcl": Entry(
      usage: "getAcl [-s] path", options: ["-s": false], operands: 1...1, run: getACL),
    "getEphemerals": Entry(usage: "getEphemerals path", operands: 0...1, run: getEphemerals),
    "getAllChildrenNumber": Entry(
      usage: "getAllChildrenNumber path", operands: 1...1, run: getAllChildrenNumber),
    "sync": Entry(usage: "sync path", operands: 1...1, run: sync),
    "config": Entry(
      usage: "config [-c] [-w] [-s]", options: ["-c": false, "-w": false, "-s": false],
      operands: 0...0, run: config),
    "whoami": Entry(usage: "whoami", operands: 0...0, run: whoAmI),
    "listquota": Entry(usage: "listquota path", operands: 1...1, run: ShellQuota.list),
    "addWatch": Entry(
      usage: "addWatch [-m mode] path", options: ["-m": true], operands: 1...1, isTrailing: true,
      run: addWatch),
    "removewatches": Entry(
      usage: "removewatches path [-c|-d|-a] [-l]",
      options: ["-c": false, "-d": false, "-a": false, "-l": false], operands: 1...1,
      isTrailing: true, run: removeWatches),
    "version": Entry(usage: "version", operands: 0...0) { _, session in
      session.console.line(
        "ZooKeeper CLI version: 3.8.0-jackdaw, jackdaw \(ToolCatalogue.version)")
    },
  ]

  private static let changing: [String: Entry] = [
    "set": Entry(
      usage: "set [-s] [-v version] path data", options: ["-s": false, "-v": true],
      operands: 2...2, run: set),
    "create": Entry(
      usage: "create [-s] [-e] [-c] [-t ttl] path [data] [acl]",
      options: ["-s": false, "-e": false, "-c": false, "-t": true], operands: 1...3, run: create),
    "delete": Entry(
      usage: "delete [-v version] path", options: ["-v": true], operands: 1...1, run: delete),
    "deleteall": Entry(
      usage: "deleteall path [-b batch size]", options: ["-b": true], operands: 1...1,
      isTrailing: true, run: deleteAll),
    "setAcl": Entry(
      usage: "setAcl [-s] [-v version] [-R] path acl",
      options: ["-s": false, "-v": true, "-R": false], operands: 2...2, run: setACL),
    "addauth": Entry(usage: "addauth scheme auth", operands: 1...2, run: addAuth),
    "setquota": Entry(
      usage: "setquota -n|-b|-N|-B val path",
      options: ["-n": true, "-b": true, "-N": true, "-B": true], operands: 1...1,
      run: ShellQuota.set),
    "delquota": Entry(
      usage: "delquota [-n|-b|-N|-B] path",
      options: ["-n": false, "-b": false, "-N": false, "-B": false], operands: 1...1,
      run: ShellQuota.delete),
    "reconfig": Entry(
      usage: "reconfig [-s] [-v version] [[-file path] | [-members serverID=host:port1:port2;port3"
        + "[,...]*]] | [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]",
      options: [
        "-s": false, "-v": true, "-file": true, "-members": true, "-add": true, "-remove": true,
      ], operands: 0...0, run: reconfigure),
  ]

  static let entries = reading.merging(changing) { first, _ in first }

  static var help: String {
    let usages = entries.values.map { "\t" + $0.usage } + ShellSession.usages.map { "\t" + $0 }
    return "jackdaw zookeeper-shell host:port cmd args\n"
      + usages.sorted().joined(separator: "\n")
  }

  static func run(_ name: String, _ words: [String], in session: ShellSession) async throws {
    guard let entry = entries[name] else {
      throw Problem("Command not found: Command not found \(name)")
    }
    let arguments = try ShellArguments(words, known: entry.options, isTrailing: entry.isTrailing)
    guard entry.operands.contains(arguments.operands.count) else {
      throw Problem("usage: \(entry.usage)")
    }
    if let path = arguments.operands.first, path != "/", name != "addauth" {
      try check(path: path)
    }
    do {
      try await entry.run(arguments, session)
    } catch let error as ZooKeeperError {
      throw Problem(text(error, arguments.operands.first ?? "/"))
    }
  }

  /// What no server would take, told in words.
  private static func check(path: String) throws {
    guard path.hasPrefix("/") else {
      throw Problem("Path must start with / character")
    }
    guard !path.hasSuffix("/") else {
      throw Problem("Path must not end with / character")
    }
    guard !path.contains("//") else {
      throw Problem("Invalid path string \"\(path)\" caused by empty node name specified")
    }
  }

  /// Errors in the words of ZooKeeper's shell, which scripts look for.
  private static func text(_ error: ZooKeeperError, _ path: String) -> String {
    switch error {
    case .noNode: "Node does not exist: \(path)"
    case .nodeExists: "Node already exists: \(path)"
    case .notEmpty: "Node not empty: \(path)"
    case .noAuth: "Insufficient permission : \(path)"
    case .badVersion: "version No is not valid : \(path)"
    case .badArguments: "Arguments are not valid : \(path)"
    case .invalidACL: "Acl is not valid : \(path)"
    case .noChildrenForEphemerals: "Ephemerals cannot have children: \(path)"
    case .quotaExceeded: "Quota has exceeded : \(path)"
    case .noWatcher: "No watcher of the given type on \(path)"
    case .reconfigInProgress:
      "Another reconfiguration is in progress -- concurrent reconfigs not supported (yet)"
    case .newConfigNoQuorum:
      "No quorum of new config is connected and up-to-date with the leader of last commmitted"
        + " config - try invoking reconfiguration after new servers are connected and synced"
    default: "\(error) for \(path)"
    }
  }
}
