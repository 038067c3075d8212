/// Where an ensemble is: `host:port,host:port/chroot`.
public struct ConnectString: Hashable, Sendable, CustomStringConvertible {
  public struct Server: Hashable, Sendable, CustomStringConvertible {
    public var host: String
    public var port: UInt16
    public init(host: String, port: UInt16) {
      self.host = host
      self.port = port
    }
    public var description: String {
      host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
  }

  /// Text that is no connect string, and why.
  public struct Invalid: Error, Equatable, Sendable, CustomStringConvertible {
    public let text: String
    public let reason: String
    public var description: String { "\"\(text)\": \(reason)" }
  }

  public static let defaultPort: UInt16 = 2181

  public var servers: [Server]
  /// A path put in front of all others; empty for none, and without a slash at its end.
  public var chroot: String

  public init(servers: [Server], chroot: String = "") {
    self.servers = servers
    self.chroot = chroot
  }

  /// Reads the text; a port that is missing is 2181.
  public init(_ text: String) throws(Invalid) {
    var list = text[...]
    chroot = ""
    if let slash = text.firstIndex(of: "/") {
      list = text[..<slash]
      chroot = String(text[slash...])
      while chroot.hasSuffix("/") { chroot.removeLast() }
      if chroot.contains("//") { throw Invalid(text: text, reason: "empty part in the chroot") }
    }
    servers = []
    for part in list.split(separator: ",") {
      let trimmed = part.drop { $0 == " " }
      let word = String(trimmed.prefix { $0 != " " })
      if word.isEmpty { continue }
      guard let server = Server(word) else {
        throw Invalid(text: text, reason: "\(word) is not host:port")
      }
      servers.append(server)
    }
    if servers.isEmpty { throw Invalid(text: text, reason: "no server") }
  }

  public var description: String {
    servers.map(\.description).joined(separator: ",") + chroot
  }

  // MARK: Paths

  /// The path as the server knows it.
  public func serverPath(_ path: String) -> String {
    if chroot.isEmpty { return path }
    return path == "/" ? chroot : chroot + path
  }

  /// The path as the client knows it; unchanged when it does not lie under the chroot.
  public func clientPath(_ path: String) -> String {
    guard !chroot.isEmpty, path.hasPrefix(chroot) else { return path }
    let rest = path.dropFirst(chroot.count)
    if rest.isEmpty { return "/" }
    return rest.hasPrefix("/") ? String(rest) : path
  }
}

extension ConnectString.Server {
  /// `host`, `host:port`, `[v6]:port` or a bare v6 address; nil for anything else.
  init?(_ word: String) {
    if word.hasPrefix("[") {
      guard let close = word.firstIndex(of: "]") else { return nil }
      host = String(word[word.index(after: word.startIndex)..<close])
      let rest = word[word.index(after: close)...]
      if rest.isEmpty {
        port = ConnectString.defaultPort
        return
      }
      guard rest.hasPrefix(":"), let number = UInt16(rest.dropFirst()) else { return nil }
      port = number
      return
    }
    let parts = word.split(separator: ":", omittingEmptySubsequences: false)
    switch parts.count {
    case 1:
      host = word
      port = ConnectString.defaultPort
    case 2:
      guard !parts[0].isEmpty, let number = UInt16(parts[1]) else { return nil }
      host = String(parts[0])
      port = number
    default:
      host = word
      port = ConnectString.defaultPort
    }
  }
}
