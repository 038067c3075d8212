// The controller that dies, freezes, or loses its store.
import Values

extension DrillCatalogue {
  static let controllers: [Drill] = [killController, freezeController]

  private static let killController = Drill(
    4, "kill-controller", "SIGKILL the controller",
    breaks: "The active controller is killed: in ZooKeeper mode a broker, in KRaft mode the "
      + "quorum's leader.",
    mustHold: "One active controller afterwards; administration goes on; nothing acknowledged is "
      + "lost."
  ) { run in
    let controller = try await run.controller()
    try run.fault(
      "SIGKILL \(controller.name)",
      leadershipOf: controller.role == .broker ? [controller] : []
    ) { try run.cluster.kill(controller) }
    var next: DrillMember?
    let isReplaced = await run.wait(upToMs: 30_000) {
      next = try await run.controller()
      return next != controller
    }
    run.check("another controller took over", isReplaced, next?.name ?? "none")
    await run.pause(forMs: run.options.faultMs)
    try run.heal("start \(controller.name)") { try run.cluster.start(controller) }
  }.with {
    $0.isShort = true
    $0.load.administrators = 1
  }

  private static let freezeController = Drill(
    5, "freeze-controller", "SIGSTOP the controller past its session, then SIGCONT",
    breaks: "The active controller stands still until another has taken over, then goes on as if "
      + "nothing had happened.",
    mustHold: "Writes of the zombie are rejected; one controller at the end."
  ) { run in
    let controller = try await run.controller()
    let epochBefore = try await controllerEpoch(run)
    try run.fault(
      "SIGSTOP \(controller.name)",
      leadershipOf: controller.role == .broker ? [controller] : []
    ) { try run.cluster.pause(controller) }
    let isReplaced = await run.wait(upToMs: 40_000) { try await run.controller() != controller }
    run.check("another controller took over", isReplaced)
    let zombie = run.cluster.directPort(of: controller).map { port in
      ZombieRequests(
        count: 5, prefix: run.target.topic,
        replicationFactor: Int16(min(3, run.cluster.members(.broker).count)), port: port)
    }
    await run.pause(forMs: 1_000)
    try run.heal("SIGCONT \(controller.name)") { try run.cluster.resume(controller) }
    if let zombie { await checkRejections(run, of: controller, zombie, epochBefore) }
    let last = try? await run.controller()
    run.check("the zombie is not the controller", last != nil && last != controller)
  }.with { $0.load.administrators = 1 }

  /// The epoch of the controller, from ZooKeeper; nil in KRaft mode.
  private static func controllerEpoch(_ run: DrillRun) async throws -> Int32? {
    guard run.cluster.mode == "zookeeper", let coordination = run.cluster.coordination else {
      return nil
    }
    return try await SessionExpiry.number(in: "/controller_epoch", at: coordination)
  }

  /// Counts what the zombie could not do: nothing rejected would mean that nothing was tried.
  private static func checkRejections(
    _ run: DrillRun, of controller: DrillMember, _ zombie: ZombieRequests, _ epoch: Int32?
  ) async {
    var rejected = 0
    await run.wait(upToMs: 20_000) {
      rejected += zombie.answers().rejected
      return rejected >= zombie.count
    }
    run.check(
      "what the zombie was asked while it stood still is rejected",
      rejected > 0 && rejected == zombie.count, "\(rejected) of \(zombie.count)")
    let made = (try? await run.admin.listTopics().map(\.name).filter(zombie.names.contains)) ?? []
    run.check("no topic of the zombie's exists", made.isEmpty, made.joined(separator: ", "))
    guard let epoch else { return }
    let brokers = run.brokers(except: [controller])
    let fenced = brokers.count { broker in
      guard let port = run.cluster.directPort(of: broker) else { return false }
      return ZombieRequests.isFenced(controller: controller.number, epoch: epoch, port: port)
        ?? false
    }
    run.check(
      "every broker refuses what the old epoch \(epoch) says", fenced == brokers.count,
      "\(fenced) of \(brokers.count)")
  }
}
