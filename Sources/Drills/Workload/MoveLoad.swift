// Partitions that are moved beside the faults.
import Histories
import KafkaClient
import Platform
import Values

/// Moves partitions of the loaded topic from brokers to brokers, calls some moves off, and has
/// preferred leaders elected, all drawn from a seed.
struct MoveLoad: Workload {
  let bootstrap: String
  let target: LoadTarget
  /// Numbers of all brokers, those included that are down.
  let brokers: [Int32]
  let replicationFactor: Int16
  let recorder: Recorder
  let seed: UInt64
  /// The longest time between two requests.
  private static let pauseMs: Int64 = 3_000

  func run(until stop: StopSignal) async {
    guard let admin = try? LoadRuntime.admin(bootstrap, timeoutMs: 5000) else { return }
    var random = SplitMix(seed: seed)
    while !stop.isStopped {
      let at = TopicPartition(
        target.topic, Int32.random(in: 0..<target.partitions, using: &random))
      switch Int.random(in: 0..<6, using: &random) {
      case 0:
        // One that is not under way cannot be called off, which is an answer too.
        recorder.addAdministration((try? await admin.alterReassignments([at: nil]))?[at])
      case 1: recorder.addAdministration((try? await admin.electLeaders(.preferred, [at]))?[at])
      default:
        let replicas = Array(brokers.shuffled(using: &random).prefix(Int(replicationFactor)))
        recorder.ledger.asksToMove(at, to: replicas)
        recorder.addAdministration((try? await admin.alterReassignments([at: replicas]))?[at])
      }
      await LoadRuntime.pause(Int64.random(in: 200...Self.pauseMs, using: &random))
    }
    await admin.close()
  }
}
