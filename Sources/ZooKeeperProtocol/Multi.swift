// multi and multiRead: several operations in one request, answered by as many results.
//
// Both are a list of (MultiHeader, body), ended by a header whose `done` is set. If any operation
// of a multi fails, none is done and every result is an error: 0 before the one that failed, its
// code, and "runtime inconsistency" after it.

import Bytes

/// In front of every operation and every result.
public struct MultiHeader: JuteRecord, Hashable, Sendable {
  public var type: OpCode
  public var done: Bool
  public var error: ZooKeeperError

  public init(type: OpCode, done: Bool, error: ZooKeeperError) {
    self.type = type
    self.done = done
    self.error = error
  }

  /// What ends the list.
  public static let end = MultiHeader(
    type: .error, done: true, error: ZooKeeperError(rawValue: -1))

  public init(from reader: inout ByteReader) throws(ByteError) {
    type = OpCode(rawValue: try reader.readInt32())
    done = try reader.readBool()
    error = ZooKeeperError(rawValue: try reader.readInt32())
  }

  public func write(to writer: inout ByteWriter) {
    writer.writeInt32(type.rawValue)
    writer.writeBool(done)
    writer.writeInt32(error.rawValue)
  }
}

/// One operation of a multi or a multiRead.
public enum MultiOperation: Hashable, Sendable {
  /// create, create2 or createContainer.
  case create(OpCode, CreateRequest)
  case createTTL(CreateTTLRequest)
  case delete(PathVersionRequest)
  case setData(SetDataRequest)
  case check(PathVersionRequest)
  case getChildren(PathWatchRequest)
  case getData(PathWatchRequest)

  public var type: OpCode {
    switch self {
    case .create(let type, _): type
    case .createTTL: .createTTL
    case .delete: .delete
    case .setData: .setData
    case .check: .check
    case .getChildren: .getChildren
    case .getData: .getData
    }
  }

  public var path: String {
    switch self {
    case .create(_, let request): request.path
    case .createTTL(let request): request.create.path
    case .delete(let request), .check(let request): request.path
    case .setData(let request): request.path
    case .getChildren(let request), .getData(let request): request.path
    }
  }

  public var isRead: Bool { type == .getChildren || type == .getData }

  init(from reader: inout ByteReader, type: OpCode) throws(ByteError) {
    switch type {
    case .create, .create2, .createContainer:
      self = .create(type, try CreateRequest(from: &reader))
    case .createTTL: self = .createTTL(try CreateTTLRequest(from: &reader))
    case .delete: self = .delete(try PathVersionRequest(from: &reader))
    case .setData: self = .setData(try SetDataRequest(from: &reader))
    case .check: self = .check(try PathVersionRequest(from: &reader))
    case .getChildren: self = .getChildren(try PathWatchRequest(from: &reader))
    case .getData: self = .getData(try PathWatchRequest(from: &reader))
    default: throw .invalidValue(Int64(type.rawValue))
    }
  }

  func writeBody(to writer: inout ByteWriter) {
    switch self {
    case .create(_, let request): request.write(to: &writer)
    case .createTTL(let request): request.write(to: &writer)
    case .delete(let request), .check(let request): request.write(to: &writer)
    case .setData(let request): request.write(to: &writer)
    case .getChildren(let request), .getData(let request): request.write(to: &writer)
    }
  }
}

/// The body of multi and multiRead. Reading and writing operations cannot be mixed.
public struct MultiRequest: JuteRecord, Hashable, Sendable {
  public var operations: [MultiOperation]

  public init(_ operations: [MultiOperation]) { self.operations = operations }

  public init(from reader: inout ByteReader) throws(ByteError) {
    operations = []
    var header = try MultiHeader(from: &reader)
    while !header.done {
      let operation = try MultiOperation(from: &reader, type: header.type)
      if let first = operations.first, first.isRead != operation.isRead {
        throw .invalidValue(Int64(header.type.rawValue))
      }
      operations.append(operation)
      header = try MultiHeader(from: &reader)
    }
  }

  public func write(to writer: inout ByteWriter) {
    for operation in operations {
      MultiHeader(type: operation.type, done: false, error: ZooKeeperError(rawValue: -1))
        .write(to: &writer)
      operation.writeBody(to: &writer)
    }
    MultiHeader.end.write(to: &writer)
  }
}

/// The result of one operation of a multi or a multiRead.
public enum MultiResult: Hashable, Sendable {
  case create(path: String)
  case create2(path: String, stat: Stat)
  case delete
  case setData(stat: Stat)
  case check
  case getChildren([String])
  case getData([UInt8]?, Stat)
  case error(ZooKeeperError)

  var header: MultiHeader {
    let type: OpCode =
      switch self {
      case .create: .create
      case .create2: .create2
      case .delete: .delete
      case .setData: .setData
      case .check: .check
      case .getChildren: .getChildren
      case .getData: .getData
      case .error: .error
      }
    if case .error(let error) = self { return MultiHeader(type: type, done: false, error: error) }
    return MultiHeader(type: type, done: false, error: .ok)
  }
}

public struct MultiResponse: JuteRecord, Hashable, Sendable {
  public var results: [MultiResult]

  public init(_ results: [MultiResult]) { self.results = results }

  public init(from reader: inout ByteReader) throws(ByteError) {
    results = []
    var header = try MultiHeader(from: &reader)
    while !header.done {
      switch header.type {
      case .create: results.append(.create(path: try reader.readJuteString()))
      case .create2:
        let response = try Create2Response(from: &reader)
        results.append(.create2(path: response.path, stat: response.stat))
      case .delete: results.append(.delete)
      case .setData: results.append(.setData(stat: try Stat(from: &reader)))
      case .check: results.append(.check)
      case .getChildren: results.append(.getChildren(try reader.readJuteStrings()))
      case .getData:
        let response = try GetDataResponse(from: &reader)
        results.append(.getData(response.data, response.stat))
      case .error:
        results.append(.error(ZooKeeperError(rawValue: try reader.readInt32())))
      default: throw .invalidValue(Int64(header.type.rawValue))
      }
      header = try MultiHeader(from: &reader)
    }
  }

  public func write(to writer: inout ByteWriter) {
    for result in results {
      result.header.write(to: &writer)
      switch result {
      case .create(let path): writer.writeJuteString(path)
      case .create2(let path, let stat): Create2Response(path: path, stat: stat).write(to: &writer)
      case .delete, .check: break
      case .setData(let stat): stat.write(to: &writer)
      case .getChildren(let children): writer.writeJuteStrings(children)
      case .getData(let data, let stat): GetDataResponse(data: data, stat: stat).write(to: &writer)
      case .error(let error): writer.writeInt32(error.rawValue)
      }
    }
    MultiHeader.end.write(to: &writer)
  }
}
