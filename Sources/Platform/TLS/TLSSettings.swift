/// What TLS needs to know, whoever uses it: ZooKeeper's `ssl.*`, Kafka's `ssl.*`.
public struct TLSSettings: Sendable, Equatable {
  /// Keys or certificates, where they are and in what form.
  public enum Store: Sendable, Equatable {
    /// A file. An empty type is told by its name's end: `.pem`, `.p12`, `.pfx`.
    case file(path: String, type: String, password: String?)
    /// Text: certificates and, in a key store, a private key.
    case pem(String, password: String?)
  }

  /// What a server wants of its clients.
  public enum ClientAuthentication: String, Sendable {
    case none
    case want
    case need
  }

  /// Own certificate, its chain and its key; servers need one.
  public var keyStore: Store?
  /// Certificates that are trusted; nil: the system's.
  public var trustStore: Store?
  /// Protocols that may be used, by Java's names; empty: TLSv1.2 and TLSv1.3.
  public var protocols: [String] = []
  /// Cipher suites by their IANA names; empty: OpenSSL's choice.
  public var cipherSuites: [String] = []
  public var clientAuthentication = ClientAuthentication.none
  /// Whether a client compares the server's certificate with the name it connected to.
  public var verifiesServerName = true
  /// Names of which one, or the client's address, must be in a client's certificate; nil: it is
  /// not looked at.
  public var clientNames: [String]?
  /// Milliseconds that a handshake may take.
  public var handshakeTimeoutMs: Int64 = 10_000

  public init() {}
}

/// Why TLS cannot be set up, or a peer is not spoken with. The text names the file, never a
/// password.
public struct TLSError: Error, Equatable, Sendable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
