import Testing
import ZooKeeperProtocol

@testable import CommandLineTools

@Suite struct ToolParsingTests {
  @Test func everyToolHasANameOfItsOwnAndHelp() {
    let names = ToolCatalogue.tools.map(\.name)
    #expect(Set(names).count == names.count)
    for tool in ToolCatalogue.tools {
      #expect(tool.syntax.help.contains("usage: jackdaw \(tool.name)"))
    }
  }

  @Test func linesBecomeRecords() throws {
    let reader = try LineReader([
      "parse.key": "true", "key.separator": ":", "parse.headers": "true", "null.marker": "NULL",
    ])
    let record = try #require(
      try reader.record("a:1,b:NULL\tkey:value:more", topic: "t", line: 1))
    #expect(record.headers.map(\.name) == ["a", "b"])
    #expect(record.headers[1].value == nil)
    #expect(record.key == Array("key".utf8))
    #expect(record.value == Array("value:more".utf8))
    #expect(throws: ToolFailure.self) { try reader.record("no headers", topic: "t", line: 2) }
    #expect(try reader.record("\tkey:NULL", topic: "t", line: 3)?.value == nil)
  }

  @Test func configListsKeepCommasInBrackets() {
    #expect(
      ConfigList.split("cleanup.policy=[compact,delete],retention.ms=5")
        == ["cleanup.policy=[compact,delete]", "retention.ms=5"])
    #expect(ConfigList.unwrap("[compact,delete]") == "compact,delete")
  }

  @Test func replicaListsAreChecked() throws {
    #expect(try ReplicaLists.parse("1:2,3", flag: "--x") == [[1, 2], [3]])
    for text in ["1:1", "a", "1:,2", "-1"] {
      #expect(throws: (any Error).self) { try ReplicaLists.parse(text, flag: "--x") }
    }
  }

  @Test func shellWordsAndACLs() throws {
    #expect(
      ShellWords.split(#"create /a "two words" 'it is'  x"#)
        == ["create", "/a", "two words", "it is", "x"])
    #expect(ShellWords.split(#"set /a """#) == ["set", "/a", ""])
    let known = ["-s": false, "-v": true]
    let arguments = try ShellArguments(
      ["-s", "-v", "3", "/path", "-data"], known: known, isTrailing: false)
    #expect(throws: (any Error).self) {
      try ShellArguments(["-x", "/path"], known: known, isTrailing: false)
    }
    let trailing = try ShellArguments(["/path", "-v", "3"], known: known, isTrailing: true)
    #expect(trailing.operands == ["/path"] && trailing.values["-v"] == "3")
    #expect(arguments.options == ["-s", "-v"])
    #expect(arguments.values["-v"] == "3")
    #expect(arguments.operands == ["/path", "-data"])
    let acl = try ShellACL.parse("digest:user:hash=:cdrwa,world:anyone:r")
    #expect(acl[0].id == AuthID(scheme: "digest", id: "user:hash="))
    #expect(acl[0].perms == .all)
    #expect(ShellACL.letters(acl[1].perms) == "r")
    #expect(throws: (any Error).self) { try ShellACL.parse("world:anyone:x") }
    let certificate = try ShellACL.parse("x509:CN=a,O=b:r,world:anyone:cd")
    #expect(certificate.map(\.id.id) == ["CN=a,O=b", "anyone"])
  }

  @Test func shellFlagsBehindTheAddressBelongToTheCommand() {
    let tool = ZooKeeperShellTool()
    #expect(
      tool.prepare(["--timeout", "5", "h:1", "ls", "-R", "/"])
        == ["--timeout", "5", "h:1", "--", "ls", "-R", "/"])
    #expect(
      tool.prepare(["h:1", "-zk-tls-config-file", "f", "ls", "/"])
        == ["--zk-tls-config-file", "f", "h:1", "--", "ls", "/"])
  }

  @Test func quotasKeepZooKeepersForm() {
    var limit = QuotaLimits("count=5,bytes=-1=;byteHardLimit=7;countHardLimit=9")
    #expect(limit.count == 5 && limit.bytesHard == 7 && limit.countHard == 9)
    #expect(limit.text == "count=5,bytes=-1=;byteHardLimit=7;countHardLimit=9")
    limit = QuotaLimits("count=5,bytes=6")
    #expect(limit.text == "count=5,bytes=6")
  }

  @Test func histogramsStayWithinTwoPercent() {
    var histogram = LatencyHistogram()
    for value in 1...100_000 { histogram.record(Int64(value)) }
    for share in [0.5, 0.95, 0.99, 0.999] {
      let exact = 100.0 * share
      #expect(abs(histogram.percentileMs(share) - exact) <= exact * 0.02)
    }
    #expect(histogram.maximumMs == 100)
    #expect(abs(histogram.meanMs - 50.0005) < 0.01)
  }
}
