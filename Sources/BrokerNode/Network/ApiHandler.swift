import Authorization
import Bytes
import KafkaMessages
import KafkaProtocol

/// One API: what it takes and what is done with it. One file for each in `Handlers/`.
///
/// `handle` runs on the connection's loop and must not block. It answers through the context, at
/// once (`reply`) or later (`park`); a request that expects an answer and gets none would hold up
/// everything behind it on its connection.
protocol ApiHandler: SendableMetatype {
  associatedtype Request: KafkaRequest
  /// The versions served; by default all stable ones.
  static var versions: ClosedRange<Int16> { get }
  /// Whether the handler itself asks what the client may do, partition by partition.
  static var judgesAccess: Bool { get }
  static func handle(_ request: Request, _ context: RequestContext)
}

extension ApiHandler {
  static var versions: ClosedRange<Int16> {
    Request.apiKey.schema.stableVersions ?? Request.validVersions
  }
  static var judgesAccess: Bool { false }

  /// Handles what the client may have of a request.
  fileprivate static func judge(_ request: Request, _ access: Access, _ context: RequestContext) {
    guard let (rest, restriction) = AccessGate.judge(request, access, version: context.version)
    else { return handle(request, context) }
    switch restriction {
    case .serve: handle(rest, context)
    case .refuse(let response): context.reply(response)
    case .amend(let amendment):
      var context = context
      context.amendment = amendment
      handle(rest, context)
    }
  }
}

/// An API that reads its requests where they lie, because making messages of them would cost more
/// than what is done with them. `handle` throws before it does anything.
protocol InPlaceHandler: SendableMetatype {
  static var api: ApiKey { get }
  static func handle(_ reader: inout ByteReader, _ context: RequestContext) throws(ByteError)
}

/// A handler in the table, its type erased.
struct ApiEntry: Sendable {
  let api: ApiKey
  let versions: ClosedRange<Int16>
  /// What the controller answers is limited to the versions that it serves too.
  let isForwarded: Bool
  let run: @Sendable (inout ByteReader, RequestContext) throws(ByteError) -> Void

  /// - Parameter isForwarded: the handler passes requests on to the controller.
  init<H: ApiHandler>(_ handler: H.Type, isForwarded: Bool = false) {
    self.isForwarded = isForwarded
    api = H.Request.apiKey
    versions = H.versions
    // What is passed on is judged by the controller, which knows the client from the Envelope.
    let isJudged = !isForwarded && !H.judgesAccess
    run = { (reader, context) throws(ByteError) in
      let request = try H.Request(from: &reader, version: context.version)
      guard isJudged, let access = context.access else { return H.handle(request, context) }
      H.judge(request, access, context)
    }
  }

  init<H: InPlaceHandler>(inPlace handler: H.Type) {
    isForwarded = false
    api = H.api
    versions = H.api.schema.stableVersions ?? H.api.versions
    run = { (reader, context) throws(ByteError) in try H.handle(&reader, context) }
  }
}

extension ApiEntry {
  /// An API of the controller: the request is checked to be one, and passed on as it came.
  init<R: KafkaRequest>(forwarding request: R.Type) {
    api = R.apiKey
    versions = R.apiKey.schema.stableVersions ?? R.validVersions
    isForwarded = true
    run = { (reader, context) throws(ByteError) in
      _ = try R(from: &reader, version: context.version)
      Forwarding.forward(context)
    }
  }
}

/// What a broker serves: by number, and as ApiVersions lists it.
struct ApiTable: Sendable {
  private let entries: [ApiEntry?]
  /// In order of their numbers.
  let listed: [ApiEntry]

  /// - Parameter roles: only APIs that the protocol gives to one of them are listed; the others in
  ///   the table are served unasked.
  init(_ handlers: [ApiEntry], roles: ListenerRoles) {
    var entries = [ApiEntry?](repeating: nil, count: 128)
    for handler in handlers { entries[Int(handler.api.rawValue)] = handler }
    self.entries = entries
    listed = entries.compactMap { $0 }.filter {
      !$0.api.listeners.isDisjoint(with: roles)
    }
  }

  /// Listed or not.
  var all: [ApiEntry] { entries.compactMap { $0 } }

  subscript(api: ApiKey) -> ApiEntry? { entries[Int(api.rawValue)] }
}
