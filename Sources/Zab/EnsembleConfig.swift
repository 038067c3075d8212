// Who is in the ensemble: the lines of a dynamic configuration, as files, the network and
// `/zookeeper/config` carry them.

/// One `server.N` line:
/// `host:quorumPort:electionPort[:participant|observer][;[address:]clientPort]`.
public struct EnsembleServer: Hashable, Sendable {
  public var id: Int64
  public var host: String
  public var quorumPort: UInt16
  public var electionPort: UInt16
  public var isObserver = false
  /// After the semicolon: where this server takes clients.
  public var clientHost: String?
  public var clientPort: UInt16?

  public init(
    id: Int64, host: String, quorumPort: UInt16, electionPort: UInt16, isObserver: Bool = false
  ) {
    self.id = id
    self.host = host
    self.quorumPort = quorumPort
    self.electionPort = electionPort
    self.isObserver = isObserver
  }

  /// The line's value as ZooKeeper writes it into its dynamic configuration.
  public var text: String {
    let role = isObserver ? "observer" : "participant"
    var text = "\(Self.delimited(host)):\(quorumPort):\(electionPort):\(role)"
    if let clientPort { text += ";\(Self.delimited(clientHost ?? "0.0.0.0")):\(clientPort)" }
    return text
  }

  private static func delimited(_ host: String) -> String {
    host.contains(":") ? "[\(host)]" : host
  }
}

/// A configuration of the ensemble: its servers, and groups and weights if it has a hierarchy.
public struct EnsembleConfig: Hashable, Sendable {
  /// By id, ascending.
  public private(set) var servers: [EnsembleServer] = []
  /// Members by group; empty unless quorums are hierarchical.
  public private(set) var groups: [Int64: [Int64]] = [:]
  public private(set) var weights: [Int64: Int64] = [:]
  /// The zxid of the reconfiguration it came from; 0 for what was never changed.
  public var version: Int64 = 0

  public init() {}

  public init(servers: [EnsembleServer], version: Int64 = 0) {
    self.servers = servers.sorted { $0.id < $1.id }
    self.version = version
  }

  /// A line that cannot be used, and why.
  public struct Mistake: Error, Hashable, Sendable {
    public var key: String
    public var value: String?
    public var reason: String

    init(key: String, value: String? = nil, reason: String) {
      self.key = key
      self.value = value
      self.reason = reason
    }
  }

  /// Reads `server.N`, `group.N`, `weight.N` and `version`.
  public init(
    _ lines: some Sequence<(key: String, value: String)>
  ) throws(Mistake) {
    for (key, value) in lines {
      do throws(Complaint) { try take(key, value) } catch {
        throw Mistake(key: key, value: value, reason: error.reason)
      }
    }
    servers.sort { $0.id < $1.id }
    guard isHierarchical else { return }
    for server in servers where !server.isObserver {
      guard groups.values.contains(where: { $0.contains(server.id) }) else {
        throw Mistake(key: "server.\(server.id)", reason: "is not in a group, and others are")
      }
      weights[server.id] = weights[server.id] ?? 1
    }
  }

  /// Reads lines of `key=value`, as `text` makes them.
  public init(text: String) throws(Mistake) {
    var lines: [(key: String, value: String)] = []
    for line in text.split(whereSeparator: \.isNewline) where !line.allSatisfy(\.isWhitespace) {
      let halves = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard halves.count == 2 else {
        throw Mistake(key: String(line), reason: "expected key=value")
      }
      lines.append((Self.trimmed(halves[0]), Self.trimmed(halves[1])))
    }
    try self.init(lines)
  }

  private static func trimmed(_ text: Substring) -> String {
    let start = text.drop(while: \.isWhitespace)
    let blanks = start.reversed().prefix(while: \.isWhitespace).count
    return String(start.dropLast(blanks))
  }

  public var isHierarchical: Bool { !groups.isEmpty || !weights.isEmpty }
  public var participantCount: Int { servers.count { !$0.isObserver } }
  public func server(_ id: Int64) -> EnsembleServer? { servers.first { $0.id == id } }

  /// The lines as ZooKeeper orders them, the version last and without a line end.
  public var text: String { memberLines.map { $0 + "\n" }.joined() + "version=" + versionText }

  /// Hexadecimal, as file names have it too.
  public var versionText: String { String(UInt64(bitPattern: version), radix: 16) }

  /// All lines but the version.
  public var memberLines: [String] {
    servers.map { "server.\($0.id)=\($0.text)" }
      + groups.keys.sorted().map { group in
        "group.\(group)=" + (groups[group] ?? []).map(String.init).joined(separator: ":")
      } + weights.keys.sorted().map { "weight.\($0)=\(weights[$0] ?? 1)" }
  }

  /// Whether both have the same members with the same roles and votes.
  public func hasSameMembers(as other: EnsembleConfig) -> Bool {
    servers == other.servers && groups == other.groups && weights == other.weights
  }

  // MARK: Lines

  private struct Complaint: Error { var reason: String }

  private mutating func take(_ key: String, _ value: String) throws(Complaint) {
    let parts = key.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    if key == "version" {
      guard let number = UInt64(value, radix: 16) else {
        throw Complaint(reason: "must be a hexadecimal number")
      }
      version = Int64(bitPattern: number)
      return
    }
    guard parts.count == 2, ["server", "group", "weight"].contains(parts[0]) else {
      throw Complaint(reason: "does not belong into a dynamic configuration")
    }
    guard let number = Int64(parts[1]), number >= 0 else {
      throw Complaint(reason: "the number after '\(parts[0]).' must be a whole number from 0")
    }
    switch parts[0] {
    case "server":
      guard server(number) == nil else { throw Complaint(reason: "given twice") }
      servers.append(try Self.server(number, value))
    case "group": try takeGroup(number, value)
    default:
      guard let weight = Int64(value), (0...Int64(Int32.max)).contains(weight) else {
        throw Complaint(reason: "must be a whole number from 0 to \(Int32.max)")
      }
      weights[number] = weight
    }
  }

  private mutating func takeGroup(_ group: Int64, _ value: String) throws(Complaint) {
    var members: [Int64] = []
    for part in value.split(separator: ":", omittingEmptySubsequences: false) {
      guard let member = Int64(part) else {
        throw Complaint(reason: "expected numbers of servers with colons between")
      }
      guard !members.contains(member), !groups.values.contains(where: { $0.contains(member) })
      else { throw Complaint(reason: "server \(member) is in more than one group") }
      members.append(member)
    }
    groups[group] = members.sorted()
  }

  private static func server(_ id: Int64, _ value: String) throws(Complaint) -> EnsembleServer {
    // A server's own number must fit into the top byte of session ids, and is checked at its start.
    guard id >= 0 else {
      throw Complaint(reason: "the number after 'server.' must not be negative")
    }
    guard !value.contains("|") else {
      throw Complaint(reason: "several addresses for one server are not supported")
    }
    let halves = value.split(separator: ";", omittingEmptySubsequences: false).map(String.init)
    guard halves.count <= 2, let quorum = addressParts(halves[0]), (3...4).contains(quorum.count),
      !quorum[0].isEmpty, let quorumPort = UInt16(quorum[1]), let electionPort = UInt16(quorum[2])
    else {
      throw Complaint(
        reason: "expected host:port:port[:participant|observer][;[address:]clientPort]")
    }
    guard quorumPort != electionPort else {
      throw Complaint(reason: "quorum and election port must differ")
    }
    var server = EnsembleServer(
      id: id, host: quorum[0], quorumPort: quorumPort, electionPort: electionPort)
    if quorum.count > 3 {
      guard ["observer", "participant"].contains(quorum[3].lowercased()) else {
        throw Complaint(reason: "expected participant or observer after the ports")
      }
      server.isObserver = quorum[3].lowercased() == "observer"
    }
    if halves.count > 1 {
      let parts = addressParts(halves[1]) ?? []
      guard let last = parts.last, let port = UInt16(last), parts.count <= 2 else {
        throw Complaint(reason: "expected [address:]clientPort after the semicolon")
      }
      server.clientPort = port
      server.clientHost = parts.count == 2 ? parts[0] : "0.0.0.0"
    }
    return server
  }

  /// The parts between colons; a v6 address in brackets is one of them.
  private static func addressParts(_ text: String) -> [String]? {
    guard text.hasPrefix("[") else { return text.split(separator: ":").map(String.init) }
    guard let close = text.firstIndex(of: "]") else { return nil }
    let host = String(text[text.index(after: text.startIndex)..<close])
    let rest = text[text.index(after: close)...].split(separator: ":").map(String.init)
    return [host] + rest
  }
}
