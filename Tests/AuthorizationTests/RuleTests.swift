import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Synchronization
import Testing
import Values

@testable import Authorization

/// What the rules leave of requests and answers.
@Suite struct RuleTests {
  private func access(_ entries: AccessControlEntryRecord..., topics: [String] = []) -> Access {
    var image = image(entries)
    for (place, name) in topics.enumerated() {
      image.apply(
        .topic(
          .init {
            $0.name = name
            $0.topicID = Uuid(high: 7, low: UInt64(place + 1))
          }))
    }
    return Access(StandardAuthorizer(), image: image, principal: "User:alice", host: "h")
  }

  /// The answer that a handler's own becomes.
  private func answer<R: GuardedRequest>(
    _ request: inout R, _ access: Access, version: Int16, handler: (R) -> R.Response
  ) -> R.Response {
    switch request.restrict(access, version: version) {
    case .serve: return handler(request)
    case .refuse(let response): return response
    case .amend(let change):
      var response = handler(request)
      change(&response)
      return response
    }
  }

  @Test func offsetsAreCommittedForTopicsThatMayBeRead() {
    func request() -> OffsetCommitRequest {
      OffsetCommitRequest {
        $0.groupID = "g"
        $0.topics = ["mine", "yours"].map { name in
          .init {
            $0.name = name
            $0.partitions = [.init { $0.partitionIndex = 4 }]
          }
        }
      }
    }
    func handle(_ request: OffsetCommitRequest) -> OffsetCommitResponse {
      .init {
        $0.topics = request.topics.map { topic in
          .init {
            $0.name = topic.name
            $0.partitions = topic.partitions.map { _ in .init { $0.partitionIndex = 4 } }
          }
        }
      }
    }
    var asked = request()
    let readers = access(
      entry(.allow, "User:alice", .read, .group, "g"),
      entry(.allow, "User:alice", .read, .topic, "mine"))
    let partly = answer(&asked, readers, version: 8, handler: handle)
    #expect(partly.topics.map(\.name) == ["mine", "yours"])
    #expect(partly.topics.map { $0.partitions[0].errorCode } == [0, 29])
    #expect(partly.topics.map { $0.partitions[0].partitionIndex } == [4, 4])
    asked = request()
    let stranger = access(entry(.allow, "User:alice", .read, .topic, "mine"))
    let refused = answer(&asked, stranger, version: 8, handler: handle)
    #expect(refused.topics.map { $0.partitions[0].errorCode } == [30, 30])
  }

  @Test func metadataOfAllTopicsShowsWhatMayBeDescribed() {
    var request = MetadataRequest { $0.topics = nil }
    let some = access(entry(.allow, "User:alice", .write, .topic, "a", prefixed: true))
    let response = answer(&request, some, version: 12) { _ in
      MetadataResponse { $0.topics = ["aa", "b"].map { name in .init { $0.name = name } } }
    }
    #expect(response.topics.map(\.name) == ["aa"])
  }

  /// In version 0 an empty list asks for all topics: what is left of a list must not become one.
  @Test(arguments: [Int16(0), 1, 12]) func metadataOfAForbiddenTopic(_ version: Int16) {
    var request = MetadataRequest { $0.topics = [.init { $0.name = "secret" }] }
    let nothing = access(topics: ["secret", "other"])
    let response = answer(&request, nothing, version: version) { rest in
      let isAll = version == 0 && rest.topics?.isEmpty == true
      return MetadataResponse {
        $0.topics = (isAll ? ["secret", "other"] : []).map { name in .init { $0.name = name } }
      }
    }
    #expect(response.topics.map(\.name) == ["secret"])
    #expect(response.topics.map(\.errorCode) == [29])
  }

  @Test func aTopicAskedForByIdIsNotNamed() {
    let id = Uuid(high: 7, low: 1)
    var request = MetadataRequest {
      $0.topics = [
        .init {
          $0.name = nil
          $0.topicID = id
        }
      ]
    }
    let response = answer(&request, access(topics: ["secret"]), version: 12) { _ in .init() }
    #expect(response.topics.map(\.name) == [nil])
    #expect(response.topics.map(\.topicID) == [id])
    #expect(response.topics.map(\.errorCode) == [29])
  }

  @Test func missingTopicsAreMadeByWhoMayCreate() {
    func codes(_ access: Access) -> [Int16] {
      var access = access
      access.createsTopics = true
      var request = MetadataRequest { $0.topics = [.init { $0.name = "new" }] }
      return answer(&request, access, version: 12) { rest in
        MetadataResponse {
          $0.topics = (rest.topics ?? []).map { _ in .init { $0.errorCode = 5 } }
        }
      }.topics.map(\.errorCode)
    }
    let reader = entry(.allow, "User:alice", .describe, .topic, "new")
    #expect(codes(access(reader)) == [29])
    #expect(codes(access(reader, entry(.allow, "User:alice", .create, .topic, "new"))) == [5])
    #expect(
      codes(access(reader, entry(.allow, "User:alice", .create, .cluster, "kafka-cluster"))) == [5])
  }

  @Test func groupsAreListedToWhoMayDescribeThem() {
    var request = ListGroupsRequest()
    func handle(_ request: ListGroupsRequest) -> ListGroupsResponse {
      .init { $0.groups = ["g1", "h"].map { id in .init { $0.groupID = id } } }
    }
    let some = access(entry(.allow, "User:alice", .read, .group, "g", prefixed: true))
    #expect(answer(&request, some, version: 4, handler: handle).groups.map(\.groupID) == ["g1"])
    let all = access(entry(.allow, "User:alice", .describe, .cluster, "kafka-cluster"))
    #expect(answer(&request, all, version: 4, handler: handle).groups.count == 2)
  }

  @Test func authorizedOperationsAreTheAskersOwn() {
    var request = DescribeGroupsRequest {
      $0.groups = ["g", "h"]
      $0.includeAuthorizedOperations = true
    }
    let some = access(entry(.allow, "User:alice", .read, .group, "g"))
    let response = answer(&request, some, version: 5) { rest in
      .init {
        $0.groups = rest.groups.map { id in
          .init {
            $0.groupID = id
            $0.authorizedOperations = -1
          }
        }
      }
    }
    #expect(response.groups.map(\.groupID) == ["g", "h"])
    // READ is 3; DESCRIBE, 8, comes with it.
    #expect(response.groups[0].authorizedOperations == 1 << 3 | 1 << 8)
    #expect(response.groups[1].errorCode == 30)
  }

  @Test func serversActForTheCluster() {
    let stranger = access(entry(.allow, "User:alice", .alter, .cluster, "kafka-cluster"))
    guard case .refuse(let vote) = VoteRequest().restrict(stranger, version: 0) else {
      Issue.record("a stranger may vote")
      return
    }
    #expect(vote.errorCode == 31)
    let server = access(entry(.allow, "User:alice", .clusterAction, .cluster, "kafka-cluster"))
    guard case .serve = VoteRequest().restrict(server, version: 0) else {
      Issue.record("a server may not vote")
      return
    }
    guard case .refuse(let envelope) = EnvelopeRequest().restrict(stranger, version: 0) else {
      Issue.record("a stranger may forward")
      return
    }
    #expect(envelope.errorCode == 31)
  }

  @Test func idempotentProducersNeedOneTopic() {
    let request = InitProducerIdRequest { $0.transactionalID = nil }
    func code(_ access: Access) -> Int16 {
      if case .refuse(let response) = request.restrict(access, version: 4) {
        return response.errorCode
      }
      return 0
    }
    #expect(code(access()) == 31)
    #expect(code(access(entry(.allow, "User:alice", .write, .topic, "t"))) == 0)
    let named = InitProducerIdRequest { $0.transactionalID = "x" }
    guard case .refuse(let response) = named.restrict(access(), version: 4) else {
      Issue.record("anybody may use any transactional id")
      return
    }
    #expect(response.errorCode == 53)
  }

  @Test func denialsOfWhatWasAskedForAreTold() {
    let told = Mutex<[String]>([])
    let access = Access(
      StandardAuthorizer(), image: MetadataImage(), principal: "User:alice", host: "10.0.0.1",
      request: "DeleteGroups"
    ) { denial in told.withLock { $0.append("\(denial)") } }
    #expect(!access.may(.delete, .group, "g"))
    #expect(!access.may(.describe, .group, "g", isAsked: false))
    #expect(
      told.withLock { $0 } == [
        "Principal = User:alice is Denied operation = DELETE from host = 10.0.0.1 on resource = "
          + "Group:LITERAL:g for request = DeleteGroups"
      ])
  }
}
