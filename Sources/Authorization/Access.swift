// What one asker may do, and how that changes a request and its answer.
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

/// A refusal for the audit log.
public struct AccessDenial: Sendable, CustomStringConvertible {
  public var principal: String
  public var host: String
  public var operation: AclOperation
  public var type: ResourceType
  public var name: String
  /// The request's name.
  public var request: String
  /// Whether the line is one of AclAuthorizer, see `StandardAuthorizer.isAclAuthorizer`.
  public var isAclAuthorizer = false

  /// In the words that log scanners look for.
  public var description: String {
    let what =
      isAclAuthorizer ? "Operation = \(operation.pascalName)" : "operation = \(operation.name)"
    return "Principal = \(principal) is Denied \(what) from host = \(host) "
      + "on resource = \(type.name):LITERAL:\(name) for request = \(request)"
  }
}

/// An asker, and the state of the cluster by which the asker is judged.
public struct Access: Sendable {
  public let image: MetadataImage
  public let principal: String
  public let host: String
  /// `auto.create.topics.enable`, so that what asks for a missing topic is judged as its creation.
  public var createsTopics = false
  private let authorizer: StandardAuthorizer
  private let request: String
  private let onDenial: (@Sendable (AccessDenial) -> Void)?

  /// - Parameters:
  ///   - principal: as text, `User:alice`.
  ///   - host: the asker's address as text.
  ///   - request: the request's name, for the audit log.
  ///   - onDenial: called when something that was explicitly asked for is denied.
  public init(
    _ authorizer: StandardAuthorizer, image: MetadataImage, principal: String, host: String,
    request: String = "", onDenial: (@Sendable (AccessDenial) -> Void)? = nil
  ) {
    self.authorizer = authorizer
    self.image = image
    self.principal = principal
    self.host = host
    self.request = request
    self.onDenial = onDenial
  }

  /// - Parameter isAsked: whether the resource was asked for by name; when answers are merely
  ///   filtered, a denial is no incident.
  public func may(
    _ operation: AclOperation, _ type: ResourceType, _ name: String, isAsked: Bool = true
  ) -> Bool {
    let isAllowed = authorizer.allows(
      principal, from: host, operation, on: type, name, by: image.accessControl)
    if !isAllowed, isAsked, let onDenial {
      onDenial(
        AccessDenial(
          principal: principal, host: host, operation: operation, type: type, name: name,
          request: request, isAclAuthorizer: authorizer.isAclAuthorizer))
    }
    return isAllowed
  }

  public func mayOnCluster(_ operation: AclOperation, isAsked: Bool = true) -> Bool {
    may(operation, .cluster, StandardAuthorizer.clusterName, isAsked: isAsked)
  }

  /// Whether there is any resource of the type to which the operation may be done.
  public func mayOnAny(_ operation: AclOperation, _ type: ResourceType) -> Bool {
    authorizer.allowsAny(
      principal, from: host, operation, of: type, by: image.accessControl)
  }

  /// Bits by the operations' numbers, as answers give them (KIP-430).
  public func authorizedOperations(_ type: ResourceType, _ name: String) -> Int32 {
    type.operations.reduce(0) { bits, operation in
      may(operation, type, name, isAsked: false) ? bits | 1 << Int32(operation.rawValue) : bits
    }
  }
}

/// What becomes of a request when its asker is known.
public enum Restriction<Response: Sendable>: Sendable {
  /// It is served as it is now.
  case serve
  /// It is answered with this at once.
  case refuse(Response)
  /// It is served as it is now, and the answer is then changed.
  case amend(@Sendable (inout Response) -> Void)
}

extension Array {
  /// Takes out what the asker may not have, and answers for it.
  ///
  /// - Parameters:
  ///   - place: where in the response the answers belong.
  ///   - judge: the answer for what is denied; nil for what is allowed.
  mutating func refuse<Response, Answer: Sendable>(
    into place: WritableKeyPath<Response, [Answer]> & Sendable, _ judge: (Element) -> Answer?
  ) -> Restriction<Response> {
    var refusals: [Answer] = []
    removeAll { element in
      guard let refusal = judge(element) else { return false }
      refusals.append(refusal)
      return true
    }
    guard !refusals.isEmpty else { return .serve }
    return .amend { [refusals] in $0[keyPath: place] += refusals }
  }
}

/// A request that says what it needs. Every API that an authorizer guards conforms, in the files
/// `Rules+….swift`; they are the whole table of operations and resources.
public protocol GuardedRequest: KafkaRequest {
  /// Takes out of the request what the asker may not have.
  mutating func restrict(_ access: Access, version: Int16) -> Restriction<Response>
}

/// The same with the response's type erased, for tables of handlers.
public enum AnyRestriction: Sendable {
  case serve
  case refuse(any KafkaResponse)
  case amend(@Sendable (any KafkaResponse) -> any KafkaResponse)
}

extension GuardedRequest {
  public mutating func restrictAny(_ access: Access, version: Int16) -> AnyRestriction {
    switch restrict(access, version: version) {
    case .serve: .serve
    case .refuse(let response): .refuse(response)
    case .amend(let change):
      .amend { response in
        guard var response = response as? Response else { return response }
        change(&response)
        return response
      }
    }
  }
}

public enum AccessGate {
  /// Judges any request: what is left of it, and what is to be done.
  ///
  /// - Returns: nil for a request of an API that needs no permission.
  public static func judge<R: KafkaRequest>(
    _ request: R, _ access: Access, version: Int16
  ) -> (request: R, restriction: AnyRestriction)? {
    guard var guarded = request as? any GuardedRequest else { return nil }
    let restriction = guarded.restrictAny(access, version: version)
    guard let rest = guarded as? R else { return nil }
    return (rest, restriction)
  }

  /// What anybody may ask: the protocol itself, and what is about the asker alone: its own tokens,
  /// its own metrics.
  public static let open: Set<ApiKey> = [
    .apiVersions, .getTelemetrySubscriptions, .pushTelemetry, .renewDelegationToken,
    .expireDelegationToken, .describeDelegationToken,
  ]
}
