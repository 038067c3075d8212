// schemac: generates the Swift of Kafka's messages and records from the schema files.
//
//   schemac [--check] [package folder]
//
// Writes Sources/{KafkaProtocol,KafkaMessages,KafkaRecords}/Generated; with --check it only
// compares, names the files that differ, and exits with 1 if there are any.

import Foundation

func run() throws -> Int32 {
  let arguments = CommandLine.arguments.dropFirst()
  let isCheck = arguments.contains("--check")
  let root = arguments.first { !$0.hasPrefix("--") } ?? "."
  let generator = Generator(sources: URL(filePath: root).appending(path: "Sources"))
  if isCheck {
    let differing = try generator.differences()
    for path in differing { print("differs: \(path)") }
    return differing.isEmpty ? 0 : 1
  }
  let count = try generator.write()
  print("schemac: \(count) files")
  return 0
}

do {
  exit(try run())
} catch {
  FileHandle.standardError.write(Data("schemac: \(error)\n".utf8))
  exit(2)
}
