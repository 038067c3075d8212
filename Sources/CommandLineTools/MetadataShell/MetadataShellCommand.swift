/// The commands of the metadata shell: names, arguments and output as in Kafka's.
import Metadata

/// One kind of command.
struct ShellCommandType: Sendable {
  /// How many operands it takes.
  enum Operands: Sendable {
    case none, optional, one, some, any
  }

  let name: String
  let summary: String
  /// Only at the prompt, not on the command line.
  let isForPromptOnly: Bool
  let operands: Operands
  /// What its operands are called, and what they are; nil: it has none.
  let operand: (name: String, help: String)?

  private init(
    _ name: String, _ summary: String, prompt: Bool, _ operands: Operands = .none,
    _ operand: (name: String, help: String)? = nil
  ) {
    self.name = name
    self.summary = summary
    isForPromptOnly = prompt
    self.operands = operands
    self.operand = operand
  }

  static let all: [ShellCommandType] = [
    .init(
      "cat", "Show the contents of metadata files.", prompt: false, .some,
      ("targets", "The metadata files to display.")),
    .init(
      "cd", "Set the current working directory.", prompt: true, .optional,
      ("target", "The directory to change to.")),
    .init("exit", "Exit the metadata shell.", prompt: true),
    .init(
      "find", "Search for nodes in the directory hierarchy.", prompt: false, .any,
      ("paths", "The paths to start at.")),
    .init("help", "Display this help message.", prompt: true),
    .init(
      "history", "Print command history.", prompt: true, .optional,
      ("numEntriesToShow", "The number of entries to show.")),
    .init(
      "ls", "List metadata nodes.", prompt: false, .any,
      ("targets", "The metadata node paths to list.")),
    .init(
      "man", "Show the help text for a specific command.", prompt: true, .one,
      ("cmd", "The command to get help text for.")),
    .init("pwd", "Print the current working directory.", prompt: true),
    .init(
      "tree", "Show the contents of metadata nodes in a tree structure.", prompt: false, .some,
      ("targets", "The metadata nodes to display.")),
  ]

  var usage: String {
    let shown = operand.map { $0.name } ?? ""
    return switch operands {
    case .none: "usage: \(name)"
    case .optional: "usage: \(name) [\(shown)]"
    case .one: "usage: \(name) \(shown)"
    case .some: "usage: \(name) \(shown) [\(shown) ...]"
    case .any: "usage: \(name) [\(shown) ...]"
    }
  }

  /// Nil when the number of operands fits, else what is wrong.
  func problem(_ count: Int) -> String? {
    switch operands {
    case .none where count > 0, .optional where count > 1, .one where count > 1:
      "unrecognized arguments"
    case .one where count == 0, .some where count == 0: "too few arguments"
    default: nil
    }
  }
}

/// A shell on one image: takes commands, gives lines.
struct MetadataShell {
  private(set) var tree: MetadataTree
  /// Columns of the terminal, for `ls`; nil: one entry a line.
  let width: Int?
  let isInteractive: Bool
  private var history: [String] = []
  private let line: (String) -> Void

  enum Outcome: Equatable { case done, failed, ended }

  init(
    _ content: ShellImage, isInteractive: Bool, width: Int? = nil,
    _ line: @escaping (String) -> Void
  ) {
    tree = MetadataTree(root: content.root)
    self.width = width
    self.isInteractive = isInteractive
    self.line = line
  }

  /// One line at the prompt, which goes into the history.
  mutating func perform(line text: String) -> Outcome {
    let words = ShellWords.split(text)
    guard !words.isEmpty else { return .done }
    history.append(text)
    return perform(words)
  }

  mutating func perform(_ words: [String]) -> Outcome {
    guard let name = words.first, !name.isEmpty else { return .done }
    let known = ShellCommandType.all.filter { isInteractive || !$0.isForPromptOnly }
    guard let type = known.first(where: { $0.name == name }) else {
      let names = known.map { "'\($0.name)'" }.joined(separator: ", ")
      line("invalid choice: '\(name)' (choose from \(names))")
      return .failed
    }
    let operands = words.dropFirst().filter { !$0.isEmpty }
    if let problem = type.problem(operands.count) {
      line(problem)
      return .failed
    }
    switch name {
    case "cat": return cat(operands)
    case "cd": return change(to: operands.first ?? "/")
    case "exit": return .ended
    case "find": return find(operands.isEmpty ? ["."] : operands)
    case "help": help()
    case "history": return showHistory(operands.first)
    case "ls": return list(operands.isEmpty ? ["."] : operands)
    case "man": return manual(operands[0])
    case "pwd": line(tree.workingDirectory)
    default: return show(operands)
    }
    return .done
  }

  // MARK: Looking

  private func each(
    _ targets: [String], missing: (String) -> String,
    _ body: (String, MetadataTree.Found) -> Bool
  ) -> Outcome {
    var isGood = true
    for target in targets {
      let found = tree.find(target)
      if found.isEmpty {
        line(missing(target))
        isGood = false
      }
      for place in found where !body(target, place) { isGood = false }
    }
    return isGood ? .done : .failed
  }

  private func cat(_ targets: [String]) -> Outcome {
    each(targets, missing: { "cat: \($0): No such file or directory." }) { target, place in
      if place.node.isDirectory {
        line("cat: \(target): Is a directory")
        return false
      }
      place.node.print(line)
      return true
    }
  }

  private func show(_ targets: [String]) -> Outcome {
    each(targets, missing: { "tree: \($0): No such file or directory." }) { _, place in
      place.node.print(line)
      return true
    }
  }

  private func find(_ targets: [String]) -> Outcome {
    func walk(_ path: String, _ node: MetadataNode) {
      line(path)
      for name in node.sortedNames {
        guard let child = node.child(name) else { continue }
        walk(path == "/" ? "/\(name)" : "\(path)/\(name)", child)
      }
    }
    return each(targets, missing: { "find: \($0): no such file or directory." }) { target, place in
      walk(target, place.node)
      return true
    }
  }

  private func list(_ targets: [String]) -> Outcome {
    var files: [String] = []
    var directories: [(name: String, children: [String])] = []
    let outcome = each(targets, missing: { "ls: \($0): no such file or directory." }) { _, place in
      if place.node.isDirectory {
        directories.append((place.lastComponent, place.node.sortedNames))
      } else {
        files.append(place.lastComponent)
      }
      return true
    }
    for row in Columns.rows(files, width: width) { line(row) }
    let needsTitles = !files.isEmpty || directories.count > 1
    var isFirst = files.isEmpty
    for directory in directories {
      if needsTitles, !directory.children.isEmpty {
        if !isFirst { line("") }
        line("\(directory.name):")
        isFirst = false
      }
      for row in Columns.rows(directory.children, width: width) { line(row) }
    }
    return outcome
  }

  // MARK: At the prompt

  private mutating func change(to target: String) -> Outcome {
    let found = tree.find(target)
    var isGood = !found.isEmpty
    if found.isEmpty { line("cd: \(target): no such directory.") }
    for place in found {
      if place.node.isDirectory {
        tree.workingDirectory = place.absolutePath
      } else {
        line("cd: \(target): not a directory.")
        isGood = false
      }
    }
    return isGood ? .done : .failed
  }

  private func help() {
    line("Welcome to the Apache Kafka metadata shell.")
    line("")
    line("usage:  {\(ShellCommandType.all.map(\.name).joined(separator: ","))} ...")
    line("")
    line("positional arguments:")
    for type in ShellCommandType.all { line("    \(type.name.padding(to: 20))\(type.summary)") }
  }

  private func manual(_ name: String) -> Outcome {
    guard let type = ShellCommandType.all.first(where: { $0.name == name }) else {
      line("man: unknown command \(name). Type help to get a list of commands.")
      return .failed
    }
    line("\(name): \(type.summary)")
    line("")
    line(type.usage)
    if let operand = type.operand {
      line("")
      line("positional arguments:")
      line("  \(operand.name.padding(to: 22))\(operand.help)")
    }
    return .done
  }

  private func showHistory(_ count: String?) -> Outcome {
    let wanted = count.map { Int($0) } ?? .some(.max)
    guard let count = wanted else {
      line("argument numEntriesToShow: could not convert '\(count ?? "")' to Integer")
      return .failed
    }
    let first = history.count - max(0, min(count, history.count))
    for index in first..<history.count {
      let number = "\(index)"
      line(String(repeating: " ", count: max(1, 5 - number.count)) + "\(number)  \(history[index])")
    }
    return .done
  }
}

/// Names in as many columns as fit, filled from top to bottom, two spaces apart.
enum Columns {
  static func rows(_ entries: [String], width: Int?) -> [String] {
    guard let width, width >= 8, !entries.isEmpty else { return entries }
    for columns in stride(from: min(width / 4, entries.count), to: 1, by: -1) {
      let height = (entries.count + columns - 1) / columns
      // With so few entries the last column would stay empty.
      guard height * (columns - 1) < entries.count else { continue }
      let widths = (0..<columns).map { column in
        let part = entries[(column * height)..<min(entries.count, (column + 1) * height)]
        return (part.map(\.count).max() ?? 0) + 2
      }
      guard widths.reduce(0, +) <= width else { continue }
      return (0..<height).map { row in
        var text = ""
        for column in 0..<columns where row + column * height < entries.count {
          let entry = entries[row + column * height]
          text += column < columns - 1 ? entry.padding(to: widths[column]) : entry
        }
        return text
      }
    }
    return entries
  }
}
