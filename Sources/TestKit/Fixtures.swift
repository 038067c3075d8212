import Foundation

/// The golden data that real servers wrote; they lie in `shared/reference` beside the checkout.
public enum Fixtures {
  /// The checkout's top folder, found from this file's place in it.
  public static let checkout = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// `shared/reference` beside the checkout, or where `JACKDAW_REFERENCE` points.
  public static let reference: URL = {
    if let path = ProcessInfo.processInfo.environment["JACKDAW_REFERENCE"] {
      return URL(filePath: path)
    }
    return checkout.deletingLastPathComponent().appending(path: "shared/reference")
  }()

  public static var directory: URL { reference.appending(path: "fixtures") }

  /// The bytes of a fixture; `.gz` is unpacked.
  public static func data(_ name: String) throws -> Data {
    let url = directory.appending(path: name)
    let isPacked = name.hasSuffix(".gz") && !name.hasSuffix(".tar.gz")
    if !isPacked { return try Data(contentsOf: url) }
    return try output(of: ["gzip", "-dc", url.path])
  }

  /// Unpacks a `.tar.gz` fixture into a fresh folder and returns it; the caller removes it.
  public static func unpack(_ name: String) throws -> URL {
    let folder = try temporaryFolder()
    _ = try output(of: ["tar", "xzf", directory.appending(path: name).path, "-C", folder.path])
    return folder
  }

  /// The log segments of a topic in a fixture that is a log directory, in order.
  public static func segments(of topic: String, in fixture: String) throws -> [Data] {
    let folder = try unpack(fixture)
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter {
      $0.contains("\(topic)-") && $0.hasSuffix(".log")
    }
    return try files.sorted().map { try Data(contentsOf: folder.appending(path: $0)) }
  }

  public static func temporaryFolder() throws -> URL {
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "jackdaw-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
  }

  struct CommandFailed: Error { let command: [String], status: Int32 }

  private static func output(of command: [String]) throws -> Data {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = command
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw CommandFailed(command: command, status: process.terminationStatus)
    }
    return data
  }
}
