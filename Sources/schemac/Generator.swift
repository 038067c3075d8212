// From the folder of schema files to the folders of generated files, and back for comparison.

import Foundation

struct Generator {
  /// The package's `Sources` folder.
  let sources: URL

  /// Everything the schema files give, in order of path.
  func generate() throws -> [GeneratedFile] {
    let messages = try parse("messages")
    let records = try parse("records")
    return ModuleEmitter(module: "KafkaMessages", files: messages).emit()
      + ModuleEmitter(module: "KafkaRecords", files: records).emit()
      + [ApiTableEmitter(files: messages).emit()]
  }

  /// Writes what differs, removes what is no longer generated; returns the number of files.
  func write() throws -> Int {
    let files = try generate()
    for file in files where try existing(file.path) != file.text {
      let url = sources.appending(path: file.path)
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(file.text.utf8).write(to: url)
    }
    for path in try stale(files) {
      try FileManager.default.removeItem(at: sources.appending(path: path))
    }
    return files.count
  }

  /// Paths of files that are not what the schemas give, missing and superfluous ones included.
  func differences() throws -> [String] {
    let files = try generate()
    return try files.filter { try existing($0.path) != $0.text }.map(\.path) + stale(files)
  }

  private func existing(_ path: String) throws -> String? {
    let url = sources.appending(path: path)
    guard FileManager.default.fileExists(atPath: url.path) else { return nil }
    return String(decoding: try Data(contentsOf: url), as: UTF8.self)
  }

  private func stale(_ files: [GeneratedFile]) throws -> [String] {
    let current = Set(files.map(\.path))
    return ["KafkaProtocol", "KafkaMessages", "KafkaRecords"].flatMap { module in
      let folder = sources.appending(path: "\(module)/Generated").path
      let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      return names.sorted().map { "\(module)/Generated/\($0)" }
    }.filter { !current.contains($0) }
  }

  private func parse(_ folder: String) throws -> [SchemaFile] {
    let schemas = sources.appending(path: "KafkaProtocol/Schemas/\(folder)")
    let paths = try FileManager.default.subpathsOfDirectory(atPath: schemas.path)
    return try paths.filter { $0.hasSuffix(".kafka") }.sorted().map { path in
      let text = String(
        decoding: try Data(contentsOf: schemas.appending(path: path)), as: UTF8.self)
      return try SchemaParser.parse(text, path: "\(folder)/\(path)")
    }
  }
}
