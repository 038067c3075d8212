// Brokers whose process is gone before their session is.
import Metadata
import Values

/// A registration is ephemeral: ZooKeeper removes it when the session ends, seconds after the
/// process. What is done in between, and why:
///
/// *A broker.* The controller counts the registration as gone, in this very epoch, and nothing is
/// written. Deleting the znode could not be made safe: ZooKeeper guards a deletion by the version
/// of the data, which is the same in each life of a broker, so that a new life's registration could
/// be hit; and a broker of Kafka's whose registration vanishes while it lives never registers
/// again. What is only believed here can be taken back.
///
/// *The controller.* `/controller` is deleted, in a multi with a check of the version of
/// `/controller_epoch`. Each election raises that version, so no other term than the one that was
/// read can be ended. A live controller would hear of it from its watch and stand again: it is how
/// operators of Kafka move a controller.
extension ZooKeeperController {
  // A task like all others: in the middle of one the image may not hold the broker yet.
  mutating func brokerGone(_ id: BrokerID, _ epoch: BrokerEpoch) {
    if isActive {
      guard control.image.brokers[id]?.epoch == epoch else { return }
      departed[id] = epoch
      brokersChanged()
    } else if id == activeController {
      deposeController(id, epoch)
    }
  }

  mutating func noteAnswering(_ id: BrokerID, _ epoch: BrokerEpoch) {
    guard departed[id] == epoch else { return }
    departed[id] = nil
    log("Broker \(id.rawValue) answers again")
    enqueueOnce(.brokers) { if case .brokers = $0 { true } else { false } }
  }

  /// The registrations of departed brokers that have gone, or are a new life's.
  mutating func forgetDeparted(_ registered: [BrokerImage]) {
    for id in departed.keys.sorted() {
      let isStanding = registered.contains { $0.id == id && $0.epoch == departed[id] }
      guard !isStanding else { continue }
      departed[id] = nil
      out.append(.closeChannel(id))
    }
  }

  // MARK: The controller

  /// Finds out where the controller's broker listens, so that it can be watched.
  mutating func watchController() {
    // The controller watches all brokers. It too hears that `/controller` has changed: by itself.
    guard !isActive else { return }
    let id = activeController
    guard id != .none, id != brokerID else { return out.append(.watchController(nil)) }
    read([.data(ZnodePath.broker(id), watch: false)]) { machine, results in
      guard !machine.isActive, machine.activeController == id else { return }
      machine.out.append(.watchController(machine.decodeBroker(id, results[0])))
    }
  }

  /// Ends the term of a controller whose process is gone. The watch on `/controller` tells all
  /// brokers, this one too, and the election goes on as always.
  private mutating func deposeController(_ id: BrokerID, _ epoch: BrokerEpoch) {
    let reads: [ZnodeRead] = [
      .data(ZnodePath.controllerEpoch, watch: false), .data(ZnodePath.controller, watch: true),
      .data(ZnodePath.broker(id), watch: false),
    ]
    read(reads) { machine, results in
      // The epoch was read first: if a new term has begun since, the check of its version fails.
      guard let term = results[0].content, let holder = results[1].content,
        ControllerZnode.decode(holder.data) == id,
        machine.decodeBroker(id, results[2])?.epoch == epoch
      else { return }
      machine.log("Controller \(id.rawValue) is gone; ending its term")
      let multi = ZnodeTransaction([
        .check(path: ZnodePath.controllerEpoch, version: term.version),
        .delete(path: ZnodePath.controller, version: -1),
      ])
      // Another broker may have been quicker.
      machine.write([multi]) { machine, _ in machine.enqueue(.checkController) }
    }
  }
}
