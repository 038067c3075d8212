import Metadata
import MetadataLog
import Raft
import Settings
import Testing
import Values

@Suite struct QuorumSettingsTests {
  /// `jackdaw.failure.detection` is about leaders of the quorum too.
  @Test(arguments: [("fast", true), ("session", false)])
  func aRefusedConnectionCountsWhereFailuresAreDetectedFast(mode: String, elects: Bool) throws {
    let text = """
      process.roles=controller
      node.id=100
      listeners=CONTROLLER://127.0.0.1:9093
      controller.listener.names=CONTROLLER
      controller.quorum.voters=100@127.0.0.1:9093
      log.dirs=/nowhere
      jackdaw.failure.detection=\(mode)
      """
    let config = try BrokerConfig(SettingSources(Properties(parsing: text, file: "test")))
    let options = RaftDriverOptions(
      controller: config, clusterID: "AAAAAAAAAAAAAAAAAAAAAA", directoryID: Uuid(high: 1, low: 2),
      endpoints: [], metrics: nil)
    #expect(options.configuration.options.electsOnRefusal == elects)
  }
}
