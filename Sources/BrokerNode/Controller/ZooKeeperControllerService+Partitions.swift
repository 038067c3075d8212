/// Elections and reassignments.
import Control
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

extension ZooKeeperControllerService {
  func electLeaders(
    _ request: ElectLeadersRequest, version: Int16,
    reply: @escaping @Sendable (ElectLeadersResponse) -> Void
  ) {
    let kind = request.kind(version: version)
    runner.ask(.electLeaders(request.partitions, kind)) { answer in
      guard case .electLeaders(let results) = answer else { return reply(request.response(nil)) }
      reply(request.response(results))
    }
  }

  func alterPartitionReassignments(
    _ request: AlterPartitionReassignmentsRequest, version: Int16,
    reply: @escaping @Sendable (AlterPartitionReassignmentsResponse) -> Void
  ) {
    runner.ask(.reassign(request.commands)) { answer in
      guard case .done(let results) = answer else { return reply(request.response(nil)) }
      reply(request.response(results))
    }
  }

  func listPartitionReassignments(
    _ request: ListPartitionReassignmentsRequest, version: Int16,
    reply: @escaping @Sendable (ListPartitionReassignmentsResponse) -> Void
  ) {
    runner.ask(.listReassignments(request.partitions)) { answer in
      guard case .listReassignments(let list) = answer else { return reply(request.response(nil)) }
      reply(request.response(list))
    }
  }
}
