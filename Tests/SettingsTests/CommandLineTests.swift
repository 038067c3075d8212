import Settings
import Testing

@Suite struct CommandLineTests {
  let syntax = CommandLineSyntax(
    command: "jackdaw topics", summary: "Manages topics.",
    flags: [
      .value("--bootstrap-server", "HOST:PORT", required: true, "The brokers to ask first."),
      .value("--config", "KEY=VALUE", repeatable: true, "A topic's setting."),
      .value("--partitions", "COUNT", default: "1", "How many partitions."),
      .toggle("--list", "List topics."),
    ])

  @Test func bothSpellingsOfAValue() throws {
    let line = try syntax.parse([
      "--bootstrap-server", "a:1", "--config=x=1", "--config", "y=2=3", "--list",
    ])
    #expect(line.value("--bootstrap-server") == "a:1")
    #expect(try line.pairs("--config").map(\.value) == ["1", "2=3"])
    #expect(line.has("--list"))
    #expect(try line.integer("--partitions") == 1)
  }

  @Test(arguments: [
    (["--list"], "--bootstrap-server: missing required flag"),
    (["--bootstrap-server"], "--bootstrap-server: needs a value (HOST:PORT)"),
    (["--bootstrap"], "--bootstrap: unknown flag; did you mean --bootstrap-server?"),
    (["--list=1"], "--list=1: takes no value"),
    (["--bootstrap-server=a", "x"], "unexpected argument 'x'; try --help"),
    (
      ["--bootstrap-server=a", "--bootstrap-server=b"],
      "--bootstrap-server=b: given more than once"
    ),
  ])
  func errorsNameTheFlag(arguments: [String], message: String) {
    do {
      _ = try syntax.parse(arguments)
      Issue.record("accepted \(arguments)")
    } catch {
      #expect(error.description == message)
    }
  }

  @Test func numbersAreChecked() throws {
    let line = try syntax.parse(["--bootstrap-server=a", "--partitions=0x"])
    #expect(throws: SettingsError.self) { try line.integer("--partitions") }
    let zero = try syntax.parse(["--bootstrap-server=a", "--partitions=0"])
    #expect(throws: SettingsError.self) { try zero.integer("--partitions", in: 1...10) }
  }

  @Test func helpNamesEveryFlag() throws {
    #expect(try syntax.parse(["-h"]).has("--help"))
    let line = "  --bootstrap-server <HOST:PORT>  The brokers to ask first. (required)"
    #expect(syntax.help.contains(line))
    #expect(syntax.help.hasPrefix("Manages topics.\n\nusage: jackdaw topics [flags]\n"))
  }
}
