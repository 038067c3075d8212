import Groups
import TestKit
import Testing

/// Runs a script and compares it with what happened.
func check(
  _ script: String, _ change: (inout GroupConfig) -> Void = { _ in },
  at location: SourceLocation = #_sourceLocation
) {
  var runner = GroupScript(change)
  if let difference = InlineScript.difference(script, runner.run(script)) {
    Issue.record("\(difference)", sourceLocation: location)
  }
}
