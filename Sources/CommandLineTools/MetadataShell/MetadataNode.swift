/// A node of the tree that the metadata shell walks: a directory with named children, or a file
/// with one line of text. Children are made when they are asked for, because a cluster may have
/// hundreds of thousands of partitions.
enum MetadataNode {
  case file(String)
  case directory(names: () -> [String], child: (String) -> MetadataNode?)

  /// A directory with a few children whose names are known.
  static func directory(_ children: [String: () -> MetadataNode]) -> MetadataNode {
    .directory(names: { Array(children.keys) }, child: { children[$0]?() })
  }

  var isDirectory: Bool {
    if case .directory = self { true } else { false }
  }

  /// In the order in which every command shows them: that of their characters' codes, as in Java.
  var sortedNames: [String] {
    guard case .directory(let names, _) = self else { return [] }
    return names().sorted { $0.utf16.lexicographicallyPrecedes($1.utf16) }
  }

  func child(_ name: String) -> MetadataNode? {
    guard case .directory(_, let child) = self else { return nil }
    return child(name)
  }

  /// The lines of `cat` and `tree`: names with a colon, what is below them indented by two.
  func print(indentation: Int = 0, _ line: (String) -> Void) {
    let margin = String(repeating: "  ", count: indentation)
    if case .file(let text) = self { return line(margin + text) }
    for name in sortedNames {
      line("\(margin)\(name):")
      child(name)?.print(indentation: indentation + 1, line)
    }
  }
}

/// A pattern for one component of a path: `*`, `?`, `{a,b}`, and `\` before a character that is
/// meant as such. A malformed one (a group in a group, or one without end) is a plain name.
struct GlobComponent {
  private indirect enum Part {
    case character(Character)
    case any
    case anything
    case group([[Part]])
  }

  let text: String
  private let parts: [Part]
  /// Whether it can match one name only.
  let isLiteral: Bool

  init(_ text: String) {
    self.text = text
    var parts: [Part] = []
    var group: [[Part]]?
    var isLiteral = true
    func add(_ part: Part) {
      guard var choices = group else { return parts.append(part) }
      choices[choices.count - 1].append(part)
      group = choices
    }
    var rest = text[...]
    var isMalformed = false
    while let character = rest.popFirst() {
      switch character {
      case "?":
        isLiteral = false
        add(.any)
      case "*":
        isLiteral = false
        add(.anything)
      case "\\": add(.character(rest.popFirst() ?? "\\"))
      case "{":
        isMalformed = isMalformed || group != nil
        isLiteral = false
        group = [[]]
      case "," where group != nil: group?.append([])
      case "}" where group != nil:
        parts.append(.group(group ?? []))
        group = nil
      default: add(.character(character))
      }
    }
    isMalformed = isMalformed || group != nil
    self.isLiteral = isLiteral || isMalformed
    self.parts = isMalformed ? [] : parts
  }

  func matches(_ name: String) -> Bool {
    isLiteral ? name == text : Self.match(parts[...], name[...])
  }

  private static func match(_ parts: ArraySlice<Part>, _ name: Substring) -> Bool {
    guard let first = parts.first else { return name.isEmpty }
    let rest = parts.dropFirst()
    switch first {
    case .character(let character):
      return name.first == character && match(rest, name.dropFirst())
    case .any: return !name.isEmpty && match(rest, name.dropFirst())
    case .anything:
      var tail = name
      while true {
        if match(rest, tail) { return true }
        if tail.popFirst() == nil { return false }
      }
    case .group(let choices):
      return choices.contains { match($0[...] + rest, name) }
    }
  }
}

/// Where the shell stands, and how it finds what a path with patterns names.
struct MetadataTree {
  let root: MetadataNode
  /// Absolute.
  var workingDirectory = "/"

  struct Found {
    /// Names from the root; empty for the root itself.
    var path: [String]
    var node: MetadataNode

    var lastComponent: String { path.last ?? "/" }
    var absolutePath: String { "/" + path.joined(separator: "/") }
  }

  /// Everything that the path matches, in order; empty if it matches nothing.
  func find(_ glob: String) -> [Found] {
    let full = glob.hasPrefix("/") ? glob : "\(workingDirectory)/\(glob)"
    var components: [String] = []
    for component in full.split(separator: "/") {
      switch component {
      case ".": break
      case "..": components = components.dropLast()
      default: components.append(String(component))
      }
    }
    var found = [Found(path: [], node: root)]
    for component in components.map(GlobComponent.init) {
      found = found.flatMap { place -> [Found] in
        let names = component.isLiteral ? [component.text] : place.node.sortedNames
        return names.compactMap { name in
          guard component.matches(name), let child = place.node.child(name) else { return nil }
          return Found(path: place.path + [name], node: child)
        }
      }
    }
    return found
  }
}
