/// What a controller serves: by number, and as ApiVersions lists it.
import Bytes
import KafkaProtocol

/// One API in the table.
public struct ServedApi: Sendable {
  public let api: ApiKey
  public let versions: ClosedRange<Int16>
  let run: @Sendable (inout ByteReader, ServerRequest) throws(ByteError) -> Void

  /// - Parameters:
  ///   - versions: those served; by default all stable ones.
  ///   - handle: runs on the connection's loop and must not block. It answers through the request,
  ///     from any thread; a request without answer holds up all behind it on its connection.
  public init<R: KafkaRequest>(
    _ type: R.Type, versions: ClosedRange<Int16>? = nil,
    _ handle: @escaping @Sendable (R, ServerRequest) -> Void
  ) {
    api = R.apiKey
    self.versions = versions ?? R.apiKey.schema.stableVersions ?? R.validVersions
    run = { (reader, request) throws(ByteError) in
      handle(try R(from: &reader, version: request.version), request)
    }
  }
}

/// The whole table.
public struct ServedApis: Sendable {
  private let entries: [ServedApi?]
  /// In order of their numbers.
  public let listed: [ServedApi]

  public init(_ apis: [ServedApi]) {
    var entries = [ServedApi?](repeating: nil, count: 128)
    for entry in apis { entries[Int(entry.api.rawValue)] = entry }
    self.entries = entries
    listed = entries.compactMap { $0 }
  }

  public subscript(api: ApiKey) -> ServedApi? { entries[Int(api.rawValue)] }
}
