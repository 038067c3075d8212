import Foundation

/// Certificates for tests, made by the `openssl` command: an authority, a server for `localhost`
/// and 127.0.0.1, a client, and a stranger of another authority.
public final class Certificates: Sendable {
  public static let password = "secret-word"
  private let folder: URL

  public init() throws {
    folder = try Fixtures.temporaryFolder()
    for authority in ["ca", "other-ca"] {
      try openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", path("\(authority).key"), "-out", path("\(authority).pem"), "-days", "2",
        "-subj", "/CN=\(authority)")
    }
    try issue("server", "/O=Jackdaw/CN=localhost", by: "ca", "DNS:localhost,IP:127.0.0.1")
    try issue("client", "/O=Jackdaw, Inc/OU=tests/CN=client one", by: "ca", nil)
    try issue("stranger", "/CN=localhost", by: "other-ca", "DNS:localhost,IP:127.0.0.1")
    try issue("elsewhere", "/CN=elsewhere.example", by: "ca", "DNS:elsewhere.example")
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  public func path(_ name: String) -> String { folder.appending(path: name).path }

  /// Makes `<name>.key`, `<name>.crt`, `<name>.pem` with both, and `<name>.p12` with the password.
  private func issue(
    _ name: String, _ subject: String, by authority: String, _ names: String?
  ) throws {
    try openssl(
      "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
      "-keyout", path("\(name).key"), "-out", path("\(name).csr"), "-subj", subject)
    var command = [
      "x509", "-req", "-in", path("\(name).csr"), "-CA", path("\(authority).pem"), "-CAkey",
      path("\(authority).key"), "-CAcreateserial", "-days", "2", "-out", path("\(name).crt"),
    ]
    if let names {
      try Data("subjectAltName=\(names)\n".utf8).write(to: URL(filePath: path("\(name).ext")))
      command += ["-extfile", path("\(name).ext")]
    }
    try run(command)
    let key = try Data(contentsOf: URL(filePath: path("\(name).key")))
    let certificate = try Data(contentsOf: URL(filePath: path("\(name).crt")))
    try (key + certificate).write(to: URL(filePath: path("\(name).pem")))
    try openssl(
      "pkcs12", "-export", "-inkey", path("\(name).key"), "-in", path("\(name).crt"),
      "-certfile", path("\(authority).pem"), "-out", path("\(name).p12"), "-passout",
      "pass:\(Self.password)")
  }

  private func openssl(_ arguments: String...) throws { try run(arguments) }

  private func run(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["openssl"] + arguments
    process.standardError = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Fixtures.CommandFailed(
        command: ["openssl"] + arguments, status: process.terminationStatus)
    }
  }
}
