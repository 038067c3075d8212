// A cluster of our own processes on this machine, with a proxy before every listener.
import FaultProxy
import Foundation
import Glibc
import LocalCluster
import Platform
import Synchronization
import Values

/// Runs a local cluster whose members reach each other, and are reached, through fault proxies.
///
/// The ports of the plan are the proxies'; each member listens on a port of its own behind them. A
/// proxy tells by the kernel's tables which member has opened a connection, so every pair of
/// members, and each direction between them, is a link with a rule of its own.
public final class LocalClusterUnderTest: ClusterUnderTest {
  public let links: LinkTable? = LinkTable()
  public let cluster: LocalCluster
  private let group: EventLoopGroup
  private let proxies = Mutex<[FaultProxy]>([])

  public init(_ cluster: LocalCluster) throws(SystemError) {
    self.cluster = cluster
    group = try EventLoopGroup(count: 1, name: "proxies")
  }

  public var mode: String { cluster.plan.mode.rawValue }
  public var label: String {
    cluster.plan.members.map(\.role.rawValue).reduce(into: [(String, Int)]()) { counts, role in
      if let index = counts.firstIndex(where: { $0.0 == role }) {
        counts[index].1 += 1
      } else {
        counts.append((role, 1))
      }
    }.map { "\($0.1) \($0.0)\($0.1 == 1 ? "" : "s")" }.joined(separator: ", ")
  }
  public var bootstrap: String { cluster.plan.bootstrap }
  /// When the broker's executable was built: versions stay the same for long.
  public var build: String {
    let path = cluster.executables.appending(path: "jackdaw-broker").path
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    let date = (attributes?[.modificationDate] as? Date)?.formatted(.iso8601)
    return "jackdaw" + (date.map { ", built \($0)" } ?? "")
  }
  public var settings: [String: String] {
    var all = cluster.plan.brokerSettings
    all["timings"] = (cluster.plan.timings ?? .fast).rawValue
    for (key, value) in cluster.plan.coordinatorSettings { all["coordinator: \(key)"] = value }
    return all
  }
  public var coordination: String? {
    cluster.plan.mode == .zookeeper ? cluster.plan.connect : nil
  }

  public var members: [DrillMember] {
    cluster.plan.members.compactMap { member in
      MemberRole(rawValue: member.role.rawValue).map {
        DrillMember(name: member.name, role: $0, number: Int32(member.number))
      }
    }
  }

  private func local(_ member: DrillMember) throws(DrillProblem) -> ClusterMember {
    guard let found = cluster.plan.members.first(where: { $0.name == member.name }) else {
      throw DrillProblem("no member is called \(member.name)")
    }
    return found
  }

  // MARK: Coming and going

  public func up(_ progress: @Sendable (String) -> Void) throws {
    try openProxies()
    try cluster.up(progress: progress)
  }

  private func openProxies() throws {
    guard let links, proxies.withLock({ $0.isEmpty }) else { return }
    let cluster = cluster
    let sources = SourceFinder { cluster.processIDs.map { (name: $0.key, pid: $0.value) } }
    for member in cluster.plan.members {
      for (port, listening) in cluster.plan.proxiedPorts(of: member) {
        let proxy = try FaultProxy(
          at: .loopback(port: UInt16(port)), for: member.name,
          to: .loopback(port: UInt16(listening)), rules: links, sources: sources, on: group)
        proxies.withLock { $0.append(proxy) }
      }
    }
  }

  public func wipe() {
    links?.heal()
    for member in members { try? resume(member) }
    // Proxies last: members hand over through them.
    try? cluster.wipe()
    for proxy in proxies.withLock({ $0 }) { proxy.stop() }
    group.stop()
  }

  public func start(_ member: DrillMember) throws { try cluster.start(try local(member)) }
  public func stop(_ member: DrillMember) throws { cluster.stop(try local(member)) }
  public func kill(_ member: DrillMember) throws { try send(SIGKILL, to: member) }
  public func pause(_ member: DrillMember) throws { try send(SIGSTOP, to: member) }
  public func resume(_ member: DrillMember) throws {
    if isRunning(member) { try send(SIGCONT, to: member) }
  }

  private func send(_ signal: Int32, to member: DrillMember) throws {
    guard cluster.signal(try local(member), signal) else {
      throw DrillProblem("\(member.name) does not run")
    }
  }

  public func isRunning(_ member: DrillMember) -> Bool {
    cluster.processIDs[member.name] != nil
  }

  public func dataFolder(of member: DrillMember) -> URL? {
    (try? local(member)).map { cluster.folder.folder(of: $0).appending(path: "data") }
  }

  public func setClock(of member: DrillMember, offsetMs: Int64) -> Bool {
    (try? local(member)).map { cluster.setClock(of: $0, offsetMs: offsetMs) } ?? false
  }

  public func limitFileSize(of member: DrillMember, bytes: UInt64?) -> Bool {
    (try? local(member)).map { cluster.limitFileSize(of: $0, bytes: bytes) } ?? false
  }

  public func logText(of member: DrillMember) -> String? {
    (try? local(member)).map { cluster.logText(of: $0) }
  }

  public func directPort(of member: DrillMember) -> Int? {
    (try? local(member)).map { cluster.plan.listenPort($0.port) }
  }
}
