// Administration beside the faults: topics that come and go.
import Histories
import KafkaClient
import Platform
import Values

/// Creates a topic and deletes it, over and over, and counts what came of it. Needs a controller.
struct AdminLoad: Workload {
  let bootstrap: String
  let prefix: String
  let replicationFactor: Int16
  let recorder: Recorder

  func run(until stop: StopSignal) async {
    guard
      let admin = try? AdminClient([
        "bootstrap.servers": bootstrap, "request.timeout.ms": "5000",
        "default.api.timeout.ms": "5000", "reconnect.backoff.max.ms": "200",
      ], executor: LoadRuntime.executor)
    else { return }
    var number = 0
    while !stop.isStopped {
      number += 1
      let name = "\(prefix)-\(number)"
      let topic = NewTopic(name, partitions: 1, replicationFactor: replicationFactor)
      let created = try? await admin.createTopics([topic])
      note(created?[name].map { $0.map { _ in } })
      if case .success? = created?[name] {
        let deleted = try? await admin.deleteTopics([name])
        note(deleted?[name].map { $0.map { _ in } })
      }
      await LoadRuntime.pause(200)
    }
    await admin.close()
  }

  private func note(_ result: Result<Void, ClientError>?) {
    switch result {
    case .success: recorder.addAdministration(.ok)
    case .failure(let error):
      recorder.addAdministration(error.code == nil ? .unknown : .failed)
    case nil: recorder.addAdministration(.unknown)
    }
  }
}
