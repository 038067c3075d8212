import Control
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Testing
import Values

/// The quota of partitions that a client creates and deletes (KIP-599).
@Suite struct QuorumMutationTests {
  /// Two mutations a second for everybody: twenty-two at once.
  private func makeHost() throws -> QuorumHost {
    var host = QuorumHost()
    host.lead()
    try host.start(brokers: 1...3)
    let request = AlterClientQuotasRequest {
      $0.entries = [
        .init {
          $0.entity = [
            .init {
              $0.entityType = "user"
              $0.entityName = nil
            }
          ]
          $0.ops = [
            .init {
              $0.key = "controller_mutation_rate"
              $0.value = 2
            }
          ]
        }
      ]
    }
    #expect(try host.ask(request).entries[0].errorCode == 0)
    return host
  }

  private func create(_ topics: [(String, Int32)]) -> CreateTopicsRequest {
    .init {
      $0.topics = topics.map { name, partitions in
        .init {
          $0.name = name
          $0.numPartitions = partitions
          $0.replicationFactor = 1
        }
      }
    }
  }

  @Test func topicsAboveTheQuotaAreRefusedOneByOne() throws {
    var host = try makeHost()
    let response = try host.ask(create([("a", 10), ("b", 20), ("c", 1), ("a b", 1)]))
    // The debt is of eight: four seconds. What is wrong anyway is told as ever.
    #expect(
      response.topics.map { ErrorCode($0.errorCode) }
        == [.none, .none, .throttlingQuotaExceeded, .invalidTopicException])
    #expect(response.topics[2].errorMessage == "The throttling quota has been exceeded.")
    #expect(response.throttleTimeMs == 4000)
    #expect(host.image.topics["b"]?.partitions.count == 20 && host.image.topics["c"] == nil)
    host.wait(milliseconds: 4000)
    let later = try host.ask(create([("c", 1)]))
    #expect(later.topics[0].errorCode == 0 && later.throttleTimeMs == 0)
  }

  @Test func olderVersionsAreSlowedOnly() throws {
    var host = try makeHost()
    let response = try host.ask(create([("a", 10), ("b", 20), ("c", 2)]), version: 5)
    #expect(response.topics.allSatisfy { $0.errorCode == 0 })
    #expect(response.throttleTimeMs == 5000)
    let names = DeleteTopicsRequest { $0.topicNames = ["c"] }
    let deleted = try host.ask(names, version: 4)
    #expect(deleted.responses[0].errorCode == 0 && deleted.throttleTimeMs == 6000)
  }

  @Test func deletionsAndPartitionsCountToo() throws {
    var host = try makeHost()
    #expect(try host.ask(create([("a", 20)])).throttleTimeMs == 0)
    let more = CreatePartitionsRequest {
      $0.topics = [
        .init {
          $0.name = "a"
          $0.count = 30
          $0.assignments = nil
        }
      ]
    }
    #expect(try host.ask(more, version: 3).results[0].errorCode == 0)
    let again = CreatePartitionsRequest {
      $0.topics = [
        .init {
          $0.name = "a"
          $0.count = 31
          $0.assignments = nil
        }
      ]
    }
    let refused = try host.ask(again, version: 3)
    #expect(ErrorCode(refused.results[0].errorCode) == .throttlingQuotaExceeded)
    #expect(refused.throttleTimeMs == 4000)
    let delete = DeleteTopicsRequest {
      $0.topics = [.init { $0.name = "a" }]
    }
    let kept = try host.ask(delete)
    #expect(ErrorCode(kept.responses[0].errorCode) == .throttlingQuotaExceeded)
    #expect(host.image.topics["a"]?.partitions.count == 30)
    host.wait(milliseconds: 4000)
    #expect(try host.ask(delete).responses[0].errorCode == 0)
    #expect(host.image.topics["a"] == nil)
  }
}
