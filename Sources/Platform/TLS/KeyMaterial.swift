import COpenSSL
import Glibc

/// What a store holds. Owned here; whoever uses it takes references of its own.
final class KeyMaterial {
  /// The private key of a key store.
  private(set) var key: OpaquePointer?
  /// Certificates in their order; a key's own one first.
  private(set) var certificates: [OpaquePointer] = []

  deinit {
    EVP_PKEY_free(key)
    for certificate in certificates { X509_free(certificate) }
  }

  // MARK: Reading

  /// Reads a store.
  ///
  /// - Parameter needsKey: Whether it must hold a private key.
  init(_ store: TLSSettings.Store, needsKey: Bool) throws(TLSError) {
    switch store {
    case .pem(let text, let password):
      try readPEM(Array(text.utf8), password, "the PEM text")
    case .file(let path, let type, let password):
      let bytes: [UInt8]?
      do throws(SystemError) { bytes = try FileSystem.readFile(path) } catch {
        throw TLSError("\(error)")
      }
      guard let bytes else { throw TLSError("\(path): no such file") }
      switch try Self.kind(of: path, type, bytes) {
      case "PEM": try readPEM(bytes, password, path)
      default: try readPKCS12(bytes, password, path)
      }
    }
    let name = if case .file(let path, _, _) = store { path } else { "the PEM text" }
    if needsKey, key == nil { throw TLSError("\(name): holds no private key") }
    if certificates.isEmpty { throw TLSError("\(name): holds no certificate") }
    if needsKey, X509_check_private_key(certificates[0], key) != 1 {
      throw TLSError("\(name): the private key is not the certificate's")
    }
    ERR_clear_error()
  }

  /// `PEM` or `PKCS12`, from the type that was given, the file's name, and what it begins with.
  private static func kind(
    of path: String, _ type: String, _ bytes: [UInt8]
  ) throws(TLSError) -> String {
    let isJKS = bytes.starts(with: [0xfe, 0xed, 0xfe, 0xed])
    switch type.isEmpty ? path.split(separator: ".").last?.lowercased() ?? "" : type.lowercased() {
    case "pem", "crt", "cer", "key": return "PEM"
    case "pkcs12", "p12", "pfx": if !isJKS { return "PKCS12" }
    case "jks": break
    default:
      if bytes.starts(with: Array("-----BEGIN".utf8)) { return "PEM" }
      if !isJKS, bytes.first == 0x30 { return "PKCS12" }
      if !isJKS {
        throw TLSError("\(path): neither PEM nor PKCS12\(type.isEmpty ? "" : ", but \(type)")")
      }
    }
    // A file called .jks may have been written by a newer keytool, which writes PKCS12.
    if !isJKS, bytes.first == 0x30 { return "PKCS12" }
    let target = path.hasSuffix(".jks") ? String(path.dropLast(4)) + ".p12" : path + ".p12"
    throw TLSError(
      "\(path): JKS stores cannot be read; convert it with: keytool -importkeystore"
        + " -srckeystore \(path) -destkeystore \(target) -deststoretype PKCS12")
  }

  private func readPEM(
    _ bytes: [UInt8], _ password: String?, _ name: String
  ) throws(TLSError) {
    guard let source = BIO_new_mem_buf(bytes, Int32(clamping: bytes.count)) else {
      throw TLSError("out of memory")
    }
    defer { BIO_free(source) }
    while let certificate = PEM_read_bio_X509(source, nil, nil, nil) {
      certificates.append(certificate)
    }
    // The key may stand before the certificates, between or behind them.
    guard let again = BIO_new_mem_buf(bytes, Int32(clamping: bytes.count)) else {
      throw TLSError("out of memory")
    }
    defer { BIO_free(again) }
    ERR_clear_error()
    let hasKey = String(decoding: bytes, as: UTF8.self).contains("PRIVATE KEY-----")
    guard hasKey else { return }
    // An empty password keeps OpenSSL from asking at the terminal.
    key = (password ?? "").withCString { password in
      PEM_read_bio_PrivateKey(again, nil, nil, UnsafeMutableRawPointer(mutating: password))
    }
    if key == nil {
      throw TLSError("\(name): the private key cannot be read: \(Self.lastError)")
    }
  }

  private func readPKCS12(
    _ bytes: [UInt8], _ password: String?, _ name: String
  ) throws(TLSError) {
    guard let source = BIO_new_mem_buf(bytes, Int32(clamping: bytes.count)) else {
      throw TLSError("out of memory")
    }
    defer { BIO_free(source) }
    guard let container = d2i_PKCS12_bio(source, nil) else {
      throw TLSError("\(name): not a PKCS12 store: \(Self.lastError)")
    }
    defer { PKCS12_free(container) }
    var own: OpaquePointer?
    var others: OpaquePointer?
    guard PKCS12_parse(container, password ?? "", &key, &own, &others) == 1 else {
      throw TLSError("\(name): cannot be opened, is the password right? \(Self.lastError)")
    }
    if let own { certificates.append(own) }
    if let others {
      for index in 0..<openssl_count(others) {
        guard let certificate = openssl_certificate(others, index) else { continue }
        X509_up_ref(certificate)
        certificates.append(certificate)
      }
      openssl_free_certificates(others)
    }
  }

  /// OpenSSL's newest complaint of this thread, which is then forgotten.
  static var lastError: String {
    let code = ERR_get_error()
    defer { ERR_clear_error() }
    guard code != 0 else { return "unknown reason" }
    guard let reason = ERR_reason_error_string(code) else { return "error \(code)" }
    return String(cString: reason)
  }
}
