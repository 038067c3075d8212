import Groups
import Testing

/// Runs a script and compares it with what happened.
func check(
  _ script: String, _ change: (inout GroupConfig) -> Void = { _ in },
  at location: SourceLocation = #_sourceLocation
) {
  var runner = GroupScript(change)
  let actual = runner.run(script)
  guard actual != script else { return }
  let expected = script.split(separator: "\n", omittingEmptySubsequences: false)
  let lines = actual.split(separator: "\n", omittingEmptySubsequences: false)
  let first = zip(expected, lines).first { $0 != $1 }
  Issue.record(
    "expected '\(first?.0 ?? "")', not '\(first?.1 ?? "")'; the whole is\n\(actual)",
    sourceLocation: location)
}
