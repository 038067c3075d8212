import Bytes
import Testing

@Suite struct Base64Tests {
  @Test(arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")])
  func roundTrips(_ plain: String, _ text: String) {
    #expect(Base64.encode(Array(plain.utf8)) == text)
    #expect(Base64.decode(text) == Array(plain.utf8))
  }

  @Test(arguments: [
    "Z", "Zg", "Zg=", "Zg===", "Z===", "Zh==", "Zg==Zg==", "Z-==", "=", "====", "Zm9v=",
  ])
  func whatIsNoBase64IsRefused(_ text: String) {
    #expect(Base64.decode(text) == nil)
  }

  /// Znodes are written by other programs too.
  @Test(arguments: ["Zg", "Zg=", "Zg==", "Zh"])
  func paddingMayBeForgiven(_ text: String) {
    #expect(Base64.decode(text, .forgiving) == [UInt8(ascii: "f")])
  }

  @Test(arguments: ["Z", "Z-==", "Zg===", "Zg==Zg=="])
  func otherFaultsAreNot(_ text: String) {
    #expect(Base64.decode(text, .forgiving) == nil)
  }
}
