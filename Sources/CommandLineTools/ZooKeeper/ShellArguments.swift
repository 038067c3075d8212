/// A command's words, sorted into options and operands.
struct ShellArguments {
  private(set) var options: Set<String> = []
  private(set) var values: [String: String] = [:]
  private(set) var operands: [String] = []

  /// - Parameters:
  ///   - known: The command's options; true for those that take a value.
  ///   - isTrailing: Whether options may stand behind the path, too. Elsewhere a word with a dash
  ///     that follows the path is data.
  init(_ words: [String], known: [String: Bool], isTrailing: Bool) throws {
    var rest = words[...]
    while let word = rest.popFirst() {
      guard word.hasPrefix("-"), word.count > 1, operands.isEmpty || isTrailing else {
        operands.append(word)
        continue
      }
      guard let takesValue = known[word] else {
        throw ShellCommand.Problem("Unrecognized option: \(word)")
      }
      options.insert(word)
      guard takesValue else { continue }
      guard let value = rest.popFirst() else {
        throw ShellCommand.Problem("Missing argument for option: \(word)")
      }
      values[word] = value
    }
  }

  /// The number behind an option; nil when it was not given.
  func integer(_ option: String) throws -> Int64? {
    guard let text = values[option] else { return nil }
    guard let number = Int64(text) else { throw ShellCommand.Problem("not a number: \(text)") }
    return number
  }

  /// `-v`, or any.
  func version() throws -> Int32 {
    guard let number = try integer("-v") else { return -1 }
    guard let version = Int32(exactly: number) else {
      throw ShellCommand.Problem("not a version: \(number)")
    }
    return version
  }
}

/// Splits a line into words; quotes keep spaces.
enum ShellWords {
  static func split(_ line: String) -> [String] {
    var words: [String] = []
    var word = ""
    var quote: Character?
    var isOpen = false
    for character in line {
      if let open = quote {
        if character == open { quote = nil } else { word.append(character) }
      } else if character == "\"" || character == "'" {
        quote = character
        isOpen = true
      } else if character.isWhitespace {
        if isOpen { words.append(word) }
        word = ""
        isOpen = false
      } else {
        word.append(character)
        isOpen = true
      }
    }
    if isOpen { words.append(word) }
    return words
  }
}
