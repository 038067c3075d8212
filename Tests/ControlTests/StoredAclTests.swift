import Control
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Testing
import Values

/// Lists of access control entries in znodes: what is written, at which version, and what a second
/// writer finds.
@Suite struct StoredAclTests {
  private let topic = AclZnode.Resource(
    type: 2, name: "t", patternType: AclZnode.Resource.literal)

  private func entry(_ principal: String, operation: Int8 = 3) -> AccessControlEntry {
    AccessControlEntry(
      .init {
        $0.resourceType = 2
        $0.resourceName = "t"
        $0.patternType = AclZnode.Resource.literal
        $0.principal = principal
        $0.host = "*"
        $0.operation = operation
        $0.permissionType = 3
      })
  }

  private func content(_ text: String, version: Int32) -> ZnodeContent {
    ZnodeContent(data: Array(text.utf8), version: version, createdZxid: 1)
  }

  private static let alice =
    #"{"acls":[{"principal":"User:alice","permissionType":"Allow","host":"*","operation":"Read"}],"#
    + #""version":1}"#

  private func filter(_ principal: String?) -> AclFilter {
    AclFilter(
      DeleteAclsRequest.DeleteAclsFilter {
        $0.resourceTypeFilter = 2
        $0.resourceNameFilter = "t"
        $0.patternTypeFilter = 3
        $0.principalFilter = principal
        $0.hostFilter = nil
        $0.operation = 1
        $0.permissionType = 1
      })
  }

  private let announcement = ZnodeOp.create(
    path: "/kafka-acl-changes/acl_changes_", data: Array("TOPIC:t".utf8),
    mode: .persistentSequential)

  @Test func theFirstEntryMakesTheZnode() throws {
    var list = try StoredAcls(topic, nil)
    list.add(entry("User:alice"))
    #expect(
      list.transaction?.ops == [
        .create(path: "/kafka-acl/Topic/t", data: Array(Self.alice.utf8)), announcement,
      ])
  }

  @Test func moreEntriesAreWrittenAtTheVersionThatWasRead() throws {
    var list = try StoredAcls(topic, content(Self.alice, version: 7))
    list.add(entry("User:alice"))
    // It is there: nothing is written, nobody is told.
    #expect(list.transaction == nil)
    list.add(entry("User:bob", operation: 4))
    let ops = try #require(list.transaction?.ops)
    guard case .setData("/kafka-acl/Topic/t", let data, version: 7) = ops[0] else {
      Issue.record("\(ops)")
      return
    }
    #expect(AclZnode.decode(data, of: topic)?.map(\.principal) == ["User:alice", "User:bob"])
    #expect(ops[1] == announcement)
  }

  @Test func theLastEntryTakesTheZnodeAlong() throws {
    var list = try StoredAcls(topic, content(Self.alice, version: 2))
    // Two filters match: the first one has it.
    let removed = list.remove(matching: [filter("User:bob"), filter("User:alice"), filter(nil)])
    #expect(removed.map(\.filter) == [1])
    #expect(
      list.transaction?.ops == [.delete(path: "/kafka-acl/Topic/t", version: 2), announcement])
    var none = try StoredAcls(topic, nil)
    #expect(none.remove(matching: [filter(nil)]).isEmpty)
    #expect(none.transaction == nil)
  }

  /// Two writers read the same; the second fails, reads again, and both entries are there.
  @Test func aLostRaceIsAConflictAndLosesNothing() throws {
    let store = FakeStore()
    for path in AclZnode.paths {
      #expect(store.apply([.create(path: path, data: nil)], session: 1) == .done)
    }
    func read() throws -> StoredAcls {
      guard case .content(let content) = store.read(.data(topic.path, watch: false), session: 1)
      else { return try StoredAcls(topic, nil) }
      return try StoredAcls(topic, content)
    }
    func write(_ list: StoredAcls) throws -> ZnodeFailure? {
      let ops = try #require(list.transaction?.ops)
      guard case .failed(_, let failure) = store.apply(ops, session: 1) else { return nil }
      return failure
    }
    var (first, second) = (try read(), try read())
    first.add(entry("User:alice"))
    second.add(entry("User:bob"))
    #expect(try write(first) == nil)
    let failure = try #require(try write(second))
    #expect(StoredAcls.isConflict(failure))
    second = try read()
    var third = try read()
    second.add(entry("User:bob"))
    _ = third.remove(matching: [filter(nil)])
    #expect(try write(second) == nil)
    let late = try #require(try write(third))
    #expect(StoredAcls.isConflict(late))
    #expect(try read().entries.map(\.principal) == ["User:alice", "User:bob"])
    #expect(!StoredAcls.isConflict(.other(-101)))
    // One announcement for each change that was made, none for those that failed.
    #expect(store.nodes.keys.filter { $0.hasPrefix(topic.changePath) }.count == 2)
  }

  @Test(arguments: ["x", "{}", #"{"version":2,"acls":[]}"#, #"{"version":1,"acls":[{}]}"#])
  func whatIsNotUnderstoodIsNoEmptyList(_ text: String) {
    #expect(throws: Refusal.self) { try StoredAcls(topic, content(text, version: 0)) }
  }

  @Test func namesOfOtherReleases() throws {
    let text = #"{"version":1,"acls":[{"principal":"User:a","permissionType":"ALLOW","host":"*","#
      + #""operation":"CLUSTERACTION"},{"principal":"User:b","permissionType":"Allow","host":"*","#
      + #""operation":"TwoPhaseCommit"}]}"#
    let list = try StoredAcls(topic, content(text, version: 0))
    #expect(list.entries.map(\.operation) == [9, 0])
    #expect(list.entries.map(\.permissionType) == [3, 3])
    // A later release's operation is written again as Kafka writes it: as Unknown.
    let again = AclZnode.encode(list.entries.map(\.record))
    #expect(String(decoding: again, as: UTF8.self).contains(#""operation":"Unknown""#))
    #expect(AclZnode.decodeChange(Array("Topic:a:b".utf8))?.path == "/kafka-acl/Topic/a:b")
  }

  @Test func filtersNameLists() {
    var named = filter(nil)
    #expect(named.namedResources == [topic])
    named.patternType = 1
    #expect(
      named.namedResources.map(\.path) == [
        "/kafka-acl/Topic/t", "/kafka-acl-extended/prefixed/Topic/t",
      ])
    named.patternType = 2
    #expect(named.namedResources.isEmpty)
    named.patternType = 3
    named.resourceName = "a/b"
    #expect(named.namedResources.isEmpty)
  }

  @Test func namesThatNoPathCanHave() {
    let request = CreateAclsRequest {
      $0.creations = ["a/b", "a"].map { name in
        .init {
          $0.resourceType = 2
          $0.resourceName = name
          $0.resourcePatternType = 3
          $0.principal = "User:a"
          $0.host = "*"
          $0.operation = 3
          $0.permissionType = 3
        }
      }
    }
    let results = request.storable
    guard case .failure(let refusal) = results[0], case .success(let entry) = results[1] else {
      Issue.record("\(results)")
      return
    }
    #expect(refusal.code == .invalidRequest)
    #expect(entry.resourceName == "a")
  }
}
