import Foundation
import TestKit

/// The project's own text, as the conventions read it.
struct SourceFile: Sendable {
  let path: String  // from the top of the checkout
  let text: String
  let lines: [String]

  var module: String { String(path.split(separator: "/")[1]) }
  var isGenerated: Bool { path.contains("/Generated/") }
  var isSource: Bool { path.hasPrefix("Sources/") }
  var name: String { String(path.split(separator: "/").last ?? "") }
}

struct ModuleEntry {
  let name: String
  let layer: Int
  let uses: Set<String>
}

enum SourceTree {
  static let files: [SourceFile] = {
    var found: [SourceFile] = []
    for top in ["Sources", "Tests"] {
      let folder = Fixtures.checkout.appending(path: top)
      let walker = FileManager.default.enumerator(atPath: folder.path)
      while let entry = walker?.nextObject() as? String {
        guard entry.hasSuffix(".swift") else { continue }
        let text = (try? String(contentsOf: folder.appending(path: entry), encoding: .utf8)) ?? ""
        found.append(
          SourceFile(
            path: "\(top)/\(entry)", text: text, lines: text.components(separatedBy: "\n")))
      }
    }
    return found.sorted { $0.path < $1.path }
  }()

  static let written = files.filter { !$0.isGenerated }

  /// The table in Package.swift, read as text: name, layer and what may be imported.
  static let modules: [String: ModuleEntry] = {
    let url = Fixtures.checkout.appending(path: "Package.swift")
    let text = (try? String(contentsOf: url, encoding: .utf8)) ?? ""
    let pattern = #/name:\s*"([^"]+)",\s*layer:\s*(\d),\s*uses:\s*\[([^\]]*)\]/#
    var table: [String: ModuleEntry] = [:]
    for match in text.matches(of: pattern) {
      let uses = match.3.matches(of: #/"([^"]+)"/#).map { String($0.1) }
      let entry = ModuleEntry(
        name: String(match.1), layer: Int(match.2) ?? -1, uses: Set(uses))
      table[entry.name] = entry
    }
    return table
  }()

  /// A line's code, without a `//` comment; text literals are left as they are.
  static func code(_ line: String) -> String {
    guard let start = line.range(of: "//") else { return line }
    return String(line[..<start.lowerBound])
  }

  static func imports(of file: SourceFile) -> [String] {
    file.lines.compactMap { line in
      // Most lines are none; a look at the first letter saves the pattern.
      guard let first = line.utf8.first, "@ip".utf8.contains(first) else { return nil }
      let pattern = #/
        ^(?:@\w+(?:\(\w+\))?\s+)?(?:public\s+)?import\s+(?:struct\s+|func\s+)?(\w+)
        /#
      guard let match = line.firstMatch(of: pattern) else { return nil }
      return String(match.1)
    }
  }

  /// Lengths of the functions in a file, by the indentation of the declaration and its closing
  /// brace.
  static func functions(of file: SourceFile) -> [(line: Int, name: String, length: Int)] {
    var found: [(Int, String, Int)] = []
    for (index, line) in file.lines.enumerated() {
      guard line.contains("func ") || line.contains(" init(") || line.hasPrefix("init("),
        let match = line.firstMatch(
          of: #/
            ^(\s*)(?:@\w+(?:\([^)]*\))?\s+)*(?:[a-z]+(?:\(\w+\))?\s+)*
            (?:func\s+([^\s(<]+)|init[?!]?\()
            /#)
      else { continue }
      let closing = String(match.1) + "}"
      for later in index..<file.lines.count {
        let candidate = file.lines[later]
        if later == index, candidate.hasSuffix("}") { break }
        if candidate.hasPrefix(closing), later > index {
          found.append((index + 1, match.2.map(String.init) ?? "init", later - index + 1))
          break
        }
        // A requirement of a protocol has no body: the next declaration begins.
        if later > index, candidate.isEmpty,
          !file.lines[index..<later].contains(where: { $0.utf8.contains(UInt8(ascii: "{")) })
        {
          break
        }
      }
    }
    return found
  }
}
