import Settings
import Testing

@Suite struct PropertiesTests {
  func parse(_ text: String) throws -> Properties {
    try Properties(parsing: text, file: "test.properties")
  }

  @Test func separatorsAndBlanks() throws {
    let properties = try parse(
      "a=1\nb : 2\nc 3\n  d\t=\t4\ne\nf=\ng = = x \n")
    #expect(properties["a"] == "1")
    #expect(properties["b"] == "2")
    #expect(properties["c"] == "3")
    #expect(properties["d"] == "4")
    #expect(properties["e"] == "")
    #expect(properties["f"] == "")
    #expect(properties["g"] == "= x ")
    #expect(properties["h"] == nil)
  }

  @Test func commentsAndLineEnds() throws {
    let properties = try parse("# a=1\r\n  ! b=2\rc=3\r\n\r\nd=4 # not a comment\\\n#and so on")
    #expect(properties.entries.map(\.key) == ["c", "d"])
    #expect(properties["d"] == "4 # not a comment#and so on")
    #expect(properties.origin(of: "d") == .file("test.properties", line: 5))
  }

  @Test func continuationDropsIndentation() throws {
    let properties = try parse("list=a,\\\n    b,\\\n\tc\nnext=1\\\\\nlast=2\\")
    #expect(properties["list"] == "a,b,c")
    #expect(properties["next"] == "1\\")
    #expect(properties["last"] == "2")
    #expect(properties.origin(of: "next")?.description == "test.properties:4")
  }

  @Test func escapes() throws {
    let properties = try parse(#"key\ with\:signs\==\t\u00e9\q\\"#)
    #expect(properties["key with:signs="] == "\té" + "q\\")
  }

  @Test func pairsOfSurrogatesMakeOneCharacter() throws {
    #expect(try parse(#"a=\uD83D\uDE00"#)["a"] == "😀")
  }

  @Test func bytesAreLatin1() throws {
    let properties = try Properties(parsing: [0x61, 0x3d, 0xe9] as [UInt8], file: "f")
    #expect(properties["a"] == "é")
  }

  @Test func malformedEscapeNamesFileAndLine() {
    #expect(throws: SettingsError.self) { try parse("a=1\nb=\\u12") }
    do {
      _ = try parse("a=1\nb=\\uzzzz")
    } catch let error as SettingsError {
      #expect(error.description == "test.properties:2: malformed \\uXXXX escape")
    } catch {
      Issue.record("another error: \(error)")
    }
  }

  @Test func lastMentionWins() throws {
    let properties = try parse("a=1\nb=2\na=3")
    #expect(properties["a"] == "3")
    #expect(properties.effectiveEntries.map(\.value) == ["3", "2"])
  }

  @Test func sourcesInOrderOfStrength() throws {
    var sources = SettingSources(try parse("log.dirs=/a\nnum.partitions=3"))
    sources.apply(environment: [
      "KAFKA_LOG_DIRS": "/b", "KAFKA_OPTS": "-X", "PATH": "/bin", "KAFKA_A__B___C": "x",
      "KAFKA_ZOOKEEPER_CLIENTCNXNSOCKET": "netty",
    ])
    try sources.override("log.dirs=/c=d")
    #expect(sources["log.dirs"]?.value == "/c=d")
    #expect(sources["log.dirs"]?.origin == .override)
    #expect(sources["num.partitions"]?.origin == .file("test.properties", line: 2))
    #expect(sources["a_b-c"]?.value == "x")
    #expect(sources["zookeeper.clientCnxnSocket"]?.value == "netty")
    #expect(sources["opts"] == nil)
    #expect(throws: SettingsError.self) { try sources.override("nothing") }
  }
}
