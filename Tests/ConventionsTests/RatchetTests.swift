import Foundation
import Testing
import TestKit

/// Conventions that are counted: `ratchet.txt` holds the highest count allowed for each rule, and
/// may only be lowered. A rule that reaches zero stays there.
@Suite struct RatchetTests {
  static let limits: [String: Int] = {
    let url = Fixtures.checkout.appending(path: "Tests/ConventionsTests/ratchet.txt")
    let text = (try? String(contentsOf: url, encoding: .utf8)) ?? ""
    var limits: [String: Int] = [:]
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ")
      if words.count >= 2, let count = Int(words[1]) { limits[String(words[0])] = count }
    }
    return limits
  }()

  /// The count must not exceed the ratchet; when it is lower, the ratchet must follow.
  private func check(_ rule: String, _ findings: [String]) {
    guard let limit = Self.limits[rule] else {
      Issue.record("ratchet.txt has no line for \(rule)")
      return
    }
    #expect(
      findings.count <= limit,
      "\(rule): \(findings.count) found, \(limit) allowed:\n\(findings.joined(separator: "\n"))")
    #expect(
      findings.count >= limit,
      "\(rule): only \(findings.count) are left; lower its line in ratchet.txt from \(limit)")
  }

  @Test func files() {
    check(
      "files-over-500-lines",
      SourceTree.written.filter { $0.lines.count > 501 }.map { "\($0.path): \($0.lines.count)" })
  }

  @Test func functions() {
    var findings: [String] = []
    for file in SourceTree.written where file.isSource {
      for function in SourceTree.functions(of: file) where function.length > 70 {
        findings.append("\(file.path):\(function.line): \(function.name) \(function.length)")
      }
    }
    check("functions-over-70-lines", findings)
  }

  @Test func columns() {
    var findings: [String] = []
    for file in SourceTree.written {
      for (index, line) in file.lines.enumerated() where line.count > 100 {
        findings.append("\(file.path):\(index + 1): \(line.count)")
      }
    }
    check("lines-over-100-columns", findings)
  }

  @Test(arguments: [
    ("unfinished-marks", #"\b(TODO|FIXME|XXX|HACK)\b"#),
    ("fatalError", #"\bfatalError\("#),
    ("forced-try", #"\btry!"#),
    ("unchecked-sendable", #"@unchecked Sendable"#),
    ("nonisolated-unsafe", #"nonisolated\(unsafe\)"#),
    ("print-in-library", #"^\s*print\("#),
    // Whatever Platform is not asked for, a simulation cannot repeat.
    ("chance-past-platform", #"SystemRandomNumberGenerator|DispatchSemaphore"#),
  ])
  func patterns(_ rule: String, _ pattern: String) throws {
    let expression = try NSRegularExpression(pattern: pattern, options: .anchorsMatchLines)
    var findings: [String] = []
    for file in SourceTree.written where file.isSource && file.module != "schemac" {
      if rule == "print-in-library", (SourceTree.modules[file.module]?.layer ?? 6) > 4 { continue }
      // A file without any match, comments included, needs no look at its lines.
      let whole = NSRange(file.text.startIndex..., in: file.text)
      guard expression.firstMatch(in: file.text, range: whole) != nil else { continue }
      for (index, line) in file.lines.enumerated() {
        let text = rule == "unfinished-marks" ? line : SourceTree.code(line)
        let range = NSRange(text.startIndex..., in: text)
        if expression.firstMatch(in: text, range: range) != nil {
          findings.append("\(file.path):\(index + 1)")
        }
      }
    }
    check(rule, findings)
  }

  /// Bytes beyond ASCII belong to words too.
  private static func isPartOfAName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...0xff: true
    default: false
    }
  }

  /// A file none of whose declarations is named anywhere else is dead.
  @Test func deadFiles() throws {
    let declaration = #/
      ^(?:public\s|package\s|final\s|indirect\s|@\w+\s)*
      (?:struct|class|enum|protocol|actor|func|let|typealias)\s+(\w+)
      /#
    var words: [String: Set<String>] = [:]  // word → the files that have it
    for file in SourceTree.files {
      let names = file.text.utf8.split(whereSeparator: { !Self.isPartOfAName($0) })
      for word in Set(names.map(Substring.init)) {
        words[String(word), default: []].insert(file.path)
      }
    }
    var findings: [String] = []
    for file in SourceTree.written where file.isSource && file.name != "main.swift" {
      let names = file.lines.compactMap { $0.firstMatch(of: declaration).map { String($0.1) } }
      let extends = file.lines.contains { $0.contains("extension ") || $0.contains("@main") }
      if extends { continue }
      if !names.contains(where: { (words[$0]?.count ?? 0) > 1 }) { findings.append(file.path) }
    }
    check("dead-files", findings)
  }
}
