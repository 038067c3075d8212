// Somebody else's cluster, handled by commands of theirs.
import FaultProxy
import Foundation
import Platform
import Settings

/// Any Kafka-compatible cluster: a bootstrap address, and a file that says how its members are
/// started, stopped and killed.
///
/// The file is a properties file:
/// ```
/// mode = zookeeper
/// build = Apache Kafka 3.9.0
/// members = broker-1, broker-2, broker-3, coordinator-1
/// broker-2.id = 102
/// start = systemctl start kafka@{number}
/// stop  = systemctl stop kafka@{number}
/// kill  = systemctl kill -s KILL kafka@{number}
/// pause = systemctl kill -s STOP kafka@{number}
/// resume = systemctl kill -s CONT kafka@{number}
/// running = systemctl is-active --quiet kafka@{number}
/// coordinator-1.kill = …
/// ```
/// A command with a member's name before it counts for that member; `{name}`, `{number}` and `{id}`
/// are filled in. Commands run with `/bin/sh -c`, two minutes at most; a status other than 0 is a
/// failure.
public struct CommandCluster: ClusterUnderTest {
  public let mode: String
  public let label: String
  public let build: String
  public let settings: [String: String] = [:]
  public let bootstrap: String
  public let coordination: String?
  public let members: [DrillMember]
  public let links: LinkTable? = nil
  private let commands: [String: String]
  private let file: String

  public init(
    bootstrap: String, coordination: String?, commands properties: Properties, file: String
  ) throws(DrillProblem) {
    self.bootstrap = bootstrap
    self.coordination = coordination
    self.file = file
    mode = properties["mode"] ?? (coordination == nil ? "kraft" : "zookeeper")
    guard mode == "zookeeper" || mode == "kraft" else {
      throw DrillProblem("\(file): mode=\(mode): must be zookeeper or kraft")
    }
    label = properties["label"] ?? bootstrap
    build = properties["build"] ?? "not known"
    var found: [DrillMember] = []
    for name in (properties["members"] ?? "").split(separator: ",") {
      found.append(try Self.member(name.trimmingCharacters(in: .whitespaces), properties, file))
    }
    guard !found.isEmpty else {
      throw DrillProblem("\(file): members= must name the cluster's processes")
    }
    members = found
    var commands: [String: String] = [:]
    for entry in properties.effectiveEntries { commands[entry.key] = entry.value }
    self.commands = commands
    // Nearly every drill ends members and brings them back: better said before anything is broken.
    for member in members {
      for command in ["start", "kill"] where !canRun(command, member) {
        throw DrillProblem("\(file): no command to \(command) \(member.name)")
      }
    }
  }

  private static func member(
    _ name: String, _ properties: Properties, _ file: String
  ) throws(DrillProblem) -> DrillMember {
    let parts = name.split(separator: "-")
    guard parts.count == 2, let role = MemberRole(rawValue: String(parts[0])),
      let number = Int32(parts[1])
    else {
      throw DrillProblem(
        "\(file): members: \(name): must be broker-N, coordinator-N or controller-N")
    }
    let id = properties["\(name).id"].flatMap { Int32($0) } ?? number
    return DrillMember(name: name, role: role, number: id)
  }

  /// Whether the file has this command for the member.
  public func canRun(_ command: String, _ member: DrillMember) -> Bool {
    commands["\(member.name).\(command)"] != nil || commands[command] != nil
  }

  private func run(_ command: String, _ member: DrillMember) throws(DrillProblem) {
    guard let template = commands["\(member.name).\(command)"] ?? commands[command] else {
      throw DrillProblem("\(file): no command to \(command) \(member.name)")
    }
    let ordinal = member.name.split(separator: "-").last.map(String.init) ?? ""
    let text = template.replacingOccurrences(of: "{name}", with: member.name)
      .replacingOccurrences(of: "{number}", with: ordinal)
      .replacingOccurrences(of: "{id}", with: "\(member.number)")
    // What a command says belongs beside the report, not into it.
    let child: ChildProcess
    do throws(SystemError) {
      child = try ChildProcess.start("/bin/sh", ["-c", "exec >&2\n" + text])
    } catch {
      throw DrillProblem("\(text): \(error)")
    }
    // The shell's own end counts: a server that it has left behind may hold whatever it was given.
    guard let status = child.wait(upToMs: Self.commandLimitMs) else {
      child.terminate(graceMs: 0)
      throw DrillProblem("\(text): did not end within \(Self.commandLimitMs / 1000) s")
    }
    guard status == 0 else { throw DrillProblem("\(text): ended with status \(status)") }
  }

  private static let commandLimitMs: Int64 = 120_000

  /// It runs already: that is checked by the first operations on it.
  public func up(_ progress: @Sendable (String) -> Void) throws {
    progress("using the cluster at \(bootstrap)")
  }
  public func wipe() {}
  public func start(_ member: DrillMember) throws { try run("start", member) }
  public func stop(_ member: DrillMember) throws { try run("stop", member) }
  public func kill(_ member: DrillMember) throws { try run("kill", member) }
  public func pause(_ member: DrillMember) throws { try run("pause", member) }
  public func resume(_ member: DrillMember) throws { try run("resume", member) }
  public func isRunning(_ member: DrillMember) -> Bool {
    do {
      try run("running", member)
      return true
    } catch {
      return !canRun("running", member)
    }
  }
  public func dataFolder(of member: DrillMember) -> URL? { nil }
  public func setClock(of member: DrillMember, offsetMs: Int64) -> Bool { false }
  public func limitFileSize(of member: DrillMember, bytes: UInt64?) -> Bool { false }
  public func logText(of member: DrillMember) -> String? { nil }
  public func directPort(of member: DrillMember) -> Int? { nil }
}
