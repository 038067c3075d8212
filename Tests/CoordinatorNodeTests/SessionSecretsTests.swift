import Testing
import Values

@testable import CoordinatorNode

@Suite struct SessionSecretsTests {
  @Test func idsCarryTheServerInTheTopByte() {
    let id = SessionSecrets.firstSession(
      server: 3, wallTime: WallTime(milliseconds: 1_795_340_802_789))
    #expect(id >> 56 == 3)
    let later = SessionSecrets.firstSession(
      server: 3, wallTime: WallTime(milliseconds: 1_795_340_802_790))
    #expect(later - id == 1 << 16)
  }

  /// What `new java.util.Random(id ^ 0xB3415C00L).nextBytes` gives.
  @Test func passwordsAreThoseOfARealServer() {
    #expect(
      SessionSecrets.password(of: 0x1_0000_713b_4300_01) == [
        178, 2, 125, 133, 224, 103, 119, 97, 10, 150, 141, 52, 93, 15, 9, 132,
      ])
  }
}
