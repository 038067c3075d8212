import Control
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Testing
import Values

@Suite struct QuorumAclTests {
  private func creation(
    _ name: String, pattern: Int8 = 3, operation: Int8 = 3, principal: String = "User:a"
  ) -> CreateAclsRequest.AclCreation {
    .init {
      $0.resourceType = 2
      $0.resourceName = name
      $0.resourcePatternType = pattern
      $0.principal = principal
      $0.host = "*"
      $0.operation = operation
      $0.permissionType = 3
    }
  }

  private func filter(
    _ name: String?, pattern: Int8 = 3
  ) -> DeleteAclsRequest.DeleteAclsFilter {
    .init {
      $0.resourceTypeFilter = 1
      $0.resourceNameFilter = name
      $0.patternTypeFilter = pattern
      $0.principalFilter = nil
      $0.hostFilter = nil
      $0.operation = 1
      $0.permissionType = 1
    }
  }

  @Test func entriesAreCreatedOnce() throws {
    var host = QuorumHost()
    host.lead()
    let request = CreateAclsRequest {
      $0.creations = [creation("t"), creation("t"), creation("t", pattern: 4)]
    }
    #expect(try host.ask(request).results.map(\.errorCode) == [0, 0, 0])
    #expect(host.image.accessControl.ids.count == 2)
    #expect(try host.ask(request).results.map(\.errorCode) == [0, 0, 0])
    #expect(host.image.accessControl.ids.count == 2)
    let odd = CreateAclsRequest {
      $0.creations = [
        creation(""), creation("t", pattern: 2), creation("t", operation: 1),
        creation("t", operation: 99), creation("t", principal: "nobody"),
      ]
    }
    #expect(
      try host.ask(odd).results.allSatisfy {
        $0.errorCode == ErrorCode.invalidRequest.rawValue
      })
    #expect(host.image.accessControl.ids.count == 2)
  }

  @Test func entriesAreDeletedByFilter() throws {
    var host = QuorumHost()
    host.lead()
    _ = try host.ask(
      CreateAclsRequest {
        $0.creations = [
          creation("orders"), creation("ord", pattern: 4), creation("*"), creation("other"),
        ]
      })
    func delete(_ filters: DeleteAclsRequest.DeleteAclsFilter...) throws -> [[String]] {
      try host.ask(DeleteAclsRequest { $0.filters = filters }).filterResults.map {
        $0.matchingAcls.map(\.resourceName).sorted()
      }
    }
    #expect(try delete(filter("orders", pattern: 4)) == [[]])
    // Whatever covers the name, literally, by prefix or by wildcard; each filter reports it.
    #expect(
      try delete(filter("orders", pattern: 2), filter("orders"))
        == [["*", "ord", "orders"], ["orders"]])
    #expect(host.image.accessControl.ids.count == 1)
    #expect(
      try host.ask(DeleteAclsRequest { $0.filters = [.init()] }).filterResults[0].errorCode
        == ErrorCode.invalidRequest.rawValue)
    #expect(try delete(filter(nil, pattern: 1)) == [["other"]])
    #expect(host.image.accessControl == AccessControlImage())
  }
}

@Suite struct QuorumCredentialTests {
  private func makeHost() -> QuorumHost {
    var options = QuorumControllerOptions.test
    options.hooks.scramKeys = { mechanism, password in
      (password + [UInt8(mechanism.rawValue)], password + [9])
    }
    options.hooks.tokenHMAC = { Array($0.utf8.reversed()) }
    var host = QuorumHost(options)
    host.lead()
    return host
  }

  @Test func credentialsAreKeptWithoutThePassword() throws {
    var host = makeHost()
    func alter(
      deleting: [String] = [], setting: [(String, Int32)] = [], mechanism: Int8 = 1
    ) throws -> [(String, ErrorCode)] {
      try host.ask(
        AlterUserScramCredentialsRequest { request in
          request.deletions = deleting.map { name in
            .init {
              $0.name = name
              $0.mechanism = mechanism
            }
          }
          request.upsertions = setting.map { name, iterations in
            .init {
              $0.name = name
              $0.mechanism = mechanism
              $0.iterations = iterations
              $0.salt = [1]
              $0.saltedPassword = [7, 7]
            }
          }
        }
      ).results.map { ($0.user, ErrorCode($0.errorCode)) }
    }
    #expect(try alter(setting: [("alice", 4096)])[0] == ("alice", .none))
    #expect(
      host.image.scram["alice", .sha256]
        == ScramCredential(salt: [1], storedKey: [7, 7, 1], serverKey: [7, 7, 9], iterations: 4096))
    #expect(try alter(setting: [("b", 4095)])[0].1 == .unacceptableCredential)
    #expect(try alter(setting: [("b", 16385)])[0].1 == .unacceptableCredential)
    #expect(try alter(setting: [("", 4096)])[0].1 == .unacceptableCredential)
    #expect(try alter(setting: [("b", 4096)], mechanism: 9)[0].1 == .unsupportedSaslMechanism)
    #expect(try alter(deleting: ["b"])[0].1 == .resourceNotFound)
    let twice = try alter(deleting: ["alice"], setting: [("alice", 4096), ("c", 4096)])
    #expect(twice.map(\.1) == [.duplicateResource, .none])
    #expect(try alter(deleting: ["alice"])[0].1 == .none)
    #expect(host.image.scram.users == ["c"])
  }

  @Test func tokensAreCreatedRenewedAndExpired() throws {
    var host = makeHost()
    let alice = Principal(name: "alice")
    let bob = Principal(name: "bob")
    let created = try host.ask(
      CreateDelegationTokenRequest {
        $0.maxLifetimeMs = 172_800_000
        $0.renewers = [
          .init {
            $0.principalType = "User"
            $0.principalName = "bob"
          }
        ]
      }, principal: alice)
    #expect(created.errorCode == 0 && created.principalName == "alice")
    #expect(created.expiryTimestampMs == host.wallTime + 86_400_000)
    #expect(created.maxTimestampMs == host.wallTime + 172_800_000)
    #expect(created.hmac == Array(created.tokenID.utf8.reversed()))
    #expect(host.image.delegationTokens[created.tokenID]?.renewers == ["User:bob"])

    func renew(_ who: Principal, _ period: Int64, _ hmac: [UInt8]) throws
      -> RenewDelegationTokenResponse
    {
      try host.ask(
        RenewDelegationTokenRequest {
          $0.hmac = hmac
          $0.renewPeriodMs = period
        }, principal: who)
    }
    #expect(try renew(bob, 1000, created.hmac).expiryTimestampMs == host.wallTime + 1000)
    // A longer period than the default is cut, and so is one beyond the end of the token.
    #expect(try renew(bob, .max, created.hmac).expiryTimestampMs == host.wallTime + 86_400_000)
    #expect(
      try ErrorCode(renew(Principal(name: "eve"), 1, created.hmac).errorCode)
        == .delegationTokenOwnerMismatch)
    #expect(try ErrorCode(renew(bob, 1, [1]).errorCode) == .delegationTokenNotFound)

    let expired = try host.ask(
      ExpireDelegationTokenRequest {
        $0.hmac = created.hmac
        $0.expiryTimePeriodMs = -1
      }, principal: alice)
    #expect(expired.expiryTimestampMs == host.wallTime)
    #expect(host.image.delegationTokens.ids.isEmpty)
  }

  @Test func expiredTokensAreRemoved() throws {
    var host = makeHost()
    let created = try host.ask(CreateDelegationTokenRequest { $0.maxLifetimeMs = 1000 })
    host.wait(milliseconds: 2000)
    let late = try host.ask(RenewDelegationTokenRequest { $0.hmac = created.hmac })
    #expect(ErrorCode(late.errorCode) == .delegationTokenExpired)
    #expect(host.image.delegationTokens.ids.count == 1)
    host.wait(milliseconds: 3_600_000)
    #expect(host.image.delegationTokens.ids.isEmpty)
  }

  @Test func tokensNeedAKey() throws {
    var host = QuorumHost()
    host.lead()
    #expect(
      try ErrorCode(host.ask(CreateDelegationTokenRequest()).errorCode)
        == .delegationTokenAuthDisabled)
  }
}
