/// Scripts that stand in tests beside what has to come of them: commands, one a line, and behind
/// each the lines with `>` that it should say. Empty lines and those with `#` are the reader's.
public struct InlineScript {
  /// A command: `name token key=value …`.
  public struct Command {
    public let name: String
    /// The first word behind the name that is no pair; "-" if there is none.
    public let token: String
    public let options: [String: String]

    init(_ line: Substring) {
      let words = line.split(separator: " ").map(String.init)
      var options: [String: String] = [:]
      for word in words.dropFirst() {
        if let separator = word.firstIndex(of: "=") {
          options[String(word[..<separator])] = String(word[word.index(after: separator)...])
        }
      }
      name = words[0]
      token = words.dropFirst().first { !$0.contains("=") } ?? "-"
      self.options = options
    }
  }

  private var transcript: [String] = []

  public init() {}

  /// Adds what a command says.
  public mutating func say(_ line: String) { transcript.append("> " + line) }

  /// Takes one line of a script over.
  /// - Returns: the command that it is, if it is one.
  public mutating func take(_ line: Substring) -> Command? {
    let text = line.drop { $0 == " " }
    if text.hasPrefix(">") { return nil }
    transcript.append(String(line))
    return text.isEmpty || text.hasPrefix("#") ? nil : Command(text)
  }

  /// The script as it would have to read.
  public var text: String { transcript.joined(separator: "\n") }

  public static func lines(_ script: String) -> [Substring] {
    script.split(separator: "\n", omittingEmptySubsequences: false)
  }

  /// For a person: where two scripts part, and the second; nil if they are the same.
  public static func difference(_ expected: String, _ actual: String) -> String? {
    guard actual != expected else { return nil }
    let first = zip(lines(expected), lines(actual)).first { $0 != $1 }
    return "expected '\(first?.0 ?? "")', not '\(first?.1 ?? "")'; the whole is\n\(actual)"
  }
}
