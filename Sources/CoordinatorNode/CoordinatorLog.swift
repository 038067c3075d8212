// The components of this process's log lines.

import Telemetry

enum CoordinatorLog {
  static let server = Log("coordinator")
  static let storage = Log("storage")
  static let sessions = Log("sessions")
  static let quorum = Log("quorum")
}
