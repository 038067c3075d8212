import Foundation
import Platform
import TestKit
import Testing

@testable import LogStorage

/// What Kafka's own tool printed, line for line.
@Suite struct DumpLogTests {
  @Test func linesAreThoseOfTheTool() throws {
    let folder = try Folder(fixture: "kafka-old-formats-logdir.tar.gz")
    let text = String(
      decoding: try Fixtures.data("kafka-old-formats-dump.txt.gz"), as: UTF8.self)
    var options = DumpLog.Options()
    options.isDeep = true
    options.printsData = true
    var dump = DumpLog(options)
    var lines: [String] = []
    for line in text.components(separatedBy: "\n") where line.hasPrefix("Dumping ") {
      let name = String(line.dropFirst("Dumping ".count))
      try dump.dump("\(folder.path)/zkb1/\(name)") { line in
        lines.append(line.replacingOccurrences(of: "\(folder.path)/zkb1/", with: ""))
      }
    }
    let wanted = text.trimmingCharacters(in: .newlines).components(separatedBy: "\n")
    let found = lines.joined(separator: "\n").components(separatedBy: "\n")
    #expect(found.count == wanted.count)
    for (found, wanted) in zip(found, wanted) { #expect(found == wanted) }
    #expect(dump.problems == [])
  }

  @Test(arguments: ["kafka-3.9.0-zookeeper-mode-logdir.tar.gz", "kafka-3.9.0-kraft-logdir.tar.gz"])
  func everyFileOfARealBrokerIsSane(_ archive: String) throws {
    let folder = try Folder(fixture: archive)
    var dump = DumpLog(DumpLog.Options())
    var lines = 0
    for name in try folder.snapshot().keys.sorted() {
      let endings = [".log", ".index", ".timeindex", ".txnindex", ".snapshot", ".checkpoint"]
      guard endings.contains(where: { name.hasSuffix($0) }) else { continue }
      try dump.dump("\(folder.path)/\(name)") { _ in lines += 1 }
    }
    #expect(dump.problems == [])
    #expect(lines > 250)
  }
}
