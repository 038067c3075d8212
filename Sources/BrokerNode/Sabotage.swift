/// A broker that lies on purpose, for one thing only: to prove that the checkers of drills catch
/// one that does.
import MetadataLog
import Telemetry

public enum Sabotage: String, Sendable {
  /// acks=all is answered as soon as the leader has the records.
  case acknowledgeBeforeReplication = "acknowledge-before-replication"

  private static let variable = "JACKDAW_SABOTAGE"
  private static let consent = "JACKDAW_SABOTAGE_LOSES_DATA"
  private static let log = Log("KafkaServer")

  /// What the environment asks for. Two variables are needed, so that none is set by accident.
  static func wanted(_ environment: [String: String]) throws(StartupError) -> Sabotage? {
    guard let name = environment[variable] else { return nil }
    guard environment[consent] == "yes" else {
      throw StartupError("\(variable) is set: a broker that loses data is not started")
    }
    guard let sabotage = Sabotage(rawValue: name) else {
      throw StartupError("\(variable)=\(name) is not known")
    }
    log.error("SABOTAGE: this broker loses acknowledged data on purpose", ["how": name])
    return sabotage
  }
}
