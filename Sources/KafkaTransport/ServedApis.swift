/// What a controller serves: by number, and as ApiVersions lists it.
import Authorization
import Bytes
import KafkaProtocol

/// One API in the table.
public struct ServedApi: Sendable {
  public let api: ApiKey
  public let versions: ClosedRange<Int16>
  let run: @Sendable (inout ByteReader, ServerRequest, Access?) throws(ByteError) -> Void

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
    run = { (reader, request, access) throws(ByteError) in
      let asked = try R(from: &reader, version: request.version)
      guard let access else { return handle(asked, request) }
      Self.judge(asked, request, access, handle)
    }
  }
}

extension ServedApi {
  /// Serves what the asker may have of a request.
  private static func judge<R: KafkaRequest>(
    _ asked: R, _ request: ServerRequest, _ access: Access,
    _ handle: @Sendable (R, ServerRequest) -> Void
  ) {
    guard let (rest, restriction) = AccessGate.judge(asked, access, version: request.version)
    else { return handle(asked, request) }
    switch restriction {
    case .serve: handle(rest, request)
    case .refuse(let response): request.answer(response)
    case .amend(let amendment):
      var request = request
      request.reply.amendment = amendment
      handle(rest, request)
    }
  }
}

/// The whole table.
public struct ServedApis: Sendable {
  private let entries: [ServedApi?]
  /// What an asker may do; nil: everything, as no authorizer is configured. Called for each request
  /// with the asker's principal and address, and the API.
  public var policy: (@Sendable (RequestPrincipal, String, ApiKey) -> Access)?
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
