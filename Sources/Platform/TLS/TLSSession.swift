import COpenSSL
import Glibc

/// TLS on one socket that never blocks; confined to its connection's loop.
public final class TLSSession {
  /// What a step of the handshake came to.
  public enum Step: Equatable {
    case done
    case wantsInput
    case wantsOutput
    case failed(String)
  }

  private let session: OpaquePointer
  private let acceptedNames: [String]?
  private let address: String
  private var isEstablished = false
  /// What a read met after it had brought bytes.
  private var met: Socket.Transfer?

  init(_ session: OpaquePointer, acceptedNames: [String]?, address: String) {
    self.session = session
    self.acceptedNames = acceptedNames
    self.address = address
  }

  deinit { SSL_free(session) }

  // MARK: Handshake

  /// Goes on with the handshake as far as the socket lets it.
  public func handshake() -> Step {
    ERR_clear_error()
    let result = SSL_do_handshake(session)
    if result == 1 {
      if let refusal = refusalOfName { return .failed(refusal) }
      isEstablished = true
      return .done
    }
    switch SSL_get_error(session, result) {
    case SSL_ERROR_WANT_READ: return .wantsInput
    case SSL_ERROR_WANT_WRITE: return .wantsOutput
    case SSL_ERROR_SYSCALL: return .failed("the connection was lost during the TLS handshake")
    default: return .failed(reason)
    }
  }

  /// What was wrong with the peer's certificate, where that is what it was; else OpenSSL's reason.
  private var reason: String {
    let verdict = SSL_get_verify_result(session)
    let complaint = KeyMaterial.lastError
    guard verdict != Int(X509_V_OK), let text = X509_verify_cert_error_string(verdict) else {
      return complaint
    }
    return "\(complaint): \(String(cString: text))"
  }

  private var refusalOfName: String? {
    guard let acceptedNames, let certificate = SSL_get0_peer_certificate(session) else {
      return nil
    }
    if X509_check_ip_asc(certificate, address, 0) == 1 { return nil }
    for name in acceptedNames {
      let matches =
        IPAddress(name) == nil
        ? X509_check_host(certificate, name, 0, 0, nil) : X509_check_ip_asc(certificate, name, 0)
      if matches == 1 { return nil }
    }
    return "the certificate is neither for \(address) nor for one of \(acceptedNames)"
  }

  // MARK: Bytes

  /// Bytes, or an end, have been taken from the socket already: it will not announce them.
  public var hasInput: Bool { met != nil || SSL_pending(session) > 0 }

  public func read(into buffer: UnsafeMutableRawBufferPointer) -> Socket.Transfer {
    if let met {
      self.met = nil
      return met
    }
    var total = 0
    while total < buffer.count {
      ERR_clear_error()
      let room = Int32(clamping: buffer.count - total)
      let count = SSL_read(session, buffer.baseAddress.map { $0 + total }, room)
      if count > 0 {
        total += Int(count)
        continue
      }
      let outcome = outcome(of: count)
      if total == 0 { return outcome }
      if outcome != .wouldBlock { met = outcome }
      break
    }
    return .bytes(total)
  }

  /// Writes at least a part, or nothing. What was begun must be offered again, with the same bytes
  /// first.
  public func write(_ bytes: UnsafeRawBufferPointer) -> Socket.Transfer {
    ERR_clear_error()
    let count = SSL_write(session, bytes.baseAddress, Int32(clamping: bytes.count))
    return count > 0 ? .bytes(Int(count)) : outcome(of: count)
  }

  private func outcome(of result: Int32) -> Socket.Transfer {
    let code = errno
    switch SSL_get_error(session, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .wouldBlock
    case SSL_ERROR_ZERO_RETURN: return .end
    case SSL_ERROR_SYSCALL:
      isEstablished = false
      return code == 0 ? .end : .failed(SystemError("TLS", code: code))
    default:
      // After a fatal error OpenSSL must not be asked to say good-bye.
      isEstablished = false
      return .failed(SystemError("TLS", code: EPROTO, on: KeyMaterial.lastError))
    }
  }

  /// Tells the peer that nothing more comes; its answer is not waited for.
  public func close() {
    guard isEstablished else { return }
    isEstablished = false
    ERR_clear_error()
    _ = SSL_shutdown(session)
  }

  /// Who the peer has proved to be; nil when it has shown no certificate.
  public var peer: TLSPeer? {
    SSL_get0_peer_certificate(session).map { TLSPeer(certificate: $0) }
  }
}

extension TLSContext {
  /// Whether a connection begins as TLS does: with the record type of a handshake. Nothing that is
  /// spoken here without TLS begins so.
  public static func begins(_ firstByte: UInt8) -> Bool { firstByte == 22 }
}
