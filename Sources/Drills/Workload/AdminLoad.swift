// Administration beside the faults: topics that come and go.
import Histories
import KafkaClient
import Platform
import Values

/// Creates a topic and deletes it, over and over, and counts what came of it. Needs a controller.
/// Names are never used twice, so that what was acknowledged of one says what must be there.
struct AdminLoad: Workload {
  let bootstrap: String
  let prefix: String
  let replicationFactor: Int16
  let recorder: Recorder
  /// So many topics stay, each with a setting that was changed once.
  var kept = 0

  func run(until stop: StopSignal) async {
    guard let admin = try? LoadRuntime.admin(bootstrap, timeoutMs: 5000) else { return }
    var number = 0
    var left = kept
    while !stop.isStopped {
      number += 1
      let name = "\(prefix)-\(number)"
      // The first ones come at different times of the faults.
      let stays = left > 0 && number % 3 == 1
      let topic = NewTopic(name, partitions: 1, replicationFactor: replicationFactor)
      recorder.ledger.expects(name, nil)
      let created = try? await admin.createTopics([topic])
      recorder.addAdministration(created?[name].map { $0.map { _ in } })
      if case .success? = created?[name] {
        recorder.ledger.expects(name, true)
        if stays {
          left -= 1
          await change(name, admin)
        } else {
          await delete(name, admin)
        }
      }
      await LoadRuntime.pause(200)
    }
    await admin.close()
  }

  private func delete(_ name: String, _ admin: AdminClient) async {
    recorder.ledger.expects(name, nil)
    let deleted = try? await admin.deleteTopics([name])
    recorder.addAdministration(deleted?[name].map { $0.map { _ in } })
    if case .success? = deleted?[name] { recorder.ledger.expects(name, false) }
  }

  /// Once for each topic: a request that is repeated after its time may be heard twice, and late.
  private func change(_ name: String, _ admin: AdminClient) async {
    let resource = ConfigResource(.topic, name)
    let value = "\(3_600_000 + recorder.newValue())"
    let change = ConfigChange(.set, AdministrationLedger.setting, value)
    let changed = try? await admin.alterConfigs([resource: [change]])
    recorder.addAdministration(changed?[resource])
    if case .success? = changed?[resource] { recorder.ledger.expects(name, setting: value) }
  }
}
