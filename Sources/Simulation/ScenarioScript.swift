/// Scenario scripts: a cluster led by hand, and what it says along the way.
///
/// A script is a list of commands; after each one stands `----` and what happened, up to an empty
/// line. Playing a script gives the same text with what happens now, so a recorded scenario is its
/// own expectation. Lines that begin with `#` are the reader's.
enum ScenarioScript {
  /// The script with its outputs as they are now.
  ///
  /// - Parameter perform: does one command, given as its words, and says what happened.
  static func play(_ script: String, _ perform: ([String]) -> [String]) -> String {
    var lines: [String] = []
    var isOutput = false
    for line in script.split(separator: "\n", omittingEmptySubsequences: false) {
      if line == "----" { isOutput = true }
      if line.isEmpty { isOutput = false }
      guard !isOutput else { continue }
      if line.isEmpty, lines.last == "" { continue }
      lines.append(String(line))
      guard !line.isEmpty, !line.hasPrefix("#") else { continue }
      lines += ["----"] + perform(line.split(separator: " ").map(String.init))
    }
    while lines.last == "" { lines.removeLast() }
    return lines.joined(separator: "\n") + "\n"
  }
}
