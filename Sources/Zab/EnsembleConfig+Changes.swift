import ZooKeeperProtocol

// What a reconfig request makes of a configuration.

extension EnsembleConfig {
  /// The configuration that a request asks for, without a version of its own.
  ///
  /// - Throws: `badArguments` for lines that cannot be read, a joining server without a client
  ///   port, an address that is taken, or an incremental change of a hierarchy.
  public func changed(by request: ReconfigRequest) throws(ZooKeeperError) -> EnsembleConfig {
    do throws(Mistake) {
      if let members = request.newMembers { return try Self.replacement(members) }
      guard !isHierarchical else {
        throw Mistake(key: "group", reason: "a hierarchy can only be replaced as a whole")
      }
      return try changed(joining: request.joiningServers, leaving: request.leavingServers)
    } catch {
      throw .badArguments
    }
  }

  /// Lines with commas or line ends between.
  private static func replacement(_ members: String) throws(Mistake) -> EnsembleConfig {
    var config = try EnsembleConfig(text: String(members.map { $0 == "," ? "\n" : $0 }))
    config.version = 0
    return config
  }

  private func changed(
    joining: String?, leaving: String?
  ) throws(Mistake) -> EnsembleConfig {
    var members = servers
    for name in Self.parts(leaving) {
      guard let id = Int64(name) else {
        throw Mistake(key: "leavingServers", value: name, reason: "expected the number of a server")
      }
      members.removeAll { $0.id == id }
    }
    for line in Self.parts(joining) {
      let joiner = try EnsembleConfig(text: line)
      guard joiner.servers.count == 1, let server = joiner.servers.first,
        server.clientPort != nil
      else {
        throw Mistake(
          key: "joiningServers", value: line, reason: "expected server.N=host:port:port;port")
      }
      members.removeAll { $0.id == server.id }
      if let other = members.first(where: { $0.sharesAddress(with: server) }) {
        throw Mistake(
          key: "server.\(server.id)", value: server.text,
          reason: "server.\(other.id) has the same address")
      }
      members.append(server)
    }
    return EnsembleConfig(servers: members)
  }

  private static func parts(_ list: String?) -> [String] {
    (list ?? "").split(separator: ",").map { $0.filter { !$0.isWhitespace } }
      .filter { !$0.isEmpty }
  }
}

extension EnsembleServer {
  /// Two servers on one host must not want the same port.
  func sharesAddress(with other: EnsembleServer) -> Bool {
    let ours = addresses
    return other.addresses.contains { theirs in
      ours.contains { $0.port == theirs.port && $0.host == theirs.host }
    }
  }

  private var addresses: [(host: String, port: UInt16)] {
    var found = [(host, quorumPort), (host, electionPort)]
    // Any interface is no place that could be told from others.
    if let clientPort, let clientHost, clientHost != "0.0.0.0" {
      found.append((clientHost, clientPort))
    }
    return found
  }
}
