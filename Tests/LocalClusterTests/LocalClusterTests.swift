import Foundation
import TestKit
import Testing

@testable import LocalCluster

@Suite struct ClusterPlanTests {
  @Test func portsFollowUpwardsAndDoNotMeet() throws {
    let plan = ClusterPlan()
    try plan.validate()
    #expect(plan.bootstrap == "127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094")
    #expect(plan.connect == "127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183")
    #expect(plan.quorumPort(1) == 2888)
    #expect(plan.electionPort(3) == 3890)
  }

  @Test func whatCannotWorkIsRefusedByName() {
    func problem(_ plan: ClusterPlan) -> String {
      do {
        try plan.validate()
        return ""
      } catch {
        return error.description
      }
    }
    #expect(problem(ClusterPlan(coordinators: 2)).contains("--coordinators 2"))
    #expect(problem(ClusterPlan(brokers: 0)).contains("--brokers 0"))
    #expect(problem(ClusterPlan(mode: .kraft)).contains("mode kraft"))
    var four = ClusterPlan(mode: .kraft)
    four.quorum = QuorumPlan(controllers: 4)
    #expect(problem(four).contains("--controllers 4"))
    four.quorum = QuorumPlan(controllers: 3, controllerPort: 9092)
    #expect(problem(four).contains("would both listen on port 9092"))
    #expect(problem(ClusterPlan(brokerPort: 2182)).contains("would both listen on port 2182"))
    #expect(problem(ClusterPlan(brokerPort: 65535)).contains("port 65536"))
  }

  @Test func kafkasTimingsAreLeftToTheirDefaults() throws {
    func text(_ mode: ClusterMode, _ timings: ClusterTimings?, isCombined: Bool = false) -> String {
      var plan = ClusterPlan(mode: mode)
      if mode == .kraft { plan.quorum = QuorumPlan(isCombined: isCombined) }
      plan.timings = timings
      return plan.members.map { plan.configText(of: $0, in: ClusterFolder("/tmp/x")) }.joined()
    }
    let ours = [
      "zookeeper.session.timeout.ms=6000", "broker.session.timeout.ms=6000",
      "broker.heartbeat.interval.ms=1000", "tickTime=200\n",
    ]
    let fast = text(.zookeeper, nil) + text(.kraft, nil)
    let combined = text(.kraft, .fast, isCombined: true)
    for line in ours { #expect(fast.contains(line), "\(line)") }
    #expect(combined.contains(ours[1]) && combined.contains(ours[2]))
    let kafka = text(.zookeeper, .kafka) + text(.kraft, .kafka)
    for line in ours { #expect(!kafka.contains(line), "\(line)") }
    #expect(kafka.contains("tickTime=2000\n"))
    #expect(text(.kraft, .kafka, isCombined: true).contains("jackdaw.failure.detection=session"))
  }

  @Test func aPlanIsWrittenAndReadBack() throws {
    let home = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: home) }
    let folder = ClusterFolder(home.appending(path: "cluster").path)
    #expect(try folder.readPlan() == nil)
    var plan = ClusterPlan(brokers: 1, coordinators: 1)
    plan.brokerSettings["num.partitions"] = "4"
    try folder.write(plan)
    #expect(try folder.readPlan() == plan)
    for member in plan.members { try plan.prepare(member, in: folder) }
    let text = try String(contentsOf: folder.config(of: plan.members[1]), encoding: .utf8)
    #expect(text.contains("num.partitions=4\n"))
    #expect(!text.contains("num.partitions=1\n"))
    #expect(text.contains("default.replication.factor=1\n"))
  }

  @Test func controllersStandApartOrWithinBrokers() throws {
    var plan = ClusterPlan(mode: .kraft)
    plan.quorum = QuorumPlan()
    try plan.validate()
    #expect(
      plan.members.map(\.name) == [
        "controller-101", "controller-102", "controller-103", "broker-1", "broker-2", "broker-3",
      ])
    #expect(plan.quorum?.voters == "101@127.0.0.1:9193,102@127.0.0.1:9194,103@127.0.0.1:9195")
    plan.brokers = 1
    plan.quorum = QuorumPlan(controllers: 1, isCombined: true)
    try plan.validate()
    #expect(plan.members.map(\.name) == ["broker-1"])
    #expect(plan.members[0].ports == [9092, 9404, 9193])
    #expect(plan.quorum?.voters == "1@127.0.0.1:9193")
  }

  @Test func directoriesAreFormattedOnce() throws {
    let home = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: home) }
    let folder = ClusterFolder(home.path)
    var plan = ClusterPlan(mode: .kraft, brokers: 1)
    plan.quorum = QuorumPlan(controllers: 1)
    plan.quorum?.clusterID = "q1Sh-9_ISia_zwGINzRvyQ"
    for member in plan.members { try plan.prepare(member, in: folder) }
    func meta(_ member: ClusterMember) throws -> String {
      let file = folder.folder(of: member).appending(path: "data/meta.properties")
      return try String(contentsOf: file, encoding: .utf8)
    }
    let first = try plan.members.map(meta)
    #expect(first[0].contains("node.id=101\n") && first[0].contains("version=1\n"))
    #expect(first[1].contains("node.id=1\n") && first[1].contains("q1Sh-9_ISia_zwGINzRvyQ"))
    let config = try String(contentsOf: folder.config(of: plan.members[0]), encoding: .utf8)
    #expect(config.contains("process.roles=controller\n"))
    for member in plan.members { try plan.prepare(member, in: folder) }
    #expect(try plan.members.map(meta) == first)
  }

  @Test func aPidFileOfSomebodyElseIsNoProcess() throws {
    let home = try Fixtures.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: home) }
    let plan = ClusterPlan(brokers: 1, coordinators: 1)
    let folder = ClusterFolder(home.path)
    let member = plan.members[0]
    try plan.prepare(member, in: folder)
    try Data("\(ProcessInfo.processInfo.processIdentifier)\n".utf8)
      .write(to: folder.pidFile(of: member))
    #expect(MemberProcess(member: member, folder: folder).runningID == nil)
  }
}
