import KafkaMessages
import KafkaProtocol
import Synchronization
import Testing
import Values

@testable import BrokerNode

/// Who may tell a broker what to do, and from when on clients may ask it.
@Suite struct ControllerGateTests {
  private func update(epoch: Int32) -> UpdateMetadataRequest {
    UpdateMetadataRequest {
      $0.controllerID = 1
      $0.controllerEpoch = epoch
      $0.liveBrokers = [
        .init {
          $0.id = 1
          $0.endpoints = [
            .init {
              $0.listener = "PLAINTEXT"
              $0.host = "127.0.0.1"
              $0.port = 9
            }
          ]
        }
      ]
    }
  }

  @Test func `an epoch that the cluster has not had is refused and changes nothing`() throws {
    let broker = try LoneBroker()
    defer { broker.stop() }
    broker.assign("t", 0..<1)
    let client = try BlockingClient(port: broker.port)
    let stale = ErrorCode.staleControllerEpoch.rawValue
    for epoch in [4, .max] as [Int32] {
      #expect(try client.ask(update(epoch: epoch), version: 8).errorCode == stale)
      let isr = LeaderAndIsrRequest { $0.controllerEpoch = epoch }
      #expect(try client.ask(isr, version: 7).errorCode == stale)
      let stop = StopReplicaRequest { $0.controllerEpoch = epoch }
      #expect(try client.ask(stop, version: 4).errorCode == stale)
    }
    // The real ones are heard still, in order of their epochs.
    for epoch in [2, 3] as [Int32] {
      #expect(try client.ask(update(epoch: epoch), version: 8).errorCode == 0)
      let isr = LeaderAndIsrRequest { $0.controllerEpoch = epoch }
      #expect(try client.ask(isr, version: 7).errorCode == 0)
      let stop = StopReplicaRequest { $0.controllerEpoch = epoch }
      #expect(try client.ask(stop, version: 4).errorCode == 0)
    }
    #expect(try client.ask(update(epoch: 2), version: 8).errorCode == stale)
  }

  @Test func `clients are turned away before the cluster is known, the controller is not`() throws {
    let outcome = Mutex<(metadata: Bool, update: Bool, versions: Bool)?>(nil)
    let broker = try LoneBroker(whileJoining: { port in
      let client = try? BlockingClient(port: port)
      let versions = try? client?.ask(ApiVersionsRequest(), version: 0)
      let refused = (try? client?.ask(MetadataRequest(), version: 1)) == nil
      let controller = try? BlockingClient(port: port)
      let update = try? controller?.ask(update(epoch: 1), version: 8)
      outcome.withLock { $0 = (refused, update?.errorCode == 0, versions?.errorCode == 0) }
    })
    defer { broker.stop() }
    let seen = outcome.withLock { $0 }
    #expect(seen?.versions == true)
    #expect(seen?.metadata == true)
    #expect(seen?.update == true)
    let client = try BlockingClient(port: broker.port)
    #expect(try client.ask(MetadataRequest(), version: 1).brokers.count == 1)
  }
}
