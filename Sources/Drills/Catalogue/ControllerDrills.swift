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
    try run.fault(
      "SIGSTOP \(controller.name)",
      leadershipOf: controller.role == .broker ? [controller] : []
    ) { try run.cluster.pause(controller) }
    let isReplaced = await run.wait(upToMs: 40_000) { try await run.controller() != controller }
    run.check("another controller took over", isReplaced)
    await run.pause(forMs: 1_000)
    try run.heal("SIGCONT \(controller.name)") { try run.cluster.resume(controller) }
    await run.pause(forMs: 2_000)
    let last = try? await run.controller()
    run.check("the zombie is not the controller", last != nil && last != controller)
  }.with { $0.load.administrators = 1 }
}
