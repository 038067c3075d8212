// Requests and answers at the machine's edge.
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// A principal as Kafka writes it: `User:alice`.
public struct Principal: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// `User` for all that Kafka itself makes.
  public var type: String
  public var name: String

  public init(type: String = "User", name: String) {
    self.type = type
    self.name = name
  }

  public static let anonymous = Principal(name: "ANONYMOUS")

  public var description: String { "\(type):\(name)" }

  public static func < (a: Self, b: Self) -> Bool {
    a.type == b.type ? a.name < b.name : a.type < b.type
  }
}

/// What the machine has to know of a request besides its body.
public struct RequestContext: Sendable {
  /// The version in which the request came, and its answer goes.
  public var version: Int16
  /// Who asks; the original sender if the request came in an Envelope.
  public var principal: Principal
  /// As the client calls itself; may be empty.
  public var clientID: String

  public init(version: Int16, principal: Principal = .anonymous, clientID: String = "") {
    self.version = version
    self.principal = principal
    self.clientID = clientID
  }
}

/// A request that the controller decides. Every generated request that the machine takes conforms,
/// one file for each subject in `Requests/`.
///
/// The host decodes a request, checks who may ask, and passes it in an event; the answer comes as
/// an effect and is of the request's `Response` type, complete.
public protocol ControllerRequest: KafkaRequest {
  /// The answer that says one error in every place where this API has one.
  func refused(_ refusal: Refusal, version: Int16) -> Response

  /// Decides the request against the machine's state with all that is not yet committed.
  /// The machine calls it; it changes soft state only.
  func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<Response>
}

extension QuorumController {
  /// Records in one batch, and so of one atomic decision.
  public static let maximumRecords = 10_000

  /// The refusal of more than that.
  static let tooLarge = Refusal(
    .policyViolation, "Unable to perform excessively large batch operation.")

  /// What a request comes to.
  public struct Outcome<Response: Sendable>: Sendable {
    /// To be appended, in this order; empty for a mere read or a refusal.
    public var records: [MetadataRecord]
    /// Whether the records must be stored all or none.
    public var isAtomic: Bool
    /// Whether more than `maximumRecords` are refused with POLICY_VIOLATION: what users ask for
    /// must not stop the cluster. What follows from the loss of a broker has no limit.
    public var isBounded: Bool
    public var response: Response

    public init(
      _ records: [MetadataRecord] = [], isAtomic: Bool = true, isBounded: Bool = true,
      _ response: Response
    ) {
      self.records = records
      self.isAtomic = isAtomic
      self.isBounded = isBounded
      self.response = response
    }

    /// A refusal or a mere read.
    public init(_ response: Response) { self.init([], response) }
  }
}
