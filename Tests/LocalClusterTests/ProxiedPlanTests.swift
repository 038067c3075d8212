import Foundation
import TestKit
import Testing

@testable import LocalCluster

@Suite struct ProxiedPlanTests {
  @Test func membersListenBehindTheirProxies() throws {
    var plan = ClusterPlan()
    plan.proxyOffset = 3000
    try plan.validate()
    #expect(plan.bootstrap == "127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094")
    let folder = ClusterFolder("/nowhere")
    let broker = plan.configText(of: plan.members[3], in: folder)
    #expect(broker.contains("\nlisteners=PLAINTEXT://127.0.0.1:12092\n"))
    #expect(broker.contains("advertised.listeners=PLAINTEXT://127.0.0.1:9092\n"))
    #expect(broker.contains("zookeeper.connect=127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183\n"))
    let second = plan.configText(of: plan.members[1], in: folder)
    #expect(second.contains("clientPort=5182\n"))
    // Itself where it listens, the others where their proxies are.
    #expect(second.contains("server.1=127.0.0.1:2888:3888\n"))
    #expect(second.contains("server.2=127.0.0.1:5889:6889\n"))
    #expect(
      plan.proxiedPorts(of: plan.members[1]).map { [$0.port, $0.listening] } == [
        [2182, 5182], [2889, 5889], [3889, 6889],
      ])
  }

  @Test func aProxyMustNotMeetAMember() {
    var plan = ClusterPlan()
    plan.proxyOffset = 1
    #expect(throws: ClusterProblem.self) { try plan.validate() }
  }
}
