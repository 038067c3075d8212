import Bytes
import ZooKeeperProtocol

/// What an operation comes to; the completion is called on the client's loop.
public typealias Completion<Answer> = @Sendable (Result<Answer, ZooKeeperError>) -> Void

/// An answer without content.
struct Nothing: JuteRecord, Sendable {
  init(from reader: inout ByteReader) throws(ByteError) {}
  init() {}
  func write(to writer: inout ByteWriter) {}
}

// The operations. Versions: -1 matches any. `watch: true` sets a one-shot watch, told to `onWatch`.

extension ZooKeeperClient {
  /// Creates a znode; answers its path (a sequential one's with its number) and stat.
  public func create(
    _ path: String, _ data: [UInt8]?, mode: CreateMode = .persistent,
    acl: [ACL] = ACL.openUnsafe, _ completion: @escaping Completion<Create2Response>
  ) {
    let body = CreateRequest(path: serverPath(path), data: data, acl: acl, mode: mode)
    let type: OpCode = mode == .container ? .createContainer : .create2
    request(type, body, answer: Create2Response.self) { [connectString] result in
      completion(
        result.map {
          Create2Response(path: connectString.clientPath($0.path), stat: $0.stat)
        })
    }
  }

  /// Deletes a znode without children.
  public func delete(
    _ path: String, version: Int32 = -1, _ completion: @escaping Completion<Void>
  ) {
    let body = PathVersionRequest(path: serverPath(path), version: version)
    request(.delete, body, answer: Nothing.self) { completion($0.map { _ in }) }
  }

  /// The stat of a znode; nil when it is not there. A watch on a missing one waits for its
  /// creation.
  public func exists(
    _ path: String, watch: Bool = false, _ completion: @escaping Completion<Stat?>
  ) {
    let path = serverPath(path)
    let body = PathWatchRequest(path: path, watch: watch)
    request(.exists, body, answer: Stat.self, watching: watch ? path : nil) { result in
      switch result {
      case .success(let stat): completion(.success(stat))
      case .failure(.noNode): completion(.success(nil))
      case .failure(let error): completion(.failure(error))
      }
    }
  }

  public func getData(
    _ path: String, watch: Bool = false, _ completion: @escaping Completion<GetDataResponse>
  ) {
    let path = serverPath(path)
    request(
      .getData, PathWatchRequest(path: path, watch: watch), answer: GetDataResponse.self,
      watching: watch ? path : nil, completion)
  }

  public func setData(
    _ path: String, _ data: [UInt8]?, version: Int32 = -1,
    _ completion: @escaping Completion<Stat>
  ) {
    let body = SetDataRequest(path: serverPath(path), data: data, version: version)
    request(.setData, body, answer: Stat.self, completion)
  }

  public func getACL(_ path: String, _ completion: @escaping Completion<GetACLResponse>) {
    request(.getACL, PathRecord(path: serverPath(path)), answer: GetACLResponse.self, completion)
  }

  /// - Parameter version: of the ACL (`aversion`).
  public func setACL(
    _ path: String, _ acl: [ACL], version: Int32 = -1, _ completion: @escaping Completion<Stat>
  ) {
    let body = SetACLRequest(path: serverPath(path), acl: acl, version: version)
    request(.setACL, body, answer: Stat.self, completion)
  }

  /// The names of the children, in no order, and the znode's stat.
  public func getChildren(
    _ path: String, watch: Bool = false, _ completion: @escaping Completion<GetChildren2Response>
  ) {
    let path = serverPath(path)
    request(
      .getChildren2, PathWatchRequest(path: path, watch: watch),
      answer: GetChildren2Response.self, watching: watch ? path : nil, completion)
  }

  /// Answers when the server has caught up with the leader: reads after it see all before it.
  public func sync(_ path: String = "/", _ completion: @escaping Completion<Void>) {
    request(.sync, PathRecord(path: serverPath(path)), answer: PathRecord.self) {
      completion($0.map { _ in })
    }
  }

  /// Several writes, all or none.
  ///
  /// The results are the server's, one for each operation, also when the multi failed: look at
  /// `firstFailure`. A failure of the whole (connection loss) is the completion's error.
  public func multi(
    _ operations: [MultiOperation], _ completion: @escaping Completion<[MultiResult]>
  ) {
    let body = MultiRequest(operations.map { $0.mapPath(self.connectString.serverPath) }).encoded()
    let connectString = self.connectString
    onLoop { [self] in
      submit(
        PendingRequest(type: .multi, body: body) { error, rest in
          // A failed multi may carry its code in the header, and its results all the same.
          if let response = try? MultiResponse(decoding: rest), !response.results.isEmpty {
            completion(.success(response.results.map { $0.mapPath(connectString.clientPath) }))
          } else if error == .ok, operations.isEmpty {
            completion(.success([]))
          } else {
            completion(.failure(error == .ok ? .marshallingError : error))
          }
        })
    }
  }

  func serverPath(_ path: String) -> String { connectString.serverPath(path) }
}

extension Array where Element == MultiResult {
  /// The operation that made a multi fail, and why; nil when it went through.
  public var firstFailure: (index: Int, error: ZooKeeperError)? {
    for (index, result) in enumerated() {
      if case .error(let error) = result, error != .ok { return (index, error) }
    }
    return nil
  }
}

extension MultiOperation {
  /// Puts a znode into a multi.
  public static func create(
    _ path: String, _ data: [UInt8]?, mode: CreateMode = .persistent, acl: [ACL] = ACL.openUnsafe
  ) -> MultiOperation {
    .create(.create, CreateRequest(path: path, data: data, acl: acl, mode: mode))
  }
  public static func delete(_ path: String, version: Int32 = -1) -> MultiOperation {
    .delete(PathVersionRequest(path: path, version: version))
  }
  public static func setData(
    _ path: String, _ data: [UInt8]?, version: Int32 = -1
  ) -> MultiOperation {
    .setData(SetDataRequest(path: path, data: data, version: version))
  }
  /// Fails the multi unless the znode has this version.
  public static func check(_ path: String, version: Int32) -> MultiOperation {
    .check(PathVersionRequest(path: path, version: version))
  }

  func mapPath(_ map: (String) -> String) -> MultiOperation {
    switch self {
    case .create(let type, var request):
      request.path = map(request.path)
      return .create(type, request)
    case .createTTL(var request):
      request.create.path = map(request.create.path)
      return .createTTL(request)
    case .delete(var request):
      request.path = map(request.path)
      return .delete(request)
    case .check(var request):
      request.path = map(request.path)
      return .check(request)
    case .setData(var request):
      request.path = map(request.path)
      return .setData(request)
    case .getChildren(var request):
      request.path = map(request.path)
      return .getChildren(request)
    case .getData(var request):
      request.path = map(request.path)
      return .getData(request)
    }
  }
}

extension MultiResult {
  func mapPath(_ map: (String) -> String) -> MultiResult {
    switch self {
    case .create(let path): .create(path: map(path))
    case .create2(let path, let stat): .create2(path: map(path), stat: stat)
    default: self
    }
  }
}
