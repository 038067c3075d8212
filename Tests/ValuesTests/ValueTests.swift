import Testing
import Values

@Suite struct ValueTests {
  @Test func uuidTextIsKafkas() {
    // From a real `meta.properties`: 22 characters of URL-safe base64.
    let id = Uuid("MkU3OEVBNTcwNTJENDM2Qg")
    #expect(id?.description == "MkU3OEVBNTcwNTJENDM2Qg")
    #expect(Uuid("MkU3OEVBNTcwNTJENDM2Qh") == nil)
    #expect(Uuid("short") == nil)
    #expect(Uuid.zero.description == "AAAAAAAAAAAAAAAAAAAAAA")
    #expect(Uuid.one.description == "AAAAAAAAAAAAAAAAAAAAAQ")
  }

  @Test func randomUuidsRoundTrip() {
    var generator = SplitMix(seed: 7)
    for _ in 0..<200 {
      let id = Uuid.random(using: &generator)
      #expect(Uuid(id.description) == id)
      #expect(!id.description.hasPrefix("-"))
    }
  }

  @Test func instantsSaturate() {
    #expect(Instant.zero.advanced(milliseconds: .max) == .distantFuture)
    #expect(Instant(milliseconds: 5).advanced(milliseconds: -3).milliseconds == 2)
  }
}
