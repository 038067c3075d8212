import Foundation
import TestKit
import Testing

@testable import schemac

@Suite struct GeneratedFilesTests {
  @Test func checkedInFilesAreWhatTheSchemasGive() throws {
    let generator = Generator(sources: Fixtures.checkout.appending(path: "Sources"))
    #expect(try generator.differences() == [])
  }

  @Test func mistakesAreNamedByFileAndLine() {
    let failure = #expect(throws: SchemaError.self) {
      try SchemaParser.parse("data Thing 0-1\n  Name string x\n", path: "thing.kafka")
    }
    #expect(failure?.description == "thing.kafka:2: not a range of versions: x")
  }

  @Test func namesAreSpelledTheSwiftWay() {
    #expect(SwiftNames.property("TopicId") == "topicID")
    #expect(SwiftNames.property("ProducerIds") == "producerIDs")
    #expect(SwiftNames.property("Idle") == "idle")
    #expect(SwiftNames.property("Protocol") == "`protocol`")
    #expect(SwiftNames.member("Version") == "self.version")
  }
}
