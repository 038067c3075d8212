// How a client proves who it is: by its certificate, by SASL; and what it may do before it has.

import Bytes
import Cryptography
import Platform
import Transport
import ZooKeeperProtocol
import Znodes

extension ClientConnection {
  /// The identities of a client certificate: its subject, and the super user's if it is his.
  func takeCertificate() {
    guard let subject = connection.securePeer?.subject else { return }
    if subject == coordinator.config.requests.authority.x509SuperUser {
      add([AuthID(scheme: Authority.superScheme, id: subject)])
    }
    add([AuthID(scheme: "x509", id: subject)])
  }

  // MARK: SASL

  /// ZooKeeper's realm, whatever the server is called.
  private static let realm = "zk-sasl-md5"

  /// A SASL token: answered with the next one.
  func authenticateBySASL(
    _ header: RequestHeader, _ reader: inout ByteReader
  ) throws(CloseReason) {
    let token: SASLToken
    do { token = try SASLToken(from: &reader) } catch {
      throw .malformed("SASL token: \(error)")
    }
    guard let users = coordinator.config.security.sasl.users else {
      // Without a JAAS file a real server has nobody to ask, either, and says nothing more.
      return refuseSASL(header, DigestMD5Server.Refusal(reason: "SASL is not configured"))
    }
    if saslExchange == nil {
      let nonce = Base64.encode(SystemRandom.bytes(24))
      saslExchange = DigestMD5Server(realm: Self.realm, nonce: nonce, passwords: users)
    }
    let step: DigestMD5Server.Step?
    do throws(DigestMD5Server.Refusal) {
      step = try saslExchange?.evaluate(token.token ?? [])
    } catch {
      saslExchange = nil
      return refuseSASL(header, error)
    }
    switch step {
    case .challenge(let bytes): reply(header.xid, .ok, token: bytes)
    case .accepted(let user, let bytes):
      saslExchange = nil
      add([AuthID(scheme: "sasl", id: user)])
      if user == coordinator.config.security.sasl.superUser {
        add([AuthID(scheme: Authority.superScheme, id: "")])
      }
      CoordinatorLog.sessions.info(
        "SASL authentication", ["user": user, "peer": connection.peer])
      reply(header.xid, .ok, token: bytes)
    case nil: break
    }
  }

  private func refuseSASL(_ header: RequestHeader, _ refusal: DigestMD5Server.Refusal) {
    coordinator.statistics.authFailures += 1
    CoordinatorLog.sessions.warn(
      "SASL authentication failed", ["reason": refusal.reason, "peer": connection.peer])
    let sasl = coordinator.config.security.sasl
    let isRequired = sasl.requiredSchemes.contains("sasl")
    if sasl.allowsFailure, !isRequired { return reply(header.xid, .ok, token: nil) }
    reply(header.xid, isRequired ? .sessionClosedRequireSASLAuth : .authFailed, token: nil)
    end("SASL authentication failed")
  }

  /// Like other proofs, these overtake what waits.
  private func reply(_ xid: Int32, _ error: ZooKeeperError, token: [UInt8]?) {
    let frame = connection.output.beginFrame()
    ReplyHeader(xid: xid, zxid: 0, error: error).write(to: &connection.output)
    SASLToken(token).write(to: &connection.output)
    connection.output.endFrame(frame)
    statistics.sent += 1
    coordinator.statistics.packetsSent += 1
  }

  // MARK: Enforcement

  /// Whether a request may be looked at: where proofs are required, not before there is one. The
  /// client is told why, and its connection ends.
  func hasRequiredProof(_ header: RequestHeader) -> Bool {
    let required = coordinator.config.security.sasl.requiredSchemes
    if required.isEmpty || identities.contains(where: { required.contains($0.scheme) }) {
      return true
    }
    coordinator.statistics.authFailures += 1
    CoordinatorLog.sessions.warn(
      "request without the required authentication", ["peer": connection.peer])
    let frame = connection.output.beginFrame()
    ReplyHeader(xid: header.xid, zxid: 0, error: .sessionClosedRequireSASLAuth)
      .write(to: &connection.output)
    connection.output.endFrame(frame)
    end("authentication is required")
    return false
  }
}
