import Bytes
import Foundation
import Platform
import Synchronization
import TestKit
import Testing

@testable import Transport

/// Made once: keys take their time.
private let certificates = Result { try Certificates() }

/// Notes who has come, and echoes.
private final class Doorman: FrameHandler, Sendable {
  let subjects = Mutex<[String?]>([])
  let file: File?
  init(_ file: File? = nil) { self.file = file }

  func opened(_ connection: Connection) {
    subjects.withLock { $0.append(connection.securePeer?.subject) }
  }
  func received(
    frame: UnsafeMutableRawBufferPointer, on connection: Connection
  ) throws(CloseReason) {
    let mark = connection.output.beginFrame()
    if let file, frame.count == 8 {
      let range = (frame.loadUnaligned(as: Int32.self), frame.loadUnaligned(
        fromByteOffset: 4, as: Int32.self))
      connection.writeRegion(
        FileRegion(
          file: file, position: Int64(Int32(bigEndian: range.0)),
          count: Int(Int32(bigEndian: range.1))))
    } else {
      connection.output.writeBytes(UnsafeRawBufferPointer(frame))
    }
    connection.output.endFrame(mark)
  }
  func closed(_ connection: Connection, because reason: CloseReason) {}
}

@Suite struct EncryptedTests {
  private func settings(
    _ name: String?, trust: String = "ca", _ form: String = "pem"
  ) throws -> TLSSettings {
    let files = try certificates.get()
    var settings = TLSSettings()
    if let name {
      settings.keyStore = .file(
        path: files.path("\(name).\(form)"), type: "", password: Certificates.password)
    }
    settings.trustStore = .file(path: files.path("\(trust).pem"), type: "PEM", password: nil)
    settings.handshakeTimeoutMs = 5_000
    return settings
  }

  /// A server and a client of it.
  private func withPair(
    server: TLSSettings, client: TLSSettings?, host: String? = "localhost",
    isOptional: Bool = false, file: File? = nil,
    _ body: (Server, Connection, Collector, Doorman) async throws -> Void
  ) async throws {
    let group = try EventLoopGroup(count: 2, name: "tls")
    defer { group.stop() }
    var options = ServerOptions()
    options.tls = try TLSContext(server, as: .server)
    options.isTLSOptional = isOptional
    let doorman = Doorman(file)
    let listener = try Server(on: group, options: options) { _ in .frames(doorman) }
    let collector = Collector()
    let context = try client.map { try TLSContext($0, as: .client) }
    let loop = group.loops[1]
    let connection = loop.perform {
      Connection.connect(
        to: listener.address, on: loop, .frames(collector), tls: context, host: host)
    }
    try await body(listener, connection, collector, doorman)
    listener.stop()
  }

  @Test(arguments: ["pem", "p12"])
  func framesOfEverySizeComeBack(form: String) async throws {
    try await withPair(
      server: try settings("server", form), client: try settings(nil)
    ) { server, client, collector, _ in
      // Written before the handshake is over.
      client.send(frame: [1, 2, 3])
      let sizes = [0, 1, 16_383, 16_384, 16_385, 262_144, 3_000_000, 5]
      for (index, size) in sizes.enumerated() {
        client.send(frame: [UInt8](repeating: UInt8(index), count: size))
      }
      let frames = try await collector.frames(atLeast: sizes.count + 1)
      #expect(frames.map(\.count) == [3] + sizes)
      #expect(frames[7].allSatisfy { $0 == 6 })
      #expect(server.pendingHandshakes == 0)
      #expect(server.failedHandshakes == 0)
      server.stop()
      // The end is told as TLS tells it.
      let reason = try await collector.reason()
      #expect(reason == .peerClosed)
    }
  }

  @Test func regionsOfFilesAreEncrypted() async throws {
    let folder = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = try File(folder.appending(path: "data").path, [.read, .write, .create])
    let bytes = (0..<400_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
    try file.write(bytes, at: 0)
    try await withPair(
      server: try settings("server"), client: try settings(nil), file: file
    ) { _, client, collector, _ in
      var request = ByteWriter()
      for number: Int32 in [1000, 390_000] { request.writeInt32(number) }
      client.send(frame: request.array())
      client.send(frame: [9])
      let frames = try await collector.frames(atLeast: 2)
      #expect(frames[0] == Array(bytes[1000..<391_000]))
      #expect(frames[1] == [9])
    }
  }

  @Test func clientsShowWhoTheyAre() async throws {
    var server = try settings("server")
    server.clientAuthentication = .need
    try await withPair(server: server, client: try settings("client")) { _, client, seen, door in
      client.send(frame: [1])
      _ = try await seen.frames(atLeast: 1)
      // As Java writes it: most specific first, with RFC 2253's escapes.
      let subjects = door.subjects.withLock { $0.compactMap { $0 } }
      #expect(subjects == ["CN=client one,OU=tests,O=Jackdaw\\, Inc"])
    }
  }

  @Test(arguments: [
    ("need", nil as String?), ("need", "stranger"), ("want", "stranger"),
  ])
  func clientsWithoutAGoodCertificateAreTurnedAway(
    wish: String, name: String?
  ) async throws {
    var server = try settings("server")
    server.clientAuthentication = try #require(TLSSettings.ClientAuthentication(rawValue: wish))
    try await withPair(server: server, client: try settings(name)) { server, _, seen, door in
      _ = try await seen.reason()
      try await eventually { server.failedHandshakes == 1 ? true : nil }
      let subjects = door.subjects.withLock { $0.count }
      #expect(subjects == 0)
      #expect(server.connectionCount == 0)
    }
  }

  @Test func aWishedCertificateMayBeMissing() async throws {
    var server = try settings("server")
    server.clientAuthentication = .want
    try await withPair(server: server, client: try settings(nil)) { _, client, seen, door in
      client.send(frame: [1])
      _ = try await seen.frames(atLeast: 1)
      let subjects: [String?] = door.subjects.withLock { $0 }
      #expect(subjects.count == 1 && subjects[0] == nil)
    }
  }

  @Test func theServersNameIsCompared() async throws {
    let elsewhere = try settings("elsewhere")
    try await withPair(server: elsewhere, client: try settings(nil)) { _, _, seen, _ in
      guard case .handshakeFailed(let why) = try await seen.reason() else {
        Issue.record("not refused")
        return
      }
      #expect(why.contains("hostname mismatch"))
    }
    var careless = try settings(nil)
    careless.verifiesServerName = false
    try await withPair(server: elsewhere, client: careless) { _, client, seen, _ in
      client.send(frame: [1])
      _ = try await seen.frames(atLeast: 1)
    }
    // An address is compared with addresses.
    try await withPair(
      server: try settings("server"), client: try settings(nil), host: "127.0.0.1"
    ) { _, client, seen, _ in
      client.send(frame: [1])
      _ = try await seen.frames(atLeast: 1)
    }
  }

  @Test func aServerOfAnotherAuthorityIsNotTrusted() async throws {
    try await withPair(
      server: try settings("stranger"), client: try settings(nil)
    ) { _, _, seen, _ in
      guard case .handshakeFailed(let why) = try await seen.reason() else {
        Issue.record("trusted")
        return
      }
      #expect(why.contains("certificate verify failed"))
    }
  }

  @Test func theClientsNameCanBeCompared() async throws {
    var server = try settings("server")
    server.clientAuthentication = .need
    server.clientNames = ["other.example"]
    // Neither its address nor a name that is accepted.
    try await withPair(server: server, client: try settings("elsewhere")) { server, _, seen, _ in
      _ = try await seen.reason()
      try await eventually { server.failedHandshakes == 1 ? true : nil }
    }
    server.clientNames = ["elsewhere.example"]
    try await withPair(server: server, client: try settings("elsewhere")) { _, client, seen, _ in
      client.send(frame: [1])
      _ = try await seen.frames(atLeast: 1)
    }
  }

  @Test func plainClientsAreTakenWhereTLSIsOptional() async throws {
    for client in [nil, try settings(nil)] {
      try await withPair(
        server: try settings("server"), client: client, isOptional: true
      ) { _, connection, seen, _ in
        connection.send(frame: [4, 2])
        let frames = try await seen.frames(atLeast: 1)
        #expect(frames == [[4, 2]])
      }
    }
    try await withPair(server: try settings("server"), client: nil) { server, client, seen, _ in
      client.send(frame: [4, 2])
      _ = try await seen.reason()
      let frames = seen.seen.withLock { $0.frames }
      #expect(frames.isEmpty)
      try await eventually { server.failedHandshakes == 1 ? true : nil }
    }
  }

  @Test func whoSaysNothingIsNotWaitedForLong() async throws {
    var server = try settings("server")
    server.handshakeTimeoutMs = 50
    try await withPair(server: server, client: nil) { server, _, seen, door in
      let reason = try await seen.reason()
      #expect(reason == .peerClosed)
      #expect(server.failedHandshakes == 1)
      #expect(server.pendingHandshakes == 0)
      let subjects = door.subjects.withLock { $0.count }
      #expect(subjects == 0)
    }
  }

  @Test func wrongStoresAreNamed() throws {
    let files = try certificates.get()
    func reason(_ store: TLSSettings.Store) -> String {
      var settings = TLSSettings()
      settings.keyStore = store
      do { _ = try TLSContext(settings, as: .server) } catch { return "\(error)" }
      return "accepted"
    }
    let jks = files.path("old.jks")
    try Data([0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]).write(to: URL(filePath: jks))
    let refusal = reason(.file(path: jks, type: "JKS", password: "x"))
    #expect(refusal.contains("keytool -importkeystore -srckeystore \(jks)"))
    #expect(refusal.contains("-deststoretype PKCS12"))
    #expect(reason(.file(path: jks, type: "PKCS12", password: "x")).contains("keytool"))
    let wrong = reason(.file(path: files.path("server.p12"), type: "", password: "wrong"))
    #expect(wrong.contains("password"))
    let keyless = reason(.file(path: files.path("ca.pem"), type: "", password: nil))
    #expect(keyless.contains("no private key"))
    #expect(reason(.file(path: "/nowhere.pem", type: "", password: nil)).contains("no such file"))
    func isRefused(_ settings: TLSSettings) -> Bool {
      do { _ = try TLSContext(settings, as: .server) } catch { return true }
      return false
    }
    var settings = try settings("server")
    settings.protocols = ["SSLv9"]
    #expect(isRefused(settings))
    settings.protocols = ["TLSv1.2"]
    settings.cipherSuites = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
    _ = try TLSContext(settings, as: .server)
    settings.cipherSuites = ["TLS_NONSENSE_WITH_ROT13"]
    #expect(isRefused(settings))
  }
}
