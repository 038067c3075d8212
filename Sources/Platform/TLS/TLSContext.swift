import COpenSSL
import Glibc

/// One set of TLS settings, ready for use by any number of connections on any loop.
public final class TLSContext: Sendable {
  public enum Role: Sendable { case server, client }

  public let settings: TLSSettings
  public let role: Role
  // OpenSSL's contexts may be shared by threads once they are set up; Swift's pointers do not say
  // so, hence the address.
  private let address: UInt

  private var context: OpaquePointer? { OpaquePointer(bitPattern: address) }

  /// Reads the stores.
  ///
  /// - Throws: `TLSError` naming the store, or the protocol or cipher suite that is unknown.
  public init(_ settings: TLSSettings, as role: Role) throws(TLSError) {
    self.settings = settings
    self.role = role
    guard let context = SSL_CTX_new(role == .server ? TLS_server_method() : TLS_client_method())
    else { throw TLSError("OpenSSL gives no context: \(KeyMaterial.lastError)") }
    address = UInt(bitPattern: context)
    openssl_set_modes(context)
    openssl_disable_sessions(context)
    try Self.setProtocols(settings.protocols, context)
    try Self.setCipherSuites(settings.cipherSuites, context)
    if let store = settings.keyStore {
      try Self.use(try KeyMaterial(store, needsKey: true), context)
    } else if role == .server {
      throw TLSError("a server needs a key store")
    }
    try Self.trust(settings.trustStore, context, isServer: role == .server)
    SSL_CTX_set_verify(context, verification, nil)
  }

  deinit { SSL_CTX_free(context) }

  private var verification: Int32 {
    guard role == .server else { return SSL_VERIFY_PEER }
    switch settings.clientAuthentication {
    case .none: return SSL_VERIFY_NONE
    case .want: return SSL_VERIFY_PEER
    case .need: return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
    }
  }

  // MARK: Setting up

  private static let versions: [(name: String, number: Int32)] = [
    ("TLSv1", TLS1_VERSION), ("TLSv1.1", TLS1_1_VERSION), ("TLSv1.2", TLS1_2_VERSION),
    ("TLSv1.3", TLS1_3_VERSION),
  ]

  private static func setProtocols(
    _ names: [String], _ context: OpaquePointer
  ) throws(TLSError) {
    var wanted: [Int32] = []
    for name in names {
      guard let version = versions.first(where: { $0.name == name }) else {
        throw TLSError("unknown protocol \(name); known are \(versions.map(\.name))")
      }
      wanted.append(version.number)
    }
    if wanted.isEmpty { wanted = [TLS1_2_VERSION, TLS1_3_VERSION] }
    wanted.sort()
    guard Int(wanted[wanted.count - 1] - wanted[0]) < wanted.count else {
      throw TLSError("protocols must follow each other: \(names)")
    }
    guard openssl_set_versions(context, wanted[0], wanted[wanted.count - 1]) == 1 else {
      throw TLSError("protocols \(names): \(KeyMaterial.lastError)")
    }
  }

  private static func setCipherSuites(
    _ names: [String], _ context: OpaquePointer
  ) throws(TLSError) {
    guard !names.isEmpty else { return }
    var (old, new): ([String], [String]) = ([], [])
    for name in names {
      // Suites of TLS 1.3 name no key exchange.
      if name.hasPrefix("TLS_AES_") || name.hasPrefix("TLS_CHACHA20_") {
        new.append(name)
        continue
      }
      let known = OPENSSL_cipher_name(name).map { String(cString: $0) } ?? "(NONE)"
      guard known != "(NONE)" else { throw TLSError("unknown cipher suite \(name)") }
      old.append(known)
    }
    guard old.isEmpty || SSL_CTX_set_cipher_list(context, old.joined(separator: ":")) == 1 else {
      throw TLSError("cipher suites \(names): \(KeyMaterial.lastError)")
    }
    guard SSL_CTX_set_ciphersuites(context, new.joined(separator: ":")) == 1 else {
      throw TLSError("cipher suites \(names): \(KeyMaterial.lastError)")
    }
  }

  private static func use(_ material: KeyMaterial, _ context: OpaquePointer) throws(TLSError) {
    guard SSL_CTX_use_certificate(context, material.certificates[0]) == 1,
      SSL_CTX_use_PrivateKey(context, material.key) == 1
    else { throw TLSError("the key store cannot be used: \(KeyMaterial.lastError)") }
    for certificate in material.certificates.dropFirst() {
      guard openssl_add_chain(context, certificate) == 1 else {
        throw TLSError("the key store's chain cannot be used: \(KeyMaterial.lastError)")
      }
    }
  }

  private static func trust(
    _ store: TLSSettings.Store?, _ context: OpaquePointer, isServer: Bool
  ) throws(TLSError) {
    guard let store else {
      SSL_CTX_set_default_verify_paths(context)
      return
    }
    let material = try KeyMaterial(store, needsKey: false)
    let trusted = SSL_CTX_get_cert_store(context)
    for certificate in material.certificates {
      X509_STORE_add_cert(trusted, certificate)
      // Clients with several certificates choose by these names.
      if isServer { SSL_CTX_add_client_CA(context, certificate) }
    }
    // A certificate may be trusted for itself, as Java does, without its issuer.
    X509_VERIFY_PARAM_set_flags(
      SSL_CTX_get0_param(context), UInt(X509_V_FLAG_PARTIAL_CHAIN))
    ERR_clear_error()
  }

  // MARK: Sessions

  /// A session over a connected socket, its handshake not begun.
  ///
  /// - Parameters:
  ///   - host: As a client: the name or address that was connected to.
  ///   - peer: Who is at the other end.
  public func session(
    over descriptor: Int32, host: String?, peer: SocketAddress
  ) -> TLSSession? {
    guard let session = SSL_new(context) else { return nil }
    guard SSL_set_fd(session, descriptor) == 1 else {
      SSL_free(session)
      return nil
    }
    if role == .server {
      SSL_set_accept_state(session)
    } else {
      SSL_set_connect_state(session)
      if let host { Self.expect(host, session, verifies: settings.verifiesServerName) }
    }
    let names = role == .server ? settings.clientNames : nil
    return TLSSession(session, acceptedNames: names, address: peer.ip.description)
  }

  private static func expect(_ host: String, _ session: OpaquePointer, verifies: Bool) {
    let isAddress = IPAddress(host) != nil
    // Addresses are not sent as server names (RFC 6066, section 3).
    if !isAddress { _ = openssl_set_server_name(session, host) }
    guard verifies else { return }
    if isAddress {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host)
    } else {
      SSL_set1_host(session, host)
    }
  }
}
