import Cryptography
import Testing

@Suite struct CryptographyTests {
  private func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  @Test func digestsAreTheKnownOnes() {
    #expect(hex(Digest.sha1.hash(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
    #expect(hex(Digest.sha256.hash([])).hasPrefix("e3b0c44298fc1c149afbf4c8996fb924"))
    #expect(hex(Digest.sha512.hash([])).hasPrefix("cf83e1357eefb8bdf1542850d66d8007"))
  }
}
