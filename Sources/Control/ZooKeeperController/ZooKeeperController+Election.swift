import Metadata
import Values

/// Who is the controller: the broker that managed to create `/controller`, in one multi with
/// raising
/// `/controller_epoch`. The new version of the epoch's znode is in every write that follows, so a
/// controller that was replaced without noticing cannot write any more.
extension ZooKeeperController {
  mutating func elect() {
    read([.data(ZnodePath.controller, watch: true), .data(ZnodePath.controllerEpoch, watch: false)])
    {
      machine, results in
      if let content = results[0].content {
        machine.follow(ControllerZnode.decode(content.data) ?? .none)
        return
      }
      guard let content = results[1].content else {
        // The first controller of a cluster finds no epoch.
        let first = ZnodeTransaction(
          [.create(path: ZnodePath.controllerEpoch, data: ControllerEpochZnode.encode(.init(0)))],
          tolerates: .nodeExists)
        machine.write([first]) { machine, _ in machine.enqueue(.elect) }
        return
      }
      guard let epoch = ControllerEpochZnode.decode(content.data), epoch.rawValue < .max else {
        machine.log("\(ZnodePath.controllerEpoch) holds no epoch")
        return
      }
      machine.stand(
        ControllerTerm(
          epoch: ControllerEpoch(epoch.rawValue + 1), epochVersion: content.version + 1))
    }
  }

  /// One multi: whoever creates the node has raised the epoch, and whoever finds another epoch
  /// than it read does not get the node.
  private mutating func stand(_ term: ControllerTerm) {
    let multi = ZnodeTransaction([
      .create(
        path: ZnodePath.controller, data: ControllerZnode.encode(brokerID, at: wallTime),
        mode: .ephemeral),
      .setData(
        path: ZnodePath.controllerEpoch, data: ControllerEpochZnode.encode(term.epoch),
        version: term.epochVersion - 1),
    ])
    write([multi]) { machine, outcomes in
      if outcomes.first == .done {
        machine.lead(term)
      } else {
        machine.confirm(term)
      }
    }
  }

  /// The multi failed, perhaps because it had already been done when the connection broke.
  private mutating func confirm(_ term: ControllerTerm) {
    read([.data(ZnodePath.controller, watch: true), .data(ZnodePath.controllerEpoch, watch: false)])
    {
      machine, results in
      let holder = results[0].content.flatMap { ControllerZnode.decode($0.data) }
      let epoch = results[1].content
      if holder == machine.brokerID, epoch?.version == term.epochVersion,
        epoch.flatMap({ ControllerEpochZnode.decode($0.data) }) == term.epoch
      {
        machine.lead(term)
      } else if let holder {
        machine.follow(holder)
      } else {
        machine.enqueue(.elect)
      }
    }
  }

  private mutating func lead(_ term: ControllerTerm) {
    self.term = term
    activeController = brokerID
    log("Broker \(brokerID.rawValue) is the controller, epoch \(term.epoch.rawValue)")
    out.append(.becameController(term))
    load()
  }

  // Learning of another controller ends a term that was thought to go on.
  private mutating func follow(_ controller: BrokerID) {
    if isActive, controller != brokerID { resign() }
    activeController = controller
    watchController()
  }

  /// `/controller` changed: somebody else's, or gone.
  mutating func checkController() {
    read([.data(ZnodePath.controller, watch: true)]) { machine, results in
      guard let content = results[0].content else {
        if machine.isActive { machine.resign() }
        machine.activeController = .none
        machine.enqueue(.elect)
        return
      }
      machine.follow(ControllerZnode.decode(content.data) ?? .none)
    }
  }

  /// A write was fenced: another controller has been elected.
  mutating func moved() {
    resign()
    enqueue(.checkController)
  }

  mutating func expire() {
    if isActive { resign() }
    activeController = .none
    abandonWork()
    refuseRequests()
    queue.removeAll()
  }

  /// Stops acting. What was asked is answered with NOT_CONTROLLER; what was seen is forgotten, for
  /// the next term begins by reading everything.
  mutating func resign() {
    guard term != nil else { return }
    log("Broker \(brokerID.rawValue) is no longer the controller")
    for broker in control.image.brokers.all { out.append(.closeChannel(broker.id)) }
    term = nil
    activeController = .none
    departed.removeAll()
    control = Controller(options: options)
    writtenBy.removeAll()
    watchedTopics.removeAll()
    watchedBrokers.removeAll()
    znodeReassignments.removeAll()
    deletions = TopicDeletions()
    rebalanceAt = nil
    isRebalanceScheduled = false
    for waiter in deletionWaiters { respond(waiter.request, .notController) }
    deletionWaiters.removeAll()
    refuseRequests()
    out.append(.resigned)
  }

  private mutating func refuseRequests() {
    if let id = currentRequest {
      currentRequest = nil
      respond(id, .notController)
    }
    for job in queue {
      if case .request(let id, _) = job { respond(id, .notController) }
    }
    queue.removeAll { if case .request = $0 { true } else { false } }
  }
}
