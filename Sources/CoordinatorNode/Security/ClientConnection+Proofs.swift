// How a client proves who it is: by addauth, by its certificate, by SASL; and what it may do before
// it has.

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

  // MARK: addauth

  /// A packet that adds identities: answered at once, or followed by the end of the connection.
  func authenticate(
    _ header: RequestHeader, _ reader: inout ByteReader
  ) throws(CloseReason) {
    let packet: AuthPacket
    do { packet = try AuthPacket(from: &reader) } catch {
      throw .malformed("auth packet: \(error)")
    }
    guard let added = proved(by: packet) else {
      coordinator.statistics.authFailures += 1
      CoordinatorLog.sessions.warn(
        "authentication failed", ["scheme": packet.scheme, "peer": connection.peer])
      rejectIdentity(header, .authFailed)
      return
    }
    add(added)
    writeAuthReply(header.xid, .ok)
  }

  /// The identities that a packet proves; nil if it proves none. SASL has requests of its own, and
  /// certificates were shown when the connection was opened.
  private func proved(by packet: AuthPacket) -> [AuthID]? {
    guard coordinator.config.requests.authority.schemes.contains(packet.scheme) else { return nil }
    switch packet.scheme {
    case "digest": return digestIdentities(packet.auth ?? [])
    // The address is known already.
    case "ip": return []
    case "x509": return identities.contains { $0.scheme == "x509" } ? [] : nil
    default: return nil
    }
  }

  private func rejectIdentity(_ header: RequestHeader, _ error: ZooKeeperError) {
    writeAuthReply(header.xid, error)
    end("authentication failed")
  }

  /// Auth replies overtake what waits: they have no place in the order of requests.
  private func writeAuthReply(_ xid: Int32, _ error: ZooKeeperError) {
    let frame = connection.output.beginFrame()
    ReplyHeader(xid: xid, zxid: 0, error: error).write(to: &connection.output)
    connection.output.endFrame(frame)
    statistics.sent += 1
    coordinator.statistics.packetsSent += 1
  }

  /// `user:password` becomes the user with a hash of both. The configured super user gets the
  /// identity that may do everything, too.
  private func digestIdentities(_ auth: [UInt8]) -> [AuthID] {
    let config = coordinator.config
    let user = String(decoding: auth.prefix { $0 != UInt8(ascii: ":") }, as: UTF8.self)
    let id = user + ":" + Base64.encode(config.requests.digestAlgorithm.hash(auth))
    let identity = AuthID(scheme: "digest", id: id)
    if id != config.superDigest { return [identity] }
    return [AuthID(scheme: Authority.superScheme, id: ""), identity]
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
